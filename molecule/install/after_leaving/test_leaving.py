# SPDX-License-Identifier: GPL-3.0-or-later
"""The host went back to the archive of the distribution (leave.yml)."""

from __future__ import annotations

from nodes import Instance


def test_repository_is_gone_and_the_package_stays(instance: Instance) -> None:
    """Source, key and pin are gone; apt works; the program stays, since apt does not go back by itself."""
    assert "" == instance.host.check_output("find /etc/apt -name 'keyfleet*'")
    instance.host.check_output("apt-get -qq update")
    assert "99:1" not in instance.host.check_output("apt-cache madison procps")
    assert "6:7.0.15-1example2" == instance.host.package("redis-server").version
    assert "PONG" == instance.cli("PING")
