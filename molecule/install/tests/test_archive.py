# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine was built on the host, and systemd runs it by way of the link."""

from __future__ import annotations

from nodes import Instance


def test_unit_runs_the_release_in_use(instance: Instance) -> None:
    """It is started through the link, reported readiness to systemd, and speaks TLS; no package of the engine is there."""
    release = instance.host.check_output("readlink /opt/keyfleet/redis/current")
    assert f"/opt/keyfleet/redis/{release}/bin/redis-server" == instance.host.check_output("readlink /proc/%s/exe", str(instance.pid()))
    assert "/opt/keyfleet/redis/current/bin/redis-server" in instance.property("ExecStart")
    assert ("notify", "active", "enabled") == tuple(instance.property(name) for name in ("Type", "ActiveState", "UnitFileState"))
    assert "0" == instance.config("tls-port")
    assert not instance.host.package("redis-server").is_installed


def test_server_has_a_user_of_its_own(instance: Instance) -> None:
    """Made by the role, since no package did; it cannot log in and owns no program."""
    user = instance.host.user("redis")
    assert (str(user.uid), "/usr/sbin/nologin") == (instance.host.check_output("stat -c %%u /proc/%s", str(instance.pid())), user.shell)
    assert "" == instance.host.check_output(r"find /opt/keyfleet -not -type l \( -not -user root -o -perm /022 \)")
