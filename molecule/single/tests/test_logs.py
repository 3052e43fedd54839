# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a running server is rotated by the logrotate that came with the deployment."""

from __future__ import annotations

from nodes import Instance


def test_logrotate_leaves_the_server_running(instance: Instance) -> None:
    """As root, which takes on the server's user: the process stays, and continues in a new file that no other user can read."""
    log = f"/var/log/keyfleet/{instance.name}/server.log"
    pid = instance.pid()
    instance.host.check_output("logrotate --force --state /tmp/logrotate.state %s", f"/etc/logrotate.d/keyfleet-{instance.name}")
    assert "OK" == instance.cli("CONFIG", "REWRITE")
    found = instance.host.file(log)
    assert (pid, instance.engine, 0o600) == (instance.pid(), found.user, found.mode)
    assert "CONFIG REWRITE" in found.content_string
    assert "CONFIG REWRITE" not in instance.host.file(f"{log}.1").content_string


def test_logrotate_is_called_by_the_system(instance: Instance) -> None:
    """Its timer is on."""
    assert instance.host.service("logrotate.timer").is_enabled
