# SPDX-License-Identifier: MIT
"""Every area that preflight compares: what is as it should be is equal, each disturbance is seen in its area alone, and repaired."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from keyfleet.core.host.accounts import has_user
from keyfleet.core.host.kernel import KernelSettings, plan_kernel
from keyfleet.core.install import package
from keyfleet.core.install.releases import Release
from keyfleet.core.install.systems import SystemValues
from keyfleet.core.instance.areas import AREAS, Comparison, DesiredHost, compare
from keyfleet.core.instance.converge import carry_out, prepare
from keyfleet.core.instance.host_files import plan_files
from keyfleet.core.instance.preflight import HostReport
from support.instances import LiveInstance

PACKAGES = ("redis-server", "redis-tools", "python3-redis")
PACKAGING = {"packages": list(PACKAGES[:2]), "unit": "redis-server.service", "config": "/etc/redis/redis.conf"}
VALUES = SystemValues("apt", "=", PACKAGES[2], [], {"redis": PACKAGING, "valkey": PACKAGING}, {})
RELEASE = Release("redis", "7.0.15", "0" * 64, "")


class Bed:
    """A host whose every area is as it should be: a running instance, a kernel and packages in files, and a release that is built."""

    def __init__(self, live: LiveInstance, folder: Path) -> None:
        self.live, self.report, self.method = live, HostReport(binary_present=True), "distro"
        self.database = folder / "packages"
        self.release = replace(RELEASE, folder=str(folder / "redis"))
        self.kernel = KernelSettings(
            {"vm.overcommit_memory": "1"},
            {"net.core.somaxconn": 1024},
            "madvise",
            sysctl_file=str(folder / "sysctl.conf"),
            thp_unit=str(folder / "units/thp.service"),
            proc_sys=str(folder / "sys"),
            thp_path=str(folder / "thp"),
        )
        for name, text in (("sys/vm/overcommit_memory", "0\n"), ("sys/net/core/somaxconn", "128\n"), ("thp", "[always] madvise never\n")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        live.directives = {"maxmemory": "64mb"}
        self.carry_out()
        (folder / "thp").write_text("always [madvise] never\n")  # as the kernel shows what was written

    def desired(self) -> DesiredHost:
        """Return what the host shall be."""
        release = self.release if self.method == "archive" else None
        return DesiredHost(
            self.live.host, [self.live.instance], VALUES, method=self.method, release=release, kernel=self.kernel, keep_days=3
        )

    def compare(self) -> Comparison:
        """Compare the host."""
        found = compare(self.desired(), self.report)
        assert [] == found.problems
        return found

    def carry_out(self) -> None:
        """Do what the steps of the role do; the package manager and the build by hand."""
        self.report = HostReport(binary_present=True)
        self.database.write_text("".join(f"{name} installed 1-1\n" for name in PACKAGES))
        (self.release.releases / self.release.name).mkdir(parents=True, exist_ok=True)
        link = Path(self.release.folder, "current")
        link.unlink(missing_ok=True)
        link.symlink_to(f"releases/{self.release.name}")
        plan_kernel(self.kernel).apply()
        plan_files(self.live.host, [self.live.instance], 3, check=False).apply()
        for prepared in prepare(self.live.host, [self.live.instance]):
            carry_out(self.live.host, prepared)


def edit(attribute: str) -> Callable[[Bed], None]:
    """Return what adds a line to a file of the instance."""

    def disturb(bed: Bed) -> None:
        path = Path(getattr(bed.live.layout, attribute))
        path.write_text(path.read_text(encoding="utf-8") + "# by hand\n", encoding="utf-8")

    return disturb


def give(attribute: str) -> Callable[[Bed], None]:
    """Return what opens a folder of the instance to others."""
    return lambda bed: Path(getattr(bed.live.layout, attribute)).chmod(0o777)


def remove(attribute: str) -> Callable[[Bed], None]:
    """Return what removes a file of the instance."""
    return lambda bed: Path(getattr(bed.live.layout, attribute)).unlink()


def by_hand(bed: Bed) -> None:
    """Change a directive of the running server."""
    with bed.live.client() as client:
        client.config_set("maxmemory", "32mb")


def leave_moved_files(bed: Bed) -> None:
    """Leave what an earlier run moved aside."""
    Path(bed.live.layout.data_dir, "kept/1").mkdir(parents=True)


def forget_package(bed: Bed) -> None:
    """Remove a package."""
    bed.database.write_text("".join(f"{name} installed 1-1\n" for name in PACKAGES[:2]))


def unlink_release(bed: Bed) -> None:
    """Lose the link to the release in use."""
    bed.method = "archive"
    Path(bed.release.folder, "current").unlink()


# For each area, what may happen to it.
DISTURBANCES: dict[str, dict[str, Callable[[Bed], object]]] = {
    "package_unit": {"it would start": lambda bed: setattr(bed.report.package_unit, "in_the_way", True)},
    "repository": {"it was left": lambda bed: setattr(bed.report, "repository", True)},
    "packages": {"one is gone": forget_package},
    "release": {"its link is gone": unlink_release},
    "kernel": {
        "a setting changed": lambda bed: Path(bed.kernel.proc_sys, "vm/overcommit_memory").write_text("0\n"),
        "its file changed": lambda bed: Path(bed.kernel.sysctl_file).write_text("# by hand\n"),
        "its unit is gone": lambda bed: Path(bed.kernel.thp_unit).unlink(),
    },
    "files": {
        "the starter was edited": edit("runner_file"),
        "the specification was edited": edit("spec_file"),
        "the rotation was edited": edit("rotation_file"),
        "the rotation is gone": remove("rotation_file"),
        "the folder of the configuration is open": give("config_dir"),
        "the folder of the data is open": give("data_dir"),
        "the server's own file is gone": remove("server_file"),
    },
    "instances": {
        "a directive was set by hand": by_hand,
        "the configuration was edited": edit("config_file"),
        "the configuration is readable": lambda bed: Path(bed.live.layout.config_file).chmod(0o644),
        "the users were edited": edit("acl_file"),
        "the record is gone": remove("record_file"),
        "it was stopped": lambda bed: bed.live.stop(),
        "moved files are left": leave_moved_files,
    },
}


@pytest.fixture
def bed(live: LiveInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    """Return a host that is as it should be."""
    monkeypatch.setitem(package._VERSION_COMMANDS, "apt", ["cat", str(tmp_path / "packages")])
    return Bed(live, tmp_path)


def test_every_area_has_a_disturbance() -> None:
    """A new area needs one; users and groups are compared by a test of their own."""
    assert {*DISTURBANCES, "accounts"} == set(AREAS)


@pytest.mark.parametrize(("area", "what"), [(area, what) for area, cases in DISTURBANCES.items() for what in cases])
def test_a_disturbance_is_seen_and_repaired(bed: Bed, area: str, what: str) -> None:
    """Before and after, nothing differs and nothing must restart; in between, that area alone."""
    assert bed.compare().settled, bed.compare()
    DISTURBANCES[area][what](bed)
    found = bed.compare()
    assert [area] == found.differing, found.areas
    bed.carry_out()
    assert bed.compare().settled, bed.compare()


def test_accounts_that_the_run_makes_are_compared(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root makes them, beside a program that is built."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    bed.method = "archive"
    known = next(name for name in ("nobody", "root") if has_user(name))
    for user, differs in (("no-such-user", True), (known, False)):
        desired = bed.desired()
        found = compare(replace(desired, host=replace(desired.host, user=user, group="root")), bed.report)
        assert differs == ("accounts" in found.differing)


def test_what_cannot_be_judged_is_carried_out(bed: Bed) -> None:
    """Without a program, redis-py or a password an instance is not planned, and counts as different."""
    for report in (HostReport(binary_present=False), HostReport(binary_present=True, redis_py=False)):
        assert ["instances"] == compare(bed.desired(), report).differing
    unknown = replace(bed.desired(), instances=[replace(bed.live.instance, password=None)])
    assert ["instances"] == compare(unknown, bed.report).differing
