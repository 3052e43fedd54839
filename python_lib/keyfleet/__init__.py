# SPDX-License-Identifier: MIT
"""Client library for Redis and Valkey: one client for every topology, sync and async, settings from the environment."""

import importlib as _importlib
import typing as _typing

from ._policy import CallRecord, Policy
from .core.connect.settings import Settings, SettingsWarning
from .core.errors import (
    BreakerOpenError,
    CertificateError,
    ClosedError,
    ConflictError,
    CredentialsError,
    DecodeError,
    DeniedError,
    InvalidationError,
    KeyfleetError,
    LockLostError,
    LockTimeoutError,
    OutcomeUnknown,
    PoolTimeoutError,
    RateLimitedError,
    RefusedError,
    ServerError,
    SettingsError,
    TokenInvalidError,
    TokenReusedError,
    UnreachableError,
    WrongTypeError,
)

if _typing.TYPE_CHECKING:
    from ._async.calls.pipeline import AsyncPipeline
    from ._async.calls.scripting import AsyncScript
    from ._async.capabilities.locks import AsyncLock
    from ._async.client import AsyncClient
    from ._async.subscription import AsyncSubscription
    from ._capabilities.cache.local_store import LocalStats
    from ._capabilities.cache.options import CacheOptions
    from ._capabilities.cache.stats import CacheStats
    from ._capabilities.rate_limit_outages import LocalShare, RateLimitStats
    from ._capabilities.rate_limits import Limit, RateLimitResult
    from ._capabilities.sessions import Session, SessionData, SessionEntry
    from ._capabilities.tokens import RefreshToken
    from ._protocol.command import Key
    from ._protocol.info import MemoryEstimate, PrefixMemory, ServerInfo, SlowLogEntry
    from ._protocol.key_names import KeyGroup, Prefix
    from ._protocol.pubsub import Message, Reconnected
    from ._protocol.ttl import TTL
    from ._sync.calls.pipeline import Pipeline
    from ._sync.calls.scripting import Script
    from ._sync.capabilities.locks import Lock
    from ._sync.client import Client
    from ._sync.subscription import Subscription
    from ._transport.login import PasswordFile, RotatingPassword
    from ._transport.stats import Stats
    from .core.health.report import HealthReport

__all__ = [
    "AsyncClient",
    "AsyncLock",
    "AsyncPipeline",
    "AsyncScript",
    "AsyncSubscription",
    "BreakerOpenError",
    "CacheOptions",
    "CacheStats",
    "CallRecord",
    "CertificateError",
    "Client",
    "ClosedError",
    "ConflictError",
    "CredentialsError",
    "DecodeError",
    "DeniedError",
    "HealthReport",
    "InvalidationError",
    "Key",
    "KeyGroup",
    "KeyfleetError",
    "Limit",
    "LocalShare",
    "LocalStats",
    "Lock",
    "LockLostError",
    "LockTimeoutError",
    "MemoryEstimate",
    "Message",
    "OutcomeUnknown",
    "PasswordFile",
    "Pipeline",
    "Policy",
    "PoolTimeoutError",
    "Prefix",
    "PrefixMemory",
    "RateLimitResult",
    "RateLimitStats",
    "RateLimitedError",
    "Reconnected",
    "RefreshToken",
    "RefusedError",
    "RotatingPassword",
    "Script",
    "ServerError",
    "ServerInfo",
    "Session",
    "SessionData",
    "SessionEntry",
    "Settings",
    "SettingsError",
    "SettingsWarning",
    "SlowLogEntry",
    "Stats",
    "Subscription",
    "TTL",
    "TokenInvalidError",
    "TokenReusedError",
    "UnreachableError",
    "WrongTypeError",
]


# Loaded when they are first asked for: most need redis-py, and pytest loads this package for its plugin in every run.
_LATER = {
    "AsyncClient": ("._async.client", "AsyncClient"),
    "AsyncLock": ("._async.capabilities.locks", "AsyncLock"),
    "AsyncPipeline": ("._async.calls.pipeline", "AsyncPipeline"),
    "AsyncScript": ("._async.calls.scripting", "AsyncScript"),
    "AsyncSubscription": ("._async.subscription", "AsyncSubscription"),
    "CacheOptions": ("._capabilities.cache.options", "CacheOptions"),
    "CacheStats": ("._capabilities.cache.stats", "CacheStats"),
    "Client": ("._sync.client", "Client"),
    "HealthReport": (".core.health.report", "HealthReport"),
    "Key": ("._protocol.command", "Key"),
    "KeyGroup": ("._protocol.key_names", "KeyGroup"),
    "Limit": ("._capabilities.rate_limits", "Limit"),
    "LocalShare": ("._capabilities.rate_limit_outages", "LocalShare"),
    "LocalStats": ("._capabilities.cache.local_store", "LocalStats"),
    "Lock": ("._sync.capabilities.locks", "Lock"),
    "MemoryEstimate": ("._protocol.info", "MemoryEstimate"),
    "Message": ("._protocol.pubsub", "Message"),
    "PasswordFile": ("._transport.login", "PasswordFile"),
    "Pipeline": ("._sync.calls.pipeline", "Pipeline"),
    "Prefix": ("._protocol.key_names", "Prefix"),
    "PrefixMemory": ("._protocol.info", "PrefixMemory"),
    "RateLimitResult": ("._capabilities.rate_limits", "RateLimitResult"),
    "RateLimitStats": ("._capabilities.rate_limit_outages", "RateLimitStats"),
    "Reconnected": ("._protocol.pubsub", "Reconnected"),
    "RefreshToken": ("._capabilities.tokens", "RefreshToken"),
    "RotatingPassword": ("._transport.login", "RotatingPassword"),
    "Script": ("._sync.calls.scripting", "Script"),
    "ServerInfo": ("._protocol.info", "ServerInfo"),
    "Session": ("._capabilities.sessions", "Session"),
    "SessionData": ("._capabilities.sessions", "SessionData"),
    "SessionEntry": ("._capabilities.sessions", "SessionEntry"),
    "SlowLogEntry": ("._protocol.info", "SlowLogEntry"),
    "Stats": ("._transport.stats", "Stats"),
    "Subscription": ("._sync.subscription", "Subscription"),
    "TTL": ("._protocol.ttl", "TTL"),
}


def __getattr__(name: str) -> _typing.Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, item = _LATER[name]
    globals()[name] = found = getattr(_importlib.import_module(module, __name__), item)
    return found
