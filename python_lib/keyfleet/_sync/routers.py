# SPDX-License-Identifier: MIT - made from _async/routers.py by scripts/generate_sync.py; change that one
"""The router that a deployment needs; what the others need is not loaded."""

from __future__ import annotations

from .._transport.dialer import Dialer
from .router import Router


def make_router(dialer: Dialer) -> Router:
    """Return the router for the settings of *dialer*; what a deployment does not need is not loaded."""
    if dialer.settings.cluster_nodes:
        from .cluster_router import ClusterRouter

        return ClusterRouter(dialer)
    if dialer.settings.sentinels:
        from .sentinel_router import SentinelRouter

        return SentinelRouter(dialer)
    return Router(dialer)
