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


RECHECK_SECONDS = 0.25  # how often waiting threads check whether the owner was lost without notice


class Held:
    """
    What the owner of a DeadlineLock has; the lock is free after `release`, or when nothing refers to this any more.

    That is so since an exception of a signal handler may come before the owner has noted that it owns the lock. For the same reason
    `release` is a function of the interpreter itself, within which no signal is handled.

    Attributes:
        gate: Locked until the owner is done.
        release: Ends the ownership.
    """

    __slots__ = ("__weakref__", "gate", "release")

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()
        self.release = self.gate.release


class DeadlineLock:
    """A lock between threads that is waited for until a deadline."""

    def __init__(self) -> None:
        self._guard = threading.RLock()  # a signal handler may make a call of its own while its thread is in here
        self._owner: weakref.ref[Held] | None = None

    def take(self, deadline: float) -> Held | None:
        """Take it before *deadline*; None if that was not possible."""
        mine = Held()
        try:
            return mine if self._is_taken_by(mine, deadline) else None
        except BaseException:  # as Ctrl-C: its traceback keeps this frame, and what the frame refers to is not lost
            mine.release()
            raise

    def _is_taken_by(self, mine: Held, deadline: float) -> bool:
        while True:
            with self._guard:
                owner = None if self._owner is None else self._owner()
                if owner is None or not owner.gate.locked():
                    self._owner = weakref.ref(mine)
                    return True
            gate = owner.gate
            del owner  # or it would never be seen to be lost
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if gate.acquire(timeout=min(left, RECHECK_SECONDS)):
                gate.release()


def run_blocking(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do *work*, which has its own wait for a server."""
    return work(*args, **kwargs)
