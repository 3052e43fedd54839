# SPDX-License-Identifier: MIT
"""Systems that no test runs on: their tables join to the values that they should, and what they lack is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from keyfleet.core.install.package import PACKAGE_MANAGERS, PackageRequest, missing_packages
from keyfleet.core.install.systems import BASE, System, SystemValues, system_problems

ROOT = Path(__file__).parents[3]
TABLES = yaml.safe_load((ROOT / "roles/redis_server/vars/main/systems.yml").read_text(encoding="utf-8"))["__redis_server_systems"]
APT = {"manager": "apt", "python": "python3-redis", "unit": "redis-server.service", "config": "/etc/redis/redis.conf"}
DNF = {"manager": "dnf", "python": "python3-redis", "unit": "valkey.service", "config": "/etc/valkey/valkey.conf"}
PINNED = {**APT, "packages": ["redis-server=1-2", "redis-tools=1-2"]}
# For each system: ID, ID_LIKE and release of os-release, its name for people, the engine of its archive, and what follows.
SYSTEMS: dict[str, tuple[tuple[str, str, str], str, str, dict[str, Any]]] = {
    "debian12": (("debian", "", "12"), "Debian 12", "redis", PINNED),
    "debian13": (("debian", "", "13"), "Debian 13", "redis", PINNED),
    "ubuntu22": (("ubuntu", "debian", "22"), "Ubuntu 22", "", PINNED),
    "ubuntu24": (("ubuntu", "debian", "24"), "Ubuntu 24", "redis", PINNED),
    "ubuntu26": (("ubuntu", "debian", "26"), "Ubuntu 26", "redis", PINNED),
    "rocky9": (
        ("rocky", "rhel centos fedora", "9"),
        "Rocky 9",
        "redis",
        {**DNF, "unit": "redis.service", "config": "/etc/redis/redis.conf", "packages": ["@redis:7", "redis-1-2"]},
    ),
    "rhel10": (("rhel", "fedora", "10"), "RedHat 10", "valkey", {**DNF, "packages": ["valkey-1-2"]}),
    "alma10": (("almalinux", "rhel centos fedora", "10"), "AlmaLinux 10", "valkey", {**DNF, "packages": ["valkey-1-2"]}),
    "fedora": (("fedora", "", "43"), "Fedora 43", "valkey", {**DNF, "packages": ["valkey-1-2"]}),
    "alpine": (
        ("alpine", "", "3"),
        "Alpine 3",
        "redis",
        {"manager": "apk", "python": "py3-redis", "unit": "redis.service", "config": "/etc/redis.conf", "packages": ["redis=1-2"]},
    ),
}
# A system, the engine that it does not have, and words of the refusal.
LACKS = {
    "debian12": ("valkey", ["Debian 12", "Debian 13", "redis_server_engine: redis", "redis_server_install_method: none"]),
    "alma10": ("redis", ["AlmaLinux 10", "has Valkey in its place", "redis_server_engine: valkey"]),
    "fedora": ("redis", ["Fedora 43", "has Valkey in its place", "redis_server_engine: valkey"]),
    "ubuntu22": ("redis", ["Ubuntu 22", "Redis 6.0", "7.0", "redis_server_install_method: none"]),
}


def system_of(name: str) -> System:
    """Return a system of the list."""
    (identifier, like, release), *_unused = SYSTEMS[name]
    return System.of(identifier, like.split(), release)


def problems(system: System, engine: str, method: str, user: str = "") -> list[str]:
    """Return what is refused on a system."""
    return list(system_problems(system, SystemValues.of(system, TABLES), engine, method, user))


def test_every_table_belongs_to_a_system_of_the_test() -> None:
    """A new table needs an entry in SYSTEMS."""
    assert set(TABLES) <= {table for name in SYSTEMS for table in system_of(name).tables}
    assert {TABLES[name]["package_manager"] for name in TABLES if "package_manager" in TABLES[name]} == set(PACKAGE_MANAGERS)


@pytest.mark.parametrize("name", SYSTEMS)
def test_values_are_those_of_the_system(name: str) -> None:
    """Packages, unit and paths are the system's own, a pinned version is written as its package manager wants, what it lacks is said."""
    _release, shown, engine, expected = SYSTEMS[name]
    system = system_of(name)
    values, taken = SystemValues.of(system, TABLES), engine or "redis"
    package = values.package(taken)
    arguments = [request.argument for request in values.packages(taken, "1-2", log_rotation=True)]
    assert shown == system.name
    assert [*expected["packages"], expected["python"], "logrotate"] == arguments
    assert arguments[:-1] == [request.argument for request in values.packages(taken, "1-2", log_rotation=False)]
    assert (expected["manager"], expected["unit"], expected["config"]) == (package.manager, package.unit, package.config)
    assert not package.name.startswith("@")
    assert [] == problems(system, engine, "distro") if engine else {"redis", "valkey"} == set(values.lacks)


@pytest.mark.parametrize("name", LACKS)
def test_an_engine_that_the_system_lacks_is_refused(name: str) -> None:
    """With the reason and the way out; only where its packages are asked for."""
    engine, words = LACKS[name]
    (problem,) = problems(system_of(name), engine, "distro")
    assert [] == [word for word in [f"redis_server_engine is {engine!r}", *words] if word not in problem]
    assert [] == problems(system_of(name), engine, "none")


def test_a_system_that_is_not_known_is_refused() -> None:
    """It has the values of the base table alone, and no engine."""
    system = System.of("arch", [], "")
    assert "Arch" == system.name
    (problem,) = problems(system, "valkey", "distro")
    assert "redis_server_engine is 'valkey'" in problem
    assert "on Arch: the role does not know its packages. Put the program" in problem
    assert SystemValues.of(system, TABLES) == SystemValues.of(System("", "", ""), {BASE: TABLES[BASE]})


def test_packages_need_root_and_a_repository_needs_apt() -> None:
    """All that is wrong is said together."""
    (root,) = problems(system_of("debian12"), "redis", "distro", "nobody")
    assert "the user on the host is 'nobody': become root (ansible_become: true)" in root
    both = problems(system_of("alpine"), "redis", "repo", "nobody")
    assert ["become root", "for apt, and Alpine 3 has apk"] == [
        word for word, problem in zip(["become root", "for apt, and Alpine 3 has apk"], both) if word in problem
    ]


def test_missing_packages_are_those_that_are_not_there_as_asked(tmp_path: Path) -> None:
    """Another version counts as missing; a module of dnf is not judged."""
    database = tmp_path / "lib/apk/db/installed"
    database.parent.mkdir(parents=True)
    database.write_text("P:redis\nV:8.0.4-r0\n\nP:py3-redis\nV:5.0-r1\n", encoding="utf-8")
    requests = [
        PackageRequest("@redis:7", "", "@redis:7"),
        PackageRequest("redis", "8.0.4-r0", "redis=8.0.4-r0"),
        PackageRequest("redis", "8.0.5-r0", "redis=8.0.5-r0"),
        PackageRequest("py3-redis", "", "py3-redis"),
        PackageRequest("logrotate", "", "logrotate"),
    ]
    assert ["redis=8.0.5-r0", "logrotate"] == missing_packages(requests, "apk", str(tmp_path))
