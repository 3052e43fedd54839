# SPDX-License-Identifier: MIT
"""Loaders for tests of the cache: they count their runs, and take a while without holding up the event loop of their client."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from support.clients import Blocking

T = TypeVar("T")


class Loader:
    """
    Returns the result of *make*, which is given the number of the run, after a while.

    Attributes:
        runs: How often it was called.
    """

    def __init__(self, client: Any, make: Callable[[int], Any] = lambda run: run, seconds: float = 0.0) -> None:
        self._is_async, self._make, self._seconds = isinstance(client, Blocking), make, seconds
        self._guard = threading.Lock()
        self.runs = 0

    def _begun(self) -> int:
        with self._guard:
            self.runs += 1
            return self.runs

    def __call__(self, *_arguments: Any) -> Any:
        """Load, or return the coroutine that does."""
        if self._is_async:
            return self._load()
        run = self._begun()
        time.sleep(self._seconds)
        return self._make(run)

    async def _load(self) -> Any:
        run = self._begun()
        await asyncio.sleep(self._seconds)
        return self._make(run)


def at_once(count: int, call: Callable[[int], T]) -> list[T | Exception]:
    """Return what *call* returns or raises in *count* threads that begin together."""
    gate = threading.Barrier(count)

    def work(number: int) -> T | Exception:
        gate.wait()
        try:
            return call(number)
        except Exception as error:  # noqa: BLE001 - whatever the call raises is a result
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Return whether *holds* becomes true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
