# SPDX-License-Identifier: MIT - made from _async/capabilities/cache/tracking.py by scripts/generate_sync.py; change that one
"""
Listening to what servers report as changed: CLIENT TRACKING in its broadcasting mode, on one connection to each primary.

The connection redirects the reports to itself, which needs no RESP3, and reads no keys; those are read through the pools as always.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any

from ...._capabilities.cache.local_store import LocalStore
from ...._policy import attempt_seconds, backoff_seconds
from ...._protocol.pubsub import PING
from ...._protocol.resp import ErrorReply, pack
from ...._transport.dialer import Dialer
from ...._transport.failures import LostError, NotSentError
from ...._transport.thread_flights import Background
from ...._transport.thread_inbox import Inbox
from ...._transport.thread_link import Link
from ...._transport.thread_pool import Node
from ...._transport.thread_waits import sleep
from ....core.errors import DeniedError, KeyfleetError, UnreachableError
from ...executor import Engine

CHANNEL = "__redis__:invalidate"
PING_SECONDS = 0.5
VALID_SECONDS = (
    1.5  # after a PING that was answered: what a server that has become unreachable without notice changes is unknown for as long
)
VERIFY_SECONDS = 5.0
CLOSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 2.0
logger = logging.getLogger("keyfleet")


class Tracker:
    """
    Keeps a LocalStore in step with the servers; it ends with its engine, or when nothing refers to *owner* any more.

    Args:
        engine, dialer: Know the servers, and how to connect to them.
        store: What is kept in step.
        prefixes: Beginnings of the names that are reported; none is the beginning of another.
        owner: What the caches of the client share.
    """

    def __init__(self, engine: Engine, dialer: Dialer, store: LocalStore, prefixes: Sequence[str], owner: object) -> None:
        self._engine, self._dialer, self.store = engine, dialer, store
        self._prefixes, self._owner = prefixes, weakref.ref(owner)
        self._links: dict[Node, Link] = {}
        self._inbox: Inbox[Node] = Inbox()
        self._is_closed = False
        self._unanswered: set[Node] = set()
        self._pinged_at = self._verified_at = 0.0
        self._starting = threading.Lock()
        self._background: Background | None = None

    def start(self) -> None:
        """Connect in the background, unless that has begun."""
        with self._starting:
            if self._background is None:
                self._engine.subscriptions.add(self)
                self._background = Background(self._run)

    def forget(self, names: Sequence[str] | None) -> None:
        """Serve none of the keys with these full names; None means any key."""
        if names is None:
            self.store.clear()
        else:
            self.store.invalidate(names)

    def tracks(self, name: str) -> bool:
        """Say whether the server of the key *name* reports its changes."""
        return self._engine.router.find(name, reads=False) in self._links

    def close(self) -> None:
        """Serve nothing any more, and close the connections."""
        self._is_closed = True
        self.store.switch_off("off: the client was closed")
        self._inbox.wake()
        if self._background is not None:
            self._background.end(CLOSE_SECONDS)

    @property
    def _is_wanted(self) -> bool:
        return not self._is_closed and self._owner() is not None

    def _run(self) -> None:
        failures = 0
        try:
            while self._is_wanted:
                begun = time.monotonic()
                trouble = self._follow()
                self._let_go()
                if isinstance(trouble, DeniedError):
                    self.store.switch_off(f"off: {trouble}")
                    logger.warning("the local tier of the cache is off: %s", trouble)
                    return
                self.store.switch_off("connecting")
                failures = 1 if time.monotonic() >= begun + LONGEST_PAUSE_SECONDS else failures + 1
                if self._is_wanted and failures > 1:
                    sleep(backoff_seconds(failures, 0.05, LONGEST_PAUSE_SECONDS))
        finally:
            self._let_go()
            self._inbox.close()
            self._engine.subscriptions.discard(self)
            if self._owner() is None:  # the client was dropped without close()
                self._engine.router.close()

    def _follow(self) -> Exception:
        """Listen as long as all primaries report; return why that ended."""
        try:
            self._connect()
            while self._is_wanted:
                self._step()
        except NotSentError as failure:
            self._relearn()
            return failure.cause
        except (KeyfleetError, LostError) as error:
            self._relearn()
            return error
        return UnreachableError(self._dialer.settings.address, "the client was closed")

    def _relearn(self) -> None:
        with contextlib.suppress(KeyfleetError):
            if self._is_wanted:
                self._engine.relearn(time.monotonic() + self._dialer.settings.timeout_seconds)

    def _connect(self) -> None:
        """Let each primary report changes, and serve from now on."""
        deadline = time.monotonic() + self._dialer.settings.timeout_seconds
        for node in self._engine.primaries(deadline):
            now = time.monotonic()
            link = node.open(now + attempt_seconds(deadline - now))
            try:
                (number,) = self._checked(link.exchange(pack(("CLIENT", "ID")), 1, deadline))
                prefixes = [word for prefix in self._prefixes for word in ("PREFIX", prefix)]
                begin = pack(("CLIENT", "TRACKING", "ON", "REDIRECT", number, "BCAST", *prefixes)) + pack(("SUBSCRIBE", CHANNEL))
                self._checked(link.exchange(begin, 2, deadline))
            except BaseException:
                link.close()
                raise
            self._links[node] = link
            self._inbox.add(link, node)
        self._unanswered.clear()
        self._pinged_at, self._verified_at = -math.inf, time.monotonic()
        self.store.switch_on(time.monotonic() + VALID_SECONDS)

    def _checked(self, replies: list[Any]) -> list[Any]:
        for reply in replies:
            if isinstance(reply, ErrorReply):
                raise self._dialer.translate(reply)
        return replies

    def _step(self) -> None:
        """Take one report, or ask for heartbeats if that is due."""
        now = time.monotonic()
        if now >= self._pinged_at + PING_SECONDS:
            self._ping(now)
        arrival = self._inbox.next(self._pinged_at + PING_SECONDS)
        if arrival is None:
            return
        node, reply, _received_at = arrival
        if isinstance(reply, LostError):
            raise reply
        if isinstance(reply, ErrorReply):
            raise self._dialer.translate(reply)
        if reply[0] == b"message":
            self._take(reply[2])
        elif reply[0] == b"pong":
            self._unanswered.discard(node)
            if not self._unanswered:
                self.store.valid_until = self._pinged_at + VALID_SECONDS

    def _take(self, names: list[bytes] | None) -> None:
        """Remove what changed; None is everything, as after FLUSHDB."""
        self.forget(None if names is None else [name.decode(errors="surrogateescape") for name in names])

    def _ping(self, now: float) -> None:
        if self._unanswered and now >= self._pinged_at + VALID_SECONDS:
            raise LostError("a server is silent")
        if now >= self._verified_at + VERIFY_SECONDS or self._engine.router.has_changes():
            self._verified_at = now
            with contextlib.suppress(NotSentError):
                router = self._engine.router
                router.learn(now + self._dialer.settings.timeout_seconds, router.version, is_suspect=False)
        if set(self._engine.router.primaries()) != self._links.keys():
            raise LostError("other servers hold the keys now")
        if self._unanswered:
            return
        self._pinged_at = now
        self._unanswered = set(self._links)
        for link in self._links.values():
            link.send(PING, now + VALID_SECONDS)

    def _let_go(self) -> None:
        for link in self._links.values():
            self._inbox.close_link(link)
        self._links.clear()
