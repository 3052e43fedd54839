# SPDX-License-Identifier: MIT
"""One load that many tasks wait for; and work in the background."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar, Union

T = TypeVar("T")

Loaded = Union[Awaitable[T], T]  # what a loader returns: the value, or something to await

_background: set[asyncio.Task[Any]] = set()  # a loop keeps no tasks alive


async def loaded(result: Loaded[T]) -> T:
    """Return what a loader's *result* is, or becomes."""
    return await result if inspect.isawaitable(result) else result


class Background:
    """
    Work in a task of its own; its errors are its own matter.

    Args:
        work: What is done.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._task = asyncio.get_running_loop().create_task(work())
        _background.add(self._task)
        self._task.add_done_callback(_background.discard)

    async def end(self, timeout_seconds: float) -> None:
        """Wait until the work is done, and cancel it if that takes too long."""
        await asyncio.wait([self._task], timeout=timeout_seconds)
        if self._task.cancel():
            await asyncio.wait([self._task])


class Flight:
    """
    One load, in a task of its own, so that a caller that is cancelled takes no other caller's value along.

    Args:
        interrupted: For the twin for threads.
    Attributes:
        token: Of its lease; None before it loads, or without a lease.
        versions: Of its tags when loading began.
        is_loading: Whether the loader was called.
        is_background: Whether no caller waits for it.
    """

    def __init__(self, interrupted: Any) -> None:
        del interrupted  # a caller that leaves does not end the load
        self.token: bytes | None = None
        self.versions: Mapping[str, int] = {}
        self.is_loading = self.is_background = False
        self._task: asyncio.Task[Any] | None = None
        self._waiting = 0
        self._leave: Callable[[], None] = lambda: None

    async def lead(self, work: Callable[[], Coroutine[Any, Any, Any]], leave: Callable[[], None]) -> Any:
        """
        Do *work* and return its outcome.

        Args:
            leave: Called as soon as no further caller may join.
        """
        self._leave = leave
        self._task = asyncio.get_running_loop().create_task(work())
        self._task.add_done_callback(_take_error)
        self._task.add_done_callback(lambda _task: leave())
        return await self.join()

    async def join(self) -> Any:
        """Wait for the outcome; when the last caller that waits is cancelled, the work is, too."""
        task = self._task
        if task is None:
            raise RuntimeError("the flight has no leader")
        self._waiting += 1
        try:
            await asyncio.wait([task])
            return task.result()
        finally:
            self._waiting -= 1
            if not self._waiting and not task.done():
                self._leave()
                task.cancel()


def _take_error(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
