# SPDX-License-Identifier: MIT
"""Work beside its caller, for threads: timers, and steps that are made when their caller was interrupted."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

Work = Callable[[], None]

IDLE_SECONDS = 5.0  # how long the thread of the timers stays when there is nothing to do


def finish(work: Work) -> None:
    """Do *work*."""
    work()


class TimerHandle:
    """Work that is to be done."""

    __slots__ = ("_timers", "due", "work")

    def __init__(self, timers: _Thread, due: float, work: Work) -> None:
        self._timers, self.due, self.work = timers, due, work

    def cancel(self) -> None:
        """Do not do it, unless it has begun."""
        self._timers.waiting.pop(self, None)


class _Thread:
    """A thread that does work when it is due, one after the other; it ends when there is none, and is started for the next."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.waiting: dict[TimerHandle, None] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._sleeps_until = 0.0

    def add(self, seconds: float, work: Work) -> TimerHandle:
        handle = TimerHandle(self, time.monotonic() + seconds, work)
        self.waiting[handle] = None
        # Without the lock: the thread inspects what waits after it has said how long it sleeps.
        if self._thread is None or handle.due < self._sleeps_until:
            with self._changed:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="keyfleet timers", daemon=True)
                    self._thread.start()
                self._changed.notify()
        return handle

    def _run(self) -> None:
        while True:
            with self._changed:
                self._sleeps_until = time.monotonic() + IDLE_SECONDS
                first = min((handle.due for handle in list(self.waiting)), default=None)
                if first is not None:
                    self._sleeps_until = min(first, self._sleeps_until)
                self._changed.wait(max(self._sleeps_until - time.monotonic(), 0))
                if not self.waiting:
                    mine, self._thread = self._thread, None
                    if not self.waiting:  # what was added since saw that there is no thread, or is seen here
                        return
                    self._thread = mine
                self._sleeps_until = 0.0
            now = time.monotonic()
            for handle in list(self.waiting):
                if handle.due <= now and self.waiting.pop(handle, handle) is None:
                    handle.work()


class Timers:
    """Does work later, in a thread of its own, which is started when it is needed; after a fork, in one of the child."""

    def __init__(self) -> None:
        self._thread = _Thread()

    def call_later(self, seconds: float, work: Work) -> TimerHandle:
        """Do *work* in *seconds* unless the handle is cancelled before; it must not raise."""
        if self._thread.pid != os.getpid():
            self._thread = _Thread()
        return self._thread.add(seconds, work)
