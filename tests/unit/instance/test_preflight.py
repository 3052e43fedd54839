# SPDX-License-Identifier: MIT
"""What the host would refuse, as far as no server is needed to find it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from keyfleet.core.install.package import Package, installed_version, package_unit
from keyfleet.core.instance.preflight import HIDDEN_BY_UNIT, LIBRARIES, hidden_by_unit, module_problems
from keyfleet.core.service.starters import unit_text

UNIT = unit_text("redis", "/usr/bin/redis-server", "redis", "redis").splitlines()
ABSENT = {"LoadState": "not-found", "ActiveState": "inactive", "UnitFileState": ""}
ENABLED = {"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "enabled"}
RUNNING = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "disabled"}
OFF = {"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "disabled"}
MASKED = {"LoadState": "masked", "ActiveState": "inactive", "UnitFileState": "masked"}


@pytest.mark.parametrize(
    ("properties", "collides", "installs", "in_the_way"),
    [
        (ABSENT, False, True, True),  # it would run without a password after the next boot
        (ABSENT, True, True, True),
        (ABSENT, True, False, False),  # nothing brings it
        (ENABLED, True, True, True),
        (ENABLED, True, False, True),
        (ENABLED, False, True, False),  # it is in use, on a port of its own
        (RUNNING, True, True, True),
        (RUNNING, False, True, False),
        (OFF, True, True, False),
        (MASKED, True, True, False),
    ],
)
def test_own_unit_of_a_new_package_never_runs(properties: dict[str, str], collides: bool, installs: bool, in_the_way: bool) -> None:
    """A package that this run installs must not bring a server of its own; one that was there is kept unless it has the instance's port."""
    assert in_the_way == package_unit(properties, collides=collides, installs=installs).in_the_way


@pytest.mark.parametrize(
    ("path", "hidden"),
    [("/usr/bin/redis-server", None), ("/opt/redis/bin/redis-server", None), ("/home/me/redis-server", "/home"), ("/tmp/x/y", "/tmp")],  # noqa: S108
)
def test_programs_that_the_unit_hides(path: str, hidden: str) -> None:
    """The server would fail to start under systemd, and only there."""
    assert hidden == hidden_by_unit(path)


def test_links_into_a_hidden_folder_are_seen(tmp_path: Path) -> None:
    """What a link leads to is hidden as well."""
    (tmp_path / "link").symlink_to("/root/bin")
    assert hidden_by_unit(str(tmp_path / "link/redis-server")) in ("/root", "/tmp")  # noqa: S108
    assert module_problems({"loadmodule": str(tmp_path / "link/m.so")}) != []


def test_modules_outside_of_the_library_folders_are_refused() -> None:
    """The message names the path and the folders that are allowed."""
    assert [] == module_problems({"loadmodule": ["/usr/lib/redis/m.so ARG", ["/usr/local/lib/n.so"]]})
    assert [] == module_problems({})
    (problem,) = module_problems({"loadmodule": ["/usr/lib/m.so", "/opt/m.so x"]})
    assert "found '/opt/m.so', allowed: a path below /usr/lib, /lib, /lib64, /usr/local/lib" in problem


def test_places_are_those_of_the_unit() -> None:
    """What is checked is what the unit says."""
    (allowed,) = [line.partition("=")[2].split()[2:] for line in UNIT if line.startswith("ExecPaths=")]
    assert sorted(LIBRARIES) == sorted(folder.lstrip("-") for folder in allowed if "lib" in folder)
    assert {"ProtectHome=true", "PrivateTmp=true", "NoExecPaths=/"} <= set(UNIT)
    assert {"/home", "/root", "/run/user", "/tmp", "/var/tmp"} == set(HIDDEN_BY_UNIT)  # noqa: S108


@pytest.mark.parametrize("place", ["lib/apk/db/installed", "usr/lib/apk/db/installed"])
def test_version_of_an_apk_package(tmp_path: Path, place: str) -> None:
    """Alpine's database is read as it is written: a block of lines for each package, its name before its version."""
    database = tmp_path / place
    database.parent.mkdir(parents=True)
    database.write_text("C:Q1x\nP:musl\nV:1.2.5-r9\n\nC:Q1y\nP:redis\nV:8.0.4-r0\nA:x86_64\n", encoding="utf-8")
    versions = [installed_version(Package("", "", name, "apk"), str(tmp_path)) for name in ("redis", "musl", "valkey")]
    assert ["8.0.4-r0", "1.2.5-r9", ""] == versions


def test_version_of_a_debian_package() -> None:
    """The package that the tests themselves need is installed; one that is not has no version."""
    installed = Package("", "", "redis-server", "apt")
    wanted = subprocess.run(["dpkg-query", "-W", "-f=${Version}", "redis-server"], capture_output=True, text=True, check=True).stdout
    assert (wanted, "") == (installed_version(installed), installed_version(Package("", "", "no-such-package", "apt")))
