# SPDX-License-Identifier: MIT
"""Bring one instance to the wished state: start, stop, change live; say what only a restart can apply."""

from __future__ import annotations

import contextlib
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from ..directives.live import apply_live, read_active
from ..directives.plan import DirectivePlan, config_command_in, plan, startup_only_changes
from ..directives.throwaway import throwaway
from ..directives.trial import engine_version, judge
from ..directives.values import HIDDEN, SECRET_DIRECTIVES, format_value, table_for
from ..errors import DeniedError
from ..host.safe_paths import remove_file, remove_tree, status_of
from ..host.text_files import read_lines
from ..layout import UNIT_FILE
from .access import opened, prepare_start, wait_until_ready
from .acl import acl_lines
from .config import config_lines, forget_written, written_names
from .model import Host, Instance
from .record import Record, read_record, write_record

if TYPE_CHECKING:
    import redis


@dataclass
class Outcome:
    """
    What was done to an instance, or would be.

    Attributes:
        name: Of the instance.
        action: ``started``, ``adopted`` (its supervisor was gone, and is back), ``adjusted``, ``removed`` or ``unchanged``.
        live: Directives changed on the running server: ``{name: {active, wished}}``, secrets hidden.
        restart_needed: Why it must be restarted, a phrase each.
        pid: The server's process; None if it does not run.
    """

    name: str
    action: str = "unchanged"
    live: dict[str, dict[str, str]] = field(default_factory=dict)
    restart_needed: list[str] = field(default_factory=list)
    pid: Optional[int] = None

    @property
    def changed(self) -> bool:
        """True unless nothing was to be done."""
        return self.action != "unchanged"

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data."""
        return asdict(self)

    def diff(self) -> dict[str, str]:
        """Return the change in the form of Ansible's diff."""
        before = "".join(f"{name} {values['active']}\n" for name, values in self.live.items())
        after = "".join(f"{name} {values['wished']}\n" for name, values in self.live.items())
        if self.action in ("started", "removed"):
            before, after = {"started": ("stopped\n", "running\n"), "removed": ("present\n", "absent\n")}[self.action]
        return {"before_header": self.name, "after_header": self.name, "before": before, "after": after}


def settle(host: Host, instance: Instance, *, check: bool = False) -> Outcome:
    """
    Start, stop or adjust one instance; never restart it.

    Args:
        check: Change nothing, and say what would be.
    Raises:
        ServiceError: if it does not start or stop.
        RefusedError: if the server refuses a value.
        UnreachableError, CredentialsError: if it cannot be asked.
    """
    if not instance.present:
        return _remove(host, instance, check)
    manager = host.manager(instance.name)
    before = manager.status()
    if before.active:
        wait_until_ready(host, instance, before.pid)
        outcome = _adjust(host, instance, before.pid, check)
    else:
        outcome = Outcome(instance.name, "started")
    if before.enabled is False and not outcome.changed:
        outcome.action = "adjusted"
    if check:
        return outcome
    if before.enabled is False:
        manager.enable()
    manager.reload_units()
    return outcome if before.active else _start(host, instance, before.pid)


def _start(host: Host, instance: Instance, orphan: Optional[int]) -> Outcome:
    """Start an instance; one whose supervisor was killed is taken up as it runs, and adjusted."""
    manager = host.manager(instance.name)
    if orphan is None:
        prepare_start(host, instance)
    manager.start()
    pid = manager.status().pid
    wait_until_ready(host, instance, pid)
    if pid != orphan:
        return Outcome(instance.name, "started", pid=pid)
    return replace(_adjust(host, instance, pid, check=False), action="adopted")


def _remove(host: Host, instance: Instance, check: bool) -> Outcome:
    """Stop the instance and take away what starts it; keep its data unless it is to be purged."""
    layout, manager = host.layout(instance.name), host.manager(instance.name)
    status = manager.status()
    doomed = [layout.config_dir, *([layout.data_dir, layout.log_dir] if instance.purge else [])]
    doomed = [folder for folder in doomed if status_of(folder)]
    if not (doomed or status.pid or status.enabled):
        return Outcome(instance.name)
    if not check:
        manager.stop()
        manager.disable()
        record = read_record(layout)
        forget_written(layout, set(record.applied if record else ()))  # the record goes; what it knows must not come back
        remove_file(layout.rotation_file)
        for folder in [*doomed, layout.run_dir]:
            remove_tree(folder)
        if not host.deployed_names():
            remove_file(UNIT_FILE if host.service_manager == "systemd" else layout.runner_file)
            manager.reload_units()
    return Outcome(instance.name, "removed")


