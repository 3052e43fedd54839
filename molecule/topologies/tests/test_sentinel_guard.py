# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with a Sentinel alone: hardened, started again after a reboot, and no stranger asks it."""

from __future__ import annotations

from typing import Any

UNIT = "keyfleet-sentinel.service"


def test_is_a_unit_of_the_engines_user(host: Any, sentinel_engine: str) -> None:
    """It runs, comes back, and has no capabilities."""
    facts = dict(
        line.split("=", 1)
        for line in host.check_output("systemctl show --property=ActiveState,UnitFileState,MainPID,User %s", UNIT).splitlines()
    )
    assert ("active", "enabled", sentinel_engine) == (facts["ActiveState"], facts["UnitFileState"], facts["User"])
    status = host.file(f"/proc/{facts['MainPID']}/status").content_string
    assert "CapEff:\t0000000000000000" in status


def test_wants_a_password(host: Any, sentinel_engine: str) -> None:
    """Who reaches the port learns nothing."""
    refused = host.run(f"{sentinel_engine}-cli -p 26379 SENTINEL MASTERS")
    assert "NOAUTH" in refused.stdout + refused.stderr


def test_runs_no_server(host: Any) -> None:
    """Its inventory has no instance."""
    assert "" == host.check_output("ss --no-header --listening --tcp --numeric 'sport = :6379'")
