# SPDX-License-Identifier: MIT
"""Kernel settings below a folder of the test; the host's own are never touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from keyfleet.core.errors import RefusedError
from keyfleet.core.host.kernel import NOT_ROOT, KernelSettings, kept_values, plan_kernel


class Host:
    """A folder with the files of a host's kernel."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.overcommit, self.somaxconn = root / "proc/sys/vm/overcommit_memory", root / "proc/sys/net/core/somaxconn"
        self.thp, self.file, self.unit = (
            root / "sys/enabled",
            root / "etc/sysctl.d/90-keyfleet.conf",
            root / "etc/systemd/system/keyfleet-thp.service",
        )
        self.link = self.unit.parent / "basic.target.wants/keyfleet-thp.service"
        for path, text in ((self.overcommit, "0\n"), (self.somaxconn, "4096\n"), (self.thp, "[always] madvise never\n")):
            path.parent.mkdir(parents=True)
            path.write_text(text)
        (root / "etc").mkdir()

    def desired(self, overcommit: str = "1", somaxconn: int = 1024, thp: str | None = "madvise", systemd: bool = True) -> KernelSettings:
        """Return the desired settings for this folder."""
        return KernelSettings(
            exact={"vm.overcommit_memory": overcommit} if overcommit else {},
            minimum={"net.core.somaxconn": somaxconn} if somaxconn else {},
            thp=thp,
            sysctl_file=str(self.file),
            thp_unit=str(self.unit),
            proc_sys=str(self.root / "proc/sys"),
            thp_path=str(self.thp),
            systemd=systemd,
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host that is not prepared."""
    return Host(tmp_path)


def test_settings_are_changed_now_and_kept_for_the_next_boot(host: Host) -> None:
    """The active values, the file of sysctl.d, the unit and its link."""
    found = plan_kernel(host.desired())
    found.apply()

    assert ("1\n", "madvise\n") == (host.overcommit.read_text(), host.thp.read_text())
    assert {"vm.overcommit_memory": "1"} == kept_values(str(host.file))
    assert f"echo madvise > {host.thp}" in host.unit.read_text()
    assert host.unit.read_text() == host.link.read_text()
    assert ([("vm.overcommit_memory", "0", "1"), ("transparent_hugepage", "always", "madvise")], {}) == (
        [(setting.name, setting.before, setting.after) for setting in found.settings],
        found.skipped,
    )


def test_a_second_run_finds_nothing(host: Host) -> None:
    """And applying nothing changes nothing."""
    plan_kernel(host.desired(somaxconn=8192)).apply()
    again = plan_kernel(host.desired(somaxconn=8192))

    assert (False, [], []) == (again.changed, again.settings, again.files.changed_paths)


def test_a_minimum_is_raised_and_kept_and_never_lowered(host: Host) -> None:
    """Once raised by us it stays in our file, at the value that is active."""
    plan_kernel(host.desired(somaxconn=8192)).apply()
    raised = host.somaxconn.read_text(), kept_values(str(host.file))["net.core.somaxconn"]
    host.somaxconn.write_text("65535\n")
    plan_kernel(host.desired(somaxconn=1024)).apply()

    assert ("8192\n", "8192") == raised
    assert ("65535\n", "65535") == (host.somaxconn.read_text(), kept_values(str(host.file))["net.core.somaxconn"])


def test_a_minimum_that_the_host_has_anyway_is_not_kept(host: Host) -> None:
    """Our file could lower at boot what another file raises later."""
    plan_kernel(host.desired(somaxconn=1024)).apply()

    assert "net.core.somaxconn" not in kept_values(str(host.file))


def test_what_the_host_lacks_or_forbids_is_skipped_with_the_reason(host: Host) -> None:
    """A missing setting, and one that cannot be opened for writing (a folder here, since root may write every file)."""
    host.overcommit.unlink()
    host.thp.unlink()
    host.thp.mkdir()
    found = plan_kernel(host.desired())
    found.apply()

    assert ["vm.overcommit_memory", "transparent_hugepage"] == list(found.skipped)
    assert "this kernel has no such setting" == found.skipped["vm.overcommit_memory"]
    assert "the host does not allow it: Is a directory" == found.skipped["transparent_hugepage"]
    assert (False, False, False) == (found.changed, host.file.exists(), host.unit.exists())


def test_without_systemd_there_is_no_unit_and_a_notice(host: Host) -> None:
    """The file of sysctl.d is written all the same."""
    found = plan_kernel(host.desired(systemd=False))
    found.apply()

    assert "systemd does not run on this host, so the value does not survive a reboot" == found.skipped["transparent_hugepage at boot"]
    assert (False, True, "madvise\n") == (host.unit.exists(), host.file.exists(), host.thp.read_text())


def test_a_removed_setting_leaves_the_files_and_keeps_its_value(host: Host) -> None:
    """Removing a setting from the list does not ask for another value."""
    plan_kernel(host.desired()).apply()
    plan_kernel(host.desired(overcommit="", somaxconn=0, thp=None)).apply()

    assert (False, False, False) == (host.file.exists(), host.unit.exists(), host.link.is_symlink())
    assert ("1\n", "madvise\n") == (host.overcommit.read_text(), host.thp.read_text())


def test_a_user_who_is_not_root_skips_all_with_one_notice(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unprivileged deployments do not fail for it."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    found = plan_kernel(host.desired())

    assert ({"all": NOT_ROOT}, False) == (found.skipped, found.changed)


@pytest.mark.parametrize("name", ["vm", "../../etc/passwd", "vm./x", "vm..x"])
def test_a_name_that_leads_elsewhere_is_refused(host: Host, name: str) -> None:
    """Names become paths."""
    with pytest.raises(RefusedError):
        plan_kernel(KernelSettings(exact={name: "1"}, proc_sys=str(host.root / "proc/sys")))


def test_values_of_several_words_are_compared_word_by_word(host: Host) -> None:
    """The kernel prints tabs."""
    path = host.root / "proc/sys/net/rmem"
    path.write_text("1\t2\t3\n")

    assert (
        []
        == plan_kernel(
            KernelSettings(exact={"net.rmem": "1 2 3"}, proc_sys=str(host.root / "proc/sys"), sysctl_file=str(host.file))
        ).settings
    )
