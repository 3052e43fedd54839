# SPDX-License-Identifier: GPL-3.0-or-later
"""After kill -9 (side_effect.yml) the server is back, with its data."""

from __future__ import annotations

from nodes import Instance


def test_server_returned_with_its_data(instance: Instance) -> None:
    """systemd started another process, which has what the killed one had acknowledged."""
    assert "written right before kill -9" == instance.cli("GET", "molecule:kill")
    assert ("active", instance.pid()) == (instance.property("ActiveState"), int(instance.property("MainPID")))
    assert int(instance.property("NRestarts")) >= 1
