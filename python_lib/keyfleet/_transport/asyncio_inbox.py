# SPDX-License-Identifier: MIT
"""What connections receive without asking, for asyncio: they deliver it, and a task takes it."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from functools import partial
from typing import Any, Generic, TypeVar

from .asyncio_link import Link

T = TypeVar("T")

MOST_WAITING = 10_000  # replies that were not taken yet, before the server has to keep what follows


class Inbox(Generic[T]):
    """What several connections receive unasked, in the order of arrival; one task at a time may wait for it."""

    def __init__(self) -> None:
        self._links: list[Link] = []
        self._arrived: deque[tuple[T, Any, float]] = deque()
        self._changed = asyncio.Event()
        self._is_woken = self._is_held = False

    def add(self, link: Link, owner: T) -> None:
        """Take what *link* receives from now on, and call it *owner*'s."""
        self._links.append(link)
        link.receiver = partial(self._deliver, owner)

    def close_link(self, link: Link) -> None:
        """Close *link*, of which nothing comes any more but what had arrived."""
        link.receiver = None
        if link in self._links:
            self._links.remove(link)
        link.close()

    def _deliver(self, owner: T, reply: Any) -> None:
        self._arrived.append((owner, reply, time.monotonic()))
        self._changed.set()
        if len(self._arrived) >= MOST_WAITING and not self._is_held:
            self._hold(True)

    def _hold(self, is_held: bool) -> None:
        self._is_held = is_held
        for link in self._links:
            link.hold(is_held)

    async def next(self, deadline: float) -> tuple[T, Any, float] | None:
        """
        Wait for the next reply.

        Returns:
            Owner of the connection, its reply or the LostError that ended it, and when it was received, by the monotonic clock;
            None when the time is over, or after `wake`.
        """
        if not self._arrived and not self._is_woken:
            await self._wait(deadline)
        if not self._arrived:
            self._is_woken = False
            return None
        arrival = self._arrived.popleft()
        if self._is_held and len(self._arrived) < MOST_WAITING / 2:
            self._hold(False)
        return arrival

    async def _wait(self, deadline: float) -> None:
        self._changed.clear()
        # also for a deadline that has passed: the loop polls the sockets before it reads the clock
        timer = None if deadline == math.inf else asyncio.get_running_loop().call_at(deadline, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        """Let `next` return immediately, now or the next time."""
        self._is_woken = True
        self._changed.set()

    def close(self) -> None:
        """Close all connections."""
        for link in list(self._links):
            self.close_link(link)
