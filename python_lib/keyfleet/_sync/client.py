# SPDX-License-Identifier: MIT - made from _async/client.py by scripts/generate_sync.py; change that one
"""The client: all its calls in one class."""

from __future__ import annotations

from .calls.capabilities import Capabilities
from .calls.hashes import HashCalls
from .calls.keys import KeyCalls
from .calls.lists import ListCalls
from .calls.pipelining import Pipelining
from .calls.pubsub import MessageCalls
from .calls.scripting import Scripting
from .calls.server import ServerCalls
from .calls.sets import SetCalls
from .calls.sorted_sets import SortedSetCalls


class Client(
    KeyCalls,
    HashCalls,
    ListCalls,
    SetCalls,
    SortedSetCalls,
    Pipelining,
    Scripting,
    ServerCalls,
    MessageCalls,
    Capabilities,
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
