# SPDX-License-Identifier: MIT
"""Callers that write without end, and what they meet."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager

KEYS = [f"{{{tag}}}:{number}" for tag in "abc" for number in range(2)]  # the tags live on three nodes of three
PAUSE_SECONDS = 0.01
JOIN_SECONDS = 30.0

Opening = Callable[[], AbstractContextManager[Callable[[str], object]]]
AsyncOpening = Callable[[], AbstractAsyncContextManager[Callable[[str], Awaitable[object]]]]


class Seen:
    """
    What the callers of one client met.

    Attributes:
        answered: Writes that went well.
        errors: Errors that callers got.
        outage_seconds: The longest time for which one caller got no answer.
    """

    def __init__(self) -> None:
        self.answered = self.errors = 0
        self.outage_seconds = 0.0


class _Caller:
    """Notes what one caller meets."""

    def __init__(self, seen: Seen) -> None:
        self.seen, self._answered_at = seen, time.monotonic()

    def answered(self) -> None:
        self.seen.answered += 1
        self.left()

    def left(self) -> None:
        """Count the time since the last answer, too."""
        now = time.monotonic()
        self.seen.outage_seconds = max(self.seen.outage_seconds, now - self._answered_at)
        self._answered_at = now


class Load:
    """
    Concurrent callers of several clients, one for each of KEYS, until `end`.

    Attributes:
        seen: What the callers of each client met, by its name.
    """

    def __init__(self) -> None:
        self.seen: dict[str, Seen] = {}
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def add_threads(self, name: str, opening: Opening) -> None:
        """Let a thread for each key write with the client that *opening* gives."""
        seen = self.seen[name] = Seen()

        def work() -> None:
            with opening() as write:
                writers = [threading.Thread(target=self._write, args=(seen, write, key), daemon=True) for key in KEYS]
                for writer in writers:
                    writer.start()
                for writer in writers:
                    writer.join()

        self._start(work)

    def add_tasks(self, name: str, opening: AsyncOpening) -> None:
        """Let a task for each key write with the client that *opening* gives, in an event loop of its own."""
        seen = self.seen[name] = Seen()

        async def work() -> None:
            async with opening() as write:
                await asyncio.gather(*(self._write_async(seen, write, key) for key in KEYS))

        self._start(lambda: asyncio.run(work()))

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _write(self, seen: Seen, write: Callable[[str], object], key: str) -> None:
        caller = _Caller(seen)
        while not self._stop.wait(PAUSE_SECONDS):
            try:
                write(key)
            except Exception:  # noqa: BLE001 - whatever a client raises is an error that its caller meets
                seen.errors += 1
            else:
                caller.answered()
        caller.left()

    async def _write_async(self, seen: Seen, write: Callable[[str], Awaitable[object]], key: str) -> None:
        caller = _Caller(seen)
        while not self._stop.is_set():
            try:
                await write(key)
            except Exception:  # noqa: BLE001 - as above
                seen.errors += 1
            else:
                caller.answered()
            await asyncio.sleep(PAUSE_SECONDS)
        caller.left()

    def end(self) -> None:
        """Let every caller finish its call and close the clients; RuntimeError if one hangs."""
        self._stop.set()
        deadline = time.monotonic() + JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
            if thread.is_alive():
                raise RuntimeError(f"a caller hangs {JOIN_SECONDS:g} s after the end of the load")
