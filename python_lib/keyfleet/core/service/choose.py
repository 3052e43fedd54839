# SPDX-License-Identifier: MIT
"""Who runs the servers of a host: systemd, or a small supervisor of keyfleet where there is no init system."""

from __future__ import annotations

from ..errors import RefusedError
from ..host.init_system import runs_systemd
from ..layout import Layout
from .manager import ServiceManager, ServiceStatus
from .process import ProcessManager
from .systemd import SystemdManager

KINDS = ("systemd", "process")

__all__ = ["KINDS", "ServiceManager", "ServiceStatus", "choose", "manager_for"]


def choose(kind: str) -> str:
    """Return one of KINDS: *kind* itself, or for ``auto`` what runs the host."""
    if kind != "auto":
        return kind
    return "systemd" if runs_systemd() else "process"


def manager_for(kind: str, layout: Layout, *, timeout_seconds: float = 600.0) -> ServiceManager:
    """
    Return the manager of one instance.

    Args:
        kind: One of KINDS.
        timeout_seconds: How long a start may take, loading the data included under systemd.
    Raises:
        RefusedError: for another kind.
    """
    if kind == "systemd":
        return SystemdManager(layout, timeout_seconds=timeout_seconds)
    if kind == "process":
        return ProcessManager(layout, timeout_seconds=timeout_seconds)
    raise RefusedError(f"service manager {kind!r} is unknown; allowed: {', '.join(KINDS)}")
