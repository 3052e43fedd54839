# SPDX-License-Identifier: MIT
"""What one server pushes, taken without waiting, for threads: each caller polls the socket."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

from .._protocol.resp import INCOMPLETE
from .dialer import Address, Dialer
from .failures import LostError, NotSentError
from .thread_link import Link

READ_SECONDS = 0.001  # for what a socket that is ready holds; with TLS that may be less than a reply
SEND_SECONDS = 0.1  # a few bytes always fit, unless the server has stopped reading


class Feed:
    """
    A connection whose replies are polled from time to time.

    Attributes:
        address: The server.
    """

    def __init__(self, link: Link) -> None:
        self.address = link.address
        self._link, self._lock = link, threading.Lock()
        self._arrived: list[Any] = []

    @classmethod
    def open(cls, dialer: Dialer, address: Address, data: bytes, reply_count: int, deadline: float) -> Feed:
        """Connect, send *data* and wait for its replies, which `take` returns; NotSentError or LostError says why not."""
        link = Link.open(dialer, address, deadline)
        feed = cls(link)
        try:
            feed._arrived += link.exchange(data, reply_count, deadline)
        except BaseException:
            feed.close()
            raise
        return feed

    def take(self) -> list[Any]:
        """Return what has arrived; the LostError that ended the connection comes last. What another thread takes now is that one's."""
        if not self._lock.acquire(blocking=False):
            return []
        try:
            arrived, self._arrived = self._arrived, []
            if self._link.is_closed or not self._link.is_stale():
                return arrived
            with contextlib.suppress(LostError):
                reply = self._link.poll(time.monotonic() + READ_SECONDS)
                while reply is not INCOMPLETE:
                    arrived.append(reply)
                    reply = self._link.poll(0.0)
                return arrived
            return [*arrived, LostError("the server closed the connection")]
        finally:
            self._lock.release()

    def post(self, data: bytes) -> None:
        """Send *data* without waiting; a connection that does not take it is closed, which the next `take` reports."""
        with self._lock, contextlib.suppress(NotSentError, LostError):
            self._link.send(data, time.monotonic() + SEND_SECONDS)
            return
        self._arrived.append(LostError("the connection takes no more data"))

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._link.close()
