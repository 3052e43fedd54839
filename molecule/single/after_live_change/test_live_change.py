# SPDX-License-Identifier: GPL-3.0-or-later
"""A directive and the generated passwords were changed while the server ran, after it had rewritten its own file (live_change.yml)."""

from __future__ import annotations

from pathlib import Path

from nodes import Instance


def test_the_same_process_has_the_new_value(instance: Instance) -> None:
    """Nothing was restarted."""
    assert (instance.cli("GET", "molecule:pid"), "100663296") == (str(instance.pid()), instance.config("maxmemory"))


def test_the_new_value_outlives_what_the_server_wrote(instance: Instance) -> None:
    """After a restart ours holds, though the server's own file says otherwise; modes are kept, no secret moved."""
    own = instance.host.file(f"/var/lib/keyfleet/{instance.name}/server.conf")
    assert "maxmemory 64mb" in own.content_string or "maxmemory 67108864" in own.content_string
    instance.restart()
    assert ("100663296", "900 1 300 10") == (instance.config("maxmemory"), instance.config("save"))
    assert [] == [needle for needle in instance.needles if needle in own.content_string]
    modes = {name: instance.host.file(f"/etc/keyfleet/{instance.name}/{name}").mode for name in ("keyfleet.conf", "users.acl")}
    assert ({"keyfleet.conf": 0o640, "users.acl": 0o640}, 0o600) == (modes, own.mode)


def test_the_passwords_changed(instance: Instance) -> None:
    """The new ones replaced the old ones, which the server refuses. The users are those of the inventory and the administrative one."""
    state = Path(__file__).parents[1] / "inventory/.keyfleet/redis"
    assert [] == [*state.glob("*.next"), *state.glob("*.previous")]
    assert {"app", "default", "keyfleet"} == set(instance.cli("ACL", "USERS").split())
    before, hashes = instance.cli("GET", "molecule:hash"), instance.cli("ACL", "GETUSER", "keyfleet")
    assert (64, False) == (len(before), before in hashes)
