# SPDX-License-Identifier: MIT
"""
Waiting, for asyncio: locks, seats, and calls that block.

asyncio.wait_for is not used anywhere in the client: before Python 3.12 it may return although its task was cancelled.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

sleep = asyncio.sleep


class Seats:
    """
    A number of seats for tasks of one loop; who finds none waits in line, until a deadline.

    Args:
        count: How many there are.
    """

    __slots__ = ("_free", "_line")

    def __init__(self, count: int) -> None:
        self._free = count
        self._line: deque[asyncio.Future[bool]] = deque()

    @property
    def are_taken(self) -> bool:
        """Whether the next one has to wait."""
        return not self._free

    async def take(self, deadline: float | None = None) -> bool:
        """
        Take a seat; `leave` must follow.

        Args:
            deadline: Longest wait, by the monotonic clock; None forever.
        Returns:
            False if there was none in time, or the line was sent away.
        """
        if self._free:
            self._free -= 1
            return True
        loop = asyncio.get_running_loop()
        place: asyncio.Future[bool] = loop.create_future()
        self._line.append(place)
        # by a delay: the loop's clock need not be the monotonic one
        timer = None if deadline is None else loop.call_later(max(deadline - time.monotonic(), 0), _send_away, place)
        try:
            return await place
        except BaseException:
            if place.done() and not place.cancelled() and place.result():  # it was given in the same turn of the loop
                self.leave()
            raise
        finally:
            if timer is not None:
                timer.cancel()
            if not place.done():
                place.cancel()

    def leave(self) -> None:
        """Give a seat to the next in line."""
        while self._line:
            place = self._line.popleft()
            if not place.done():
                place.set_result(True)
                return
        self._free += 1

    def send_away(self) -> None:
        """Let all who wait go without a seat."""
        while self._line:
            _send_away(self._line.popleft())


def _send_away(place: asyncio.Future[bool]) -> None:
    if not place.done():
        place.set_result(False)


class Lock:
    """A lock between tasks, whose owner is chosen in the order of asking."""

    __slots__ = ("_seats",)

    def __init__(self) -> None:
        self._seats = Seats(1)

    async def __aenter__(self) -> None:
        await self._seats.take()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._seats.leave()


class Held:
    """What the owner of a DeadlineLock has."""

    __slots__ = ("_seats",)

    def __init__(self, seats: Seats) -> None:
        self._seats = seats

    def release(self) -> None:
        """Give the lock to the next in line."""
        self._seats.leave()


class DeadlineLock:
    """A lock between tasks that is waited for until a deadline."""

    __slots__ = ("_seats",)

    def __init__(self) -> None:
        self._seats = Seats(1)

    async def take(self, deadline: float) -> Held | None:
        """Take it before *deadline*; None if that was not possible."""
        return Held(self._seats) if await self._seats.take(deadline) else None


async def run_blocking(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do *work*, which waits for a server on its own, in a thread."""
    return await asyncio.to_thread(work, *args, **kwargs)
