# SPDX-License-Identifier: MIT
"""Waiting, for threads: locks, and calls that block."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Lock = threading.Lock
sleep = time.sleep


RECHECK_SECONDS = 0.25  # how often those who wait look whether the owner was lost, of which nobody tells


class Held:
    """
    What the owner of a DeadlineLock has; the lock is free after `release`, or when nothing refers to this any more.

    That is so since an exception of a signal handler may come before the owner has noted that it owns the lock.
    """

    __slots__ = ("__weakref__", "_freed", "is_held")

    def __init__(self, freed: threading.Event) -> None:
        self._freed, self.is_held = freed, True

    def release(self) -> None:
        """Give the lock to who waits for it."""
        self.is_held = False
        self._freed.set()


class DeadlineLock:
    """A lock between threads that is waited for until a deadline."""

    def __init__(self) -> None:
        self._guard, self._freed = threading.RLock(), threading.Event()
        self._owner: weakref.ref[Held] | None = None

    def take(self, deadline: float) -> Held | None:
        """Take it before *deadline*; None if that was not possible."""
        mine = Held(self._freed)
        while True:
            with self._guard:
                owner = None if self._owner is None else self._owner()
                if owner is None or not owner.is_held:
                    self._freed.clear()
                    self._owner = weakref.ref(mine)
                    return mine
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._freed.wait(min(left, RECHECK_SECONDS))


def run_blocking(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do *work*, which waits for a server by itself."""
    return work(*args, **kwargs)
