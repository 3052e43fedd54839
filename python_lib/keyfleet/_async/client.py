# SPDX-License-Identifier: MIT
"""The client: all its calls in one class."""

from __future__ import annotations

from .calls.capabilities import AsyncCapabilities
from .calls.hashes import AsyncHashCalls
from .calls.keys import AsyncKeyCalls
from .calls.lists import AsyncListCalls
from .calls.pipelining import AsyncPipelining
from .calls.pubsub import AsyncMessageCalls
from .calls.scripting import AsyncScripting
from .calls.server import AsyncServerCalls
from .calls.sets import AsyncSetCalls
from .calls.sorted_sets import AsyncSortedSetCalls


class AsyncClient(
    AsyncKeyCalls,
    AsyncHashCalls,
    AsyncListCalls,
    AsyncSetCalls,
    AsyncSortedSetCalls,
    AsyncPipelining,
    AsyncScripting,
    AsyncServerCalls,
    AsyncMessageCalls,
    AsyncCapabilities,
):
    """
    Keys, JSON values, hashes, lists and sets on a server, a cluster or the primary that Sentinel names.

    Make one with `from_env`, `from_url` or `from_settings`, share it between callers, and close it, best as a context manager. It may
    be used after a fork and, with asyncio, in several event loops: each has its own connections. Keys are given and returned without
    the prefix of the settings. Values are texts, stored as UTF-8.

    Each call has one budget, ``timeout_seconds`` of the settings, for connecting, waiting and all further attempts. Every method
    may raise UnreachableError (no usable answer within the budget) or its subclasses PoolTimeoutError and BreakerOpenError;
    OutcomeUnknown, which is none of these, where the command may have run; CredentialsError, DeniedError, or ServerError for any
    other error of the server; WrongTypeError where the key holds another type; ClosedError after `close`.
    docs/client/guarantees.md says what is tried again when.
    """
