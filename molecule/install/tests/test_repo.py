# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine comes from the repository, and nothing else does."""

from __future__ import annotations

import re

from nodes import Instance


def candidate(instance: Instance, package: str) -> str:
    """Return the version that apt would install."""
    return str(re.search(r"Candidate: (\S+)", instance.host.check_output("apt-cache policy %s", package))[1])  # type: ignore[index]


def test_packages_are_those_of_the_repository(instance: Instance) -> None:
    """The pinned version, not the newest one; the server runs from it under our unit."""
    versions = [instance.host.package(name).version for name in ("redis-server", "redis-tools")]
    assert ["6:7.0.15-1example1"] * 2 == versions
    assert ("PONG", "active") == (instance.cli("PING"), instance.property("ActiveState"))


def test_nothing_else_comes_from_it(instance: Instance) -> None:
    """apt knows the intruder's version and the engine's newer one, and would take neither: a pinned version stays in every upgrade."""
    instance.host.check_output("apt-get -qq update")
    assert "99:1" in instance.host.check_output("apt-cache madison procps")
    assert not candidate(instance, "procps").startswith("99:")
    assert "6:7.0.15-1example1" == candidate(instance, "redis-server")
    assert [] == re.findall("Inst (procps|redis)", instance.host.check_output("apt-get --simulate dist-upgrade"))


def test_key_counts_for_this_source_alone(instance: Instance) -> None:
    """It is no key that apt trusts for every source."""
    source = instance.host.file("/etc/apt/sources.list.d/keyfleet-redis.sources")
    assert "Signed-By: /etc/apt/keyrings/keyfleet-redis.asc" in source.content_string
    files = [
        source,
        instance.host.file("/etc/apt/keyrings/keyfleet-redis.asc"),
        instance.host.file("/etc/apt/preferences.d/keyfleet-redis.pref"),
    ]
    assert [("root", 0o644)] * 3 == [(file.user, file.mode) for file in files]
    assert [] == instance.host.check_output("find /etc/apt/trusted.gpg.d -newer /srv/repository/dists/stable/InRelease -type f").split()
