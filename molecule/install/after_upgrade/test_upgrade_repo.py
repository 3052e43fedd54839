# SPDX-License-Identifier: GPL-3.0-or-later
"""Another version was pinned (upgrade.yml)."""

from __future__ import annotations

from nodes import Instance


def test_new_package_is_the_pinned_one(instance: Instance) -> None:
    """Server and tools."""
    versions = [instance.host.package(name).version for name in ("redis-server", "redis-tools")]
    assert ["6:7.0.15-1example2"] * 2 == versions
