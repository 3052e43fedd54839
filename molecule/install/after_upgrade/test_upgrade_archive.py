# SPDX-License-Identifier: GPL-3.0-or-later
"""Other flags were given (upgrade.yml); runs after the tests that compare the process."""

from __future__ import annotations

from nodes import Instance

RELEASES = "/opt/keyfleet/redis"


def links(instance: Instance) -> list[str]:
    """Return where current and previous lead."""
    return [instance.host.check_output("readlink %s", f"{RELEASES}/{link}") for link in ("current", "previous")]


def program(instance: Instance) -> str:
    """Return the program of the running server."""
    return str(instance.host.check_output("readlink /proc/%s/exe", str(instance.pid())))


def test_new_release_is_in_use_and_the_old_one_is_beside_it(instance: Instance) -> None:
    """The server runs from the release that current leads to."""
    found = links(instance)
    assert program(instance) == f"{RELEASES}/{found[0]}/bin/redis-server"
    assert sorted(found) == sorted(f"releases/{name}" for name in instance.host.check_output("ls %s", f"{RELEASES}/releases").split())


def test_way_back_without_ansible(instance: Instance) -> None:
    """The commands of docs/operations/install_methods.md: the release before is started, with the data."""
    before = links(instance)[1]
    instance.host.check_output('cd /opt/keyfleet/redis && ln -sfn "$(readlink previous)" current && systemctl restart keyfleet@default')
    assert program(instance) == f"{RELEASES}/{before}/bin/redis-server"
    assert "" != instance.cli("GET", "molecule:pid")
