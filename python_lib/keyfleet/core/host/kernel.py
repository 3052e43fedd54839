# SPDX-License-Identifier: MIT
"""
Kernel settings for Redis: now, and after a reboot.

Source:
    https://redis.io/docs/latest/operate/oss_and_stack/management/admin/ for the values and the reasons; sysctl.d(5); the kernel's
    Documentation/admin-guide/mm/transhuge.rst. Opening a setting for writing changes nothing and shows whether the host allows it.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from ..errors import RefusedError
from .file_entries import parse
from .files import FilePlan, plan

THP_VALUES = ("madvise", "never")
NOT_ROOT = "the user of this task is not root: kernel settings are not changed"
SYSCTL_HEADER = "# Ansible managed: module redis_kernel of keyfleet.redis\n"
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
THP_UNIT = """\
# Ansible managed: module redis_kernel of keyfleet.redis
[Unit]
Description=Set transparent huge pages to {value}
DefaultDependencies=no
After=sysinit.target local-fs.target
Before=basic.target
ConditionPathExists={path}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo {value} > {path}'

[Install]
WantedBy=basic.target
"""


@dataclass(frozen=True)
class KernelSettings:
    """
    What a host shall have.

    Attributes:
        exact: Settings below *proc_sys* and their values.
        minimum: Settings that are raised and never lowered.
        thp: One of THP_VALUES, None to leave transparent huge pages alone.
        sysctl_file, thp_unit: Where the settings are kept for the next boot.
        proc_sys, thp_path: Where the kernel shows them.
        systemd: Whether systemd runs the host, and so would read the unit.
    """

    exact: Mapping[str, str] = field(default_factory=dict)
    minimum: Mapping[str, int] = field(default_factory=dict)
    thp: Optional[str] = None
    sysctl_file: str = "/etc/sysctl.d/90-keyfleet.conf"
    thp_unit: str = "/etc/systemd/system/keyfleet-thp.service"
    proc_sys: str = "/proc/sys"
    thp_path: str = "/sys/kernel/mm/transparent_hugepage/enabled"
    systemd: bool = True


@dataclass(frozen=True)
class Setting:
    """One setting that differs: what is active, what shall be, and the file that takes it."""

    name: str
    before: str
    after: str
    path: str


@dataclass
class KernelPlan:
    """
    What is to be done.

    Attributes:
        settings: To change now.
        skipped: Reason by name of what this host does not allow or cannot keep.
        files: What is to be kept for the next boot.
    """

    settings: list[Setting] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    files: FilePlan = field(default_factory=lambda: FilePlan((), ()))

    @property
    def changed(self) -> bool:
        """True if anything differs."""
        return bool(self.settings or self.files.changes)

    def diffs(self) -> Iterator[dict[str, str]]:
        """Yield what differs in the form of Ansible's diff."""
        for setting in self.settings:
            header = {"before_header": setting.name, "after_header": setting.name}
            yield {**header, "before": f"{setting.before}\n", "after": f"{setting.after}\n"}
        for change in self.files.changes:
            yield from change.diffs()

    def apply(self) -> None:
        """Change what differs; what the kernel refuses only now is skipped."""
        self.files.apply()
        for setting in list(self.settings):
            try:
                Path(setting.path).write_text(f"{setting.after}\n", encoding="ascii")
            except OSError as error:
                self.settings.remove(setting)
                self.skipped[setting.name] = _reason(error)


def plan_kernel(desired: KernelSettings) -> KernelPlan:
    """
    Compare a host with what it shall have; reads only.

    Raises:
        RefusedError: if a name is no setting, or something that keyfleet did not write is where its file shall be.
    """
    found = KernelPlan()
    if os.geteuid() != 0 and not os.access(desired.proc_sys, os.W_OK):
        found.skipped["all"] = NOT_ROOT
        return found
    kept = kept_values(desired.sysctl_file)
    wanted: dict[str, str] = {}
    for name, value in desired.exact.items():
        if _compare(found, name, _sysctl_path(desired, name), value):
            wanted[name] = value
    for name, least in desired.minimum.items():
        path = _sysctl_path(desired, name)
        active = _active(path)
        enough = active.isdigit() and int(active) >= least
        # A value that the kernel or another file set high enough is not kept by keyfleet: at boot, its value could lower it.
        if _compare(found, name, path, active if enough else str(least)) and (name in kept or not enough):
            wanted[name] = active if enough else str(least)
    files = _sysctl_entries(desired, wanted)
    if desired.thp is None or _compare(found, "transparent_hugepage", desired.thp_path, desired.thp):
        files += _thp_entries(desired, found)
    found.files = plan(parse([*_missing_folders(files), *files]))
    return found


def _compare(found: KernelPlan, name: str, path: str, value: str) -> bool:
    """Note a setting that differs, or why it cannot be changed; return whether the host has it or takes it."""
    try:
        active = _active(path, missing_ok=False)
        if active.split() == value.split():
            return True
        os.close(os.open(path, os.O_WRONLY))
    except OSError as error:
        found.skipped[name] = _reason(error)
        return False
    found.settings.append(Setting(name, active, value, path))
    return True


def _active(path: str, *, missing_ok: bool = True) -> str:
    """Return the active value: the whole text, or the choice in brackets."""
    try:
        text = Path(path).read_text(encoding="ascii").strip()
    except OSError:
        if missing_ok:
            return ""
        raise
    choice = re.search(r"\[(\w+)\]", text)
    return choice[1] if choice else text


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "this kernel has no such setting"
    return f"the host does not allow it: {error.strerror}"


def _sysctl_path(desired: KernelSettings, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise RefusedError(f"{name!r} is no kernel setting: expected a name such as vm.overcommit_memory")
    return str(Path(desired.proc_sys, *name.split(".")))


def kept_values(sysctl_file: str) -> dict[str, str]:
    """Return the settings in a file of sysctl.d; none if there is no file."""
    with suppress(OSError):
        lines = Path(sysctl_file).read_text(encoding="utf-8").splitlines()
        pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith(("#", ";")))
        return {name.strip(): value.strip() for name, value in pairs}
    return {}


def _sysctl_entries(desired: KernelSettings, wanted: Mapping[str, str]) -> list[dict[str, str]]:
    if not wanted:
        return [{"path": desired.sysctl_file, "state": "absent"}]
    lines = "".join(f"{name} = {value}\n" for name, value in sorted(wanted.items()))
    return [{"path": desired.sysctl_file, "content": SYSCTL_HEADER + lines, "mode": "0644"}]


def _thp_entries(desired: KernelSettings, found: KernelPlan) -> list[dict[str, str]]:
    """Return the unit that sets the value at boot, enabled by its link; absent if no value is desired."""
    unit = Path(desired.thp_unit)
    link = unit.parent / "basic.target.wants" / unit.name
    if desired.thp is None:
        return [{"path": str(path), "state": "absent"} for path in (link, unit)]
    if not desired.systemd:
        found.skipped["transparent_hugepage at boot"] = "systemd does not run on this host, so the value does not survive a reboot"
        return []
    content = THP_UNIT.format(value=desired.thp, path=desired.thp_path)
    return [
        {"path": str(unit), "content": content, "mode": "0644"},
        {"path": str(link), "state": "link", "target": f"../{unit.name}"},
    ]


def _missing_folders(files: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return an entry for each folder that is not there; one that is there is left as it is."""
    parents = {parent for file in files if file.get("state") != "absent" for parent in Path(file["path"]).parents}
    return [{"path": str(path), "state": "directory", "mode": "0755"} for path in sorted(parents) if not path.is_dir()]
