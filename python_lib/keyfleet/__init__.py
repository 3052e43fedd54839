# SPDX-License-Identifier: MIT
"""Client library for Redis and Valkey: one Client for every topology, settings from the environment."""

from ._client import Client
from .core.errors import (
    CredentialsError,
    DecodeError,
    DeniedError,
    KeyfleetError,
    RefusedError,
    ServerError,
    SettingsError,
    UnreachableError,
    WrongTypeError,
)
from .core.health import Report as HealthReport
from .core.settings import Settings

__all__ = [
    "Client",
    "CredentialsError",
    "DecodeError",
    "DeniedError",
    "HealthReport",
    "KeyfleetError",
    "RefusedError",
    "ServerError",
    "Settings",
    "SettingsError",
    "UnreachableError",
    "WrongTypeError",
]
