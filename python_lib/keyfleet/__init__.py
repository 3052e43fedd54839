# SPDX-License-Identifier: MIT
"""Client library for Redis and Valkey: one client for every topology, sync and async, settings from the environment."""

import importlib as _importlib
import typing as _typing

from ._policy import Policy
from .core.connect.settings import Settings, SettingsWarning
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

if _typing.TYPE_CHECKING:
    from ._async.client import AsyncClient
    from ._async.pipeline import AsyncPipeline
    from ._async.scripting import AsyncScript
    from ._async.subscription import AsyncSubscription
    from ._command import Key
    from ._info import MemoryEstimate, PrefixMemory, ServerInfo, SlowLogEntry
    from ._names import KeyGroup, Prefix
    from ._pubsub import Message, Reconnected
    from ._sync.client import Client
    from ._sync.pipeline import Pipeline
    from ._sync.scripting import Script
    from ._sync.subscription import Subscription
    from ._transport.common import Stats
    from .core.health.report import Report as HealthReport

__all__ = [
    "AsyncClient",
    "AsyncPipeline",
    "AsyncScript",
    "AsyncSubscription",
    "BreakerOpenError",
    "Client",
    "ClosedError",
    "CredentialsError",
    "DecodeError",
    "DeniedError",
    "HealthReport",
    "Key",
    "KeyGroup",
    "KeyfleetError",
    "MemoryEstimate",
    "Message",
    "OutcomeUnknown",
    "Pipeline",
    "Policy",
    "PoolTimeoutError",
    "Prefix",
    "PrefixMemory",
    "Reconnected",
    "RefusedError",
    "Script",
    "ServerError",
    "ServerInfo",
    "Settings",
    "SettingsError",
    "SettingsWarning",
    "SlowLogEntry",
    "Stats",
    "Subscription",
    "UnreachableError",
    "WrongTypeError",
]


# Loaded when they are first asked for: most need redis-py, and pytest loads this package for its plugin in every run.
_LATER = {
    "AsyncClient": ("._async.client", "AsyncClient"),
    "AsyncPipeline": ("._async.pipeline", "AsyncPipeline"),
    "AsyncScript": ("._async.scripting", "AsyncScript"),
    "AsyncSubscription": ("._async.subscription", "AsyncSubscription"),
    "Client": ("._sync.client", "Client"),
    "HealthReport": (".core.health.report", "Report"),
    "Key": ("._command", "Key"),
    "KeyGroup": ("._names", "KeyGroup"),
    "MemoryEstimate": ("._info", "MemoryEstimate"),
    "Message": ("._pubsub", "Message"),
    "Pipeline": ("._sync.pipeline", "Pipeline"),
    "Prefix": ("._names", "Prefix"),
    "PrefixMemory": ("._info", "PrefixMemory"),
    "Reconnected": ("._pubsub", "Reconnected"),
    "Script": ("._sync.scripting", "Script"),
    "ServerInfo": ("._info", "ServerInfo"),
    "SlowLogEntry": ("._info", "SlowLogEntry"),
    "Stats": ("._transport.common", "Stats"),
    "Subscription": ("._sync.subscription", "Subscription"),
}


def __getattr__(name: str) -> _typing.Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, item = _LATER[name]
    globals()[name] = found = getattr(_importlib.import_module(module, __name__), item)
    return found
