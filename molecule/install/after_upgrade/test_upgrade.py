# SPDX-License-Identifier: GPL-3.0-or-later
"""Another version was pinned, or other flags were given (upgrade.yml)."""

from __future__ import annotations

from nodes import Instance


def test_server_was_restarted_with_the_new_program(instance: Instance) -> None:
    """One restart, with the data."""
    started = instance.host.check_output("journalctl --quiet --output=cat --unit %s --grep ^Started", instance.unit)
    assert instance.cli("GET", "molecule:pid") not in {"", str(instance.pid())}
    assert int(instance.cli("GET", "molecule:starts")) + 1 == len(started.splitlines())


def test_new_program_is_the_wished_one(instance: Instance) -> None:
    """The pinned package, or the new release, with the old one beside it."""
    program = instance.host.check_output("readlink /proc/%s/exe", str(instance.pid()))
    if instance.bin_dir == "/usr/bin":
        assert "6:7.0.15-1example2" == instance.host.package("redis-server").version
        return
    releases = [instance.host.check_output("readlink /opt/keyfleet/redis/%s", link) for link in ("current", "previous")]
    assert program == f"/opt/keyfleet/redis/{releases[0]}/bin/redis-server"
    assert sorted(releases) == sorted(f"releases/{name}" for name in instance.host.check_output("ls /opt/keyfleet/redis/releases").split())
