# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts went back to the archive of the distribution (leave.yml)."""

from __future__ import annotations

from dataclasses import replace

from nodes import Instance

PROGRAM = "/usr/bin/redis-check-rdb"
"""What Debian's redis-server is a link to."""


def test_server_runs_from_the_package(instance: Instance) -> None:
    """With its data, and apt has no file of keyfleet."""
    packaged = replace(instance, bin_dir="/usr/bin")
    assert PROGRAM == instance.host.check_output("readlink /proc/%s/exe", str(packaged.pid()))
    assert "" != packaged.cli("GET", "molecule:pid")
    assert "" == instance.host.check_output("find /etc/apt -name 'keyfleet*'")
    instance.host.check_output("apt-get -qq update")
    assert "99:1" not in instance.host.check_output("apt-cache madison procps")
