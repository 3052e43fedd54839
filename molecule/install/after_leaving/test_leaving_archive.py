# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is built any more (leave.yml)."""

from __future__ import annotations

from nodes import Instance


def test_releases_stay(instance: Instance) -> None:
    """What was built is there for a way back."""
    assert instance.host.file("/opt/keyfleet/redis/current/bin/redis-server").exists
