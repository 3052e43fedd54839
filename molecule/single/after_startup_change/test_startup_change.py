# SPDX-License-Identifier: GPL-3.0-or-later
"""A directive was changed that the server reads when it starts (startup_change.yml)."""

from __future__ import annotations

from nodes import Instance


def test_one_restart_applied_it_and_kept_the_data(instance: Instance) -> None:
    """Another process, started once more than before, which has the keys that were written before."""
    started = instance.host.check_output("journalctl --quiet --output=cat --unit %s --grep ^Started", instance.unit)
    assert instance.cli("GET", "molecule:pid") not in {"", str(instance.pid())}
    assert int(instance.cli("GET", "molecule:starts")) + 1 == len(started.splitlines())
    assert ("20", "100663296") == (instance.config("databases"), instance.config("maxmemory"))


def test_log_goes_to_the_journal(instance: Instance) -> None:
    """What the new process says is in the journal of its unit, and no file for logrotate is left."""
    said = instance.host.check_output("journalctl --quiet --output=cat --unit %s _PID=%s", instance.unit, str(instance.pid()))
    assert "eady to accept connections" in said  # on a socket that keyfleet counts on, Redis 7.0 begins the sentence otherwise
    assert "" == instance.config("logfile")
    assert not instance.host.file(f"/etc/logrotate.d/keyfleet-{instance.name}").exists
