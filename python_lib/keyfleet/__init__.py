# SPDX-License-Identifier: MIT
"""Client library for Redis and Valkey: one client for every topology, sync and async, settings from the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._policy import Policy
from ._sync.client import Client
from ._transport.common import Stats
from .core.errors import (
    BreakerOpenError,
    ClosedError,
    CredentialsError,
    DecodeError,
    DeniedError,
    KeyfleetError,
    OutcomeUnknown,
    PoolTimeoutError,
    RefusedError,
    ServerError,
    SettingsError,
    UnreachableError,
    WrongTypeError,
)
from .core.health import Report as HealthReport
from .core.settings import Settings

if TYPE_CHECKING:
    from ._async.client import AsyncClient

__all__ = [
    "AsyncClient",
    "BreakerOpenError",
    "Client",
    "ClosedError",
    "CredentialsError",
    "DecodeError",
    "DeniedError",
    "HealthReport",
    "KeyfleetError",
    "OutcomeUnknown",
    "Policy",
    "PoolTimeoutError",
    "RefusedError",
    "ServerError",
    "Settings",
    "SettingsError",
    "Stats",
    "UnreachableError",
    "WrongTypeError",
]


def __getattr__(name: str) -> Any:
    """Load what asyncio needs when it is first asked for."""
    if name == "AsyncClient":
        from ._async.client import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
