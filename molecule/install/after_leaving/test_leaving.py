# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts went back to the archive of the distribution (leave.yml)."""

from __future__ import annotations

from nodes import Instance

PROGRAM = "/usr/bin/redis-check-rdb"
"""What Debian's redis-server is a link to."""


def test_server_runs_from_the_package(instance: Instance) -> None:
    """With its data; what the other method left is what the documents say."""
    distribution = Instance(instance.host, instance.name, instance.port, instance.password)
    assert PROGRAM == instance.host.check_output("readlink /proc/%s/exe", str(distribution.pid()))
    assert "" != distribution.cli("GET", "molecule:pid")
    assert "" == instance.host.check_output("find /etc/apt -name 'keyfleet*'")
    instance.host.check_output("apt-get -qq update")
    assert "99:1" not in instance.host.check_output("apt-cache madison procps")


def test_what_stays(instance: Instance) -> None:
    """apt does not go back by itself, and releases are kept."""
    if instance.bin_dir == "/usr/bin":
        assert "6:7.0.15-1example2" == instance.host.package("redis-server").version
    else:
        assert instance.host.file("/opt/keyfleet/redis/current/bin/redis-server").exists
