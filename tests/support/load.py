# SPDX-License-Identifier: MIT
"""Calls from several threads while something happens, and what became of each call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import TracebackType

from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.testing._server import wait_until

Work = Callable[[int], object]

TIMEOUT_SECONDS = 30.0


class Worker(threading.Thread):
    """
    Does its work again and again, with 0, 1, 2 …, until it is stopped.

    Attributes:
        done: The numbers whose work succeeded.
        errors: What the others raised.
        results: What the work returned, for each of *done*.
    """

    def __init__(self, work: Work) -> None:
        super().__init__(daemon=True)
        self.done: list[int] = []
        self.results: list[object] = []
        self.errors: list[Exception] = []
        self._work, self._stopped = work, threading.Event()

    def run(self) -> None:
        """Work."""
        number = 0
        while not self._stopped.is_set():
            try:
                self.results.append(self._work(number))
                self.done.append(number)
            except Exception as error:  # noqa: BLE001 - the test inspects them
                self.errors.append(error)
            number += 1

    def stop(self) -> None:
        """Let the call that is on its way be the last."""
        self._stopped.set()


class Load:
    """Workers as a context manager: its end stops them, and raises if one hangs; each does one of *works*."""

    def __init__(self, works: Iterable[Work]) -> None:
        self.workers = [Worker(work) for work in works]

    def __enter__(self) -> Load:
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for worker in self.workers:
            worker.stop()
        for worker in self.workers:
            worker.join(TIMEOUT_SECONDS)
        hanging = sum(worker.is_alive() for worker in self.workers)
        if hanging:
            raise AssertionError(f"{hanging} of {len(self.workers)} workers hang")

    @property
    def errors(self) -> list[Exception]:
        """What calls raised."""
        return [error for worker in self.workers for error in worker.errors]

    @property
    def counts(self) -> list[int]:
        """Calls that succeeded so far, for each worker."""
        return [len(worker.done) for worker in self.workers]

    def go_on(self, calls: int = 20) -> None:
        """Return when each worker has made *calls* more calls that succeeded."""
        wanted = [count + calls for count in self.counts]
        wait_until(lambda: all(count >= least for count, least in zip(self.counts, wanted, strict=True)), "every worker", TIMEOUT_SECONDS)


def error_count(server: AnyClient, code: str) -> int:
    """Return how often the server has answered with an error of this kind."""
    return int(server.info("errorstats").get(f"errorstat_{code}", {"count": 0})["count"])
