# SPDX-License-Identifier: MIT
"""What connections receive without asking, for threads: one of them waits for all of their sockets."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import time
from collections import deque
from typing import Any, Generic, TypeVar

from .._protocol.resp import INCOMPLETE
from .failures import LostError
from .thread_link import Link

T = TypeVar("T")

READ_SECONDS = 0.001  # for what a socket that is ready holds; with TLS that may be less than a reply
LONGEST_WAIT_SECONDS = 3600.0


class Inbox(Generic[T]):
    """What several connections receive unasked, in the order of arrival; for one thread at a time, only `wake` is for any."""

    def __init__(self) -> None:
        self._links: dict[int, tuple[Link, T]] = {}
        self._arrived: deque[tuple[T, Any, float]] = deque()
        self._bell: tuple[socket.socket, socket.socket] | None = None  # what is sent to the second end wakes who waits at the first
        self._is_woken = False
        self._poll = select.poll()
        self._checked_at = time.monotonic()

    def add(self, link: Link, owner: T) -> None:
        """Take what *link* receives from now on, and call it *owner*'s."""
        self._links[link.fileno()] = link, owner
        self._poll.register(link.fileno(), select.POLLIN)

    def close_link(self, link: Link) -> None:
        """Close *link*, of which nothing comes any more but what had arrived."""
        for number in [number for number, (other, _owner) in self._links.items() if other is link]:
            self._forget(number)
        link.close()

    def _forget(self, number: int) -> None:
        del self._links[number]
        self._poll.unregister(number)

    def next(self, deadline: float) -> tuple[T, Any, float] | None:
        """
        Wait for the next reply.

        Returns:
            Owner of the connection, its reply or the LostError that ended it, and when it was received, by the monotonic clock;
            None when the time is over, or after `wake`. Replies that arrived unread get the time of the previous read.
        """
        if not self._arrived:
            self._receive(deadline)
        return self._arrived.popleft() if self._arrived else None

    def _hang_bell(self) -> socket.socket:
        if self._bell is None:
            self._bell = socket.socketpair()
            for end in self._bell:
                end.setblocking(False)
            self._poll.register(self._bell[0], select.POLLIN)
        return self._bell[0]

    def _receive(self, deadline: float) -> None:
        bell = self._hang_bell()
        if self._is_woken:  # read after the bell exists, because `wake` rings it after setting this
            deadline = 0.0
        ready, received_at = self._poll.poll(0), self._checked_at
        if not ready:
            left = min(deadline - time.monotonic(), LONGEST_WAIT_SECONDS)
            ready = self._poll.poll(math.ceil(max(left, 0) * 1000))
            received_at = time.monotonic()
        for number, _event in ready:
            if number in self._links:
                self._read(number, received_at)
            else:
                bell.recv(4096)
        self._is_woken = False
        self._checked_at = time.monotonic()

    def _read(self, number: int, received_at: float) -> None:
        link, owner = self._links[number]
        try:
            reply = link.poll(time.monotonic() + READ_SECONDS)
            while reply is not INCOMPLETE:
                self._arrived.append((owner, reply, received_at))
                reply = link.poll(0.0)
        except LostError as failure:
            self._forget(number)
            self._arrived.append((owner, failure, received_at))

    def wake(self) -> None:
        """Let `next` return immediately, now or the next time."""
        self._is_woken = True
        if self._bell is not None:
            with contextlib.suppress(OSError):  # it was closed, or rung often enough
                self._bell[1].send(b"!")

    def close(self) -> None:
        """Close all connections."""
        for link, _owner in list(self._links.values()):
            self.close_link(link)
        for end in self._bell or ():
            end.close()