def _adjust(host: Host, instance: Instance, pid: Optional[int], check: bool) -> Outcome:
    """Compare a running server with the wish, change live what the server allows, and name what waits for a restart."""
    layout = host.layout(instance.name)
    record = read_record(layout) or Record.of(instance, host.engine)
    started = read_lines(layout.started_file)
    outcome = Outcome(instance.name, pid=pid)
    with opened(host, instance, pid) as client:
        outcome.restart_needed = [*_process_reasons(client, host, pid), *_starter_reasons(host, instance, started)]
        difference, command, reasons = _compare(client, host, instance, record, started)
        outcome.restart_needed += reasons
        users_differ = _users_differ(client, host, instance)
        outcome.live = {
            name: {"active": _public(name, old or ""), "wished": _public(name, new)} for name, (old, new) in difference.live.items()
        }
        if users_differ:
            outcome.live["user"] = {"active": HIDDEN, "wished": HIDDEN}
        outcome.action = "adjusted" if outcome.live else "unchanged"
        if check:
            return outcome
        wished = Record.of(instance, host.engine)
        if difference.live:  # named before they are set, so that a killed run forgets nothing
            write_record(layout, record.knowing(wished.applied))
        if users_differ:
            client.acl_load()
        apply_live(client, {name: new for name, (_unused, new) in difference.live.items()}, command=command or "CONFIG")
        outdated = (set(difference.live) - set(wished.applied)) | (set(difference.live) & SECRET_DIRECTIVES)
        if outdated & written_names(layout):  # else the old value is back at the next start, or an old secret stays
            client.execute_command(command or "CONFIG", "REWRITE")  # type: ignore[no-untyped-call]
    waiting = set(difference.restart) if command else {"port", "bind", "unixsocket"}
    wished = wished.knowing(tuple(name for name in record.applied if name in waiting))
    if waiting & {"port", "bind", "unixsocket"}:
        wished = wished.at(record)
    if wished != read_record(layout):
        write_record(layout, wished)
    return outcome


def _compare(
    client: redis.Redis, host: Host, instance: Instance, record: Record, started: list[str]
) -> tuple[DirectivePlan, Optional[str], list[str]]:
    """Return what differs, what CONFIG is called on the running server, and the reasons for a restart."""
    wished = config_lines(instance, host.layout(instance.name), host.service_manager)
    command = config_command_in(started)
    try:
        if command is None:
            raise DeniedError("CONFIG", "rename-command takes it away")
        active = read_active(client, [*instance.directives, *record.applied], command=command)
    except DeniedError:
        changes = startup_only_changes(wished, started, every=True)
        return (
            DirectivePlan(),
            None,
            [f"{name} differs from what the server was started with, and it answers no CONFIG" for name in changes],
        )
    managed = instance.managed(host.layout(instance.name), host.service_manager)
    values = {**judge(host.binary, instance.directives).values, **managed}
    table = table_for(*engine_version(host.binary))
    difference = _keep_reachable(plan(values, active, [*instance.directives, *managed], record.applied, table))
    reasons = [
        f"{name} is {format_value(name, old or '')} and shall be {format_value(name, new)}"
        for name, (old, new) in difference.restart.items()
    ]
    reasons += [f"{name} differs from what the server was started with" for name in startup_only_changes(wished, started)]
    return difference, command, reasons


def _keep_reachable(difference: DirectivePlan) -> DirectivePlan:
    """Let port and address wait for the restart if the socket does, so that the server is reached in one way until then."""
    if "unixsocket" not in difference.restart:
        return difference
    waits = {name: values for name, values in difference.live.items() if name in ("port", "bind")}
    live = {name: values for name, values in difference.live.items() if name not in waits}
    return DirectivePlan(live, {**difference.restart, **waits})


def _public(name: str, value: str) -> str:
    return HIDDEN if format_value(name, value) == HIDDEN else value


def _process_reasons(client: redis.Redis, host: Host, pid: Optional[int]) -> list[str]:
    """Return why the running process is not the installed program."""
    _unused, version = engine_version(host.binary)
    info = client.info("server")
    running = str(info.get("valkey_version") or info.get("redis_version"))
    if running != version:
        return [f"version {version} is installed and {running} runs"]
    with contextlib.suppress(OSError):
        program, wished = str(Path(f"/proc/{pid}/exe").readlink()), os.path.realpath(host.binary)
        if program.endswith(" (deleted)"):
            return ["the program was replaced since the server started"]
        if program != wished:
            return [f"binary changed: {program} runs and shall be {wished}"]
    return []


def _starter_reasons(host: Host, instance: Instance, started: list[str]) -> list[str]:
    """Return whether the unit or the runner's specification changed since the server started."""
    current = read_lines(host.layout(instance.name).config_file)
    marks = [[line for line in lines if line.startswith("# starter ")] for lines in (started, current)]
    if marks[0] == marks[1]:
        return []
    return ["its systemd unit changed" if host.service_manager == "systemd" else "the runner's specification changed"]


def _users_differ(client: redis.Redis, host: Host, instance: Instance) -> bool:
    """Compare the users with those of the file, as the server writes both; ``default`` goes by another name there, so that it answers."""
    renamed = [line.replace("user default ", "user default-as-wished ", 1) for line in acl_lines(instance)]
    with throwaway(host.binary, renamed) as ask:
        listed = [str(line) for line in ask("ACL", "LIST")]
    wished = [line.replace("default-as-wished", "default", 1) for line in listed if not line.startswith("user default ")]
    active = [line.decode() if isinstance(line, bytes) else str(line) for line in client.acl_list()]
    # Redis 7.0 lists the rules for single commands in another order in each process; what they say does not depend on it.
    return sorted(sorted(line.split()) for line in wished) != sorted(sorted(line.split()) for line in active)
