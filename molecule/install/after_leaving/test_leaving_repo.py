# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository is gone (leave.yml)."""

from __future__ import annotations

from nodes import Instance


def test_package_stays(instance: Instance) -> None:
    """apt does not downgrade automatically."""
    assert "6:7.0.15-1example2" == instance.host.package("redis-server").version
