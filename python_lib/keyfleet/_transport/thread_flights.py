# SPDX-License-Identifier: MIT
"""One load that many threads wait for; and work in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

T = TypeVar("T")

Loaded = Annotated[T, "what a loader returns"]


def loaded(result: T) -> T:
    """Return what a loader's *result* is."""
    return result


class Background:
    """
    Work in a thread of its own, which does not keep the process alive; its errors are its own matter.

    Args:
        work: What is done.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self._thread = threading.Thread(target=work, name="keyfleet", daemon=True)
        self._thread.start()

    def end(self, timeout_seconds: float) -> None:
        """Wait until the work is done, or the time is over."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_seconds)


class Flight:
    """
    One load, in the thread of the caller that leads it.

    Args:
        interrupted: The outcome for the others if the leader is interrupted, as by Ctrl-C; one of them leads then.
    Attributes:
        token: Of its lease; None before it loads, or without a lease.
        versions: Of its tags when loading began.
        is_loading: Whether the loader was called.
        is_background: Whether no caller waits for it.
    """

    def __init__(self, interrupted: Any) -> None:
        self.token: bytes | None = None
        self.versions: Mapping[str, int] = {}
        self.is_loading = self.is_background = False
        self._is_over = threading.Event()
        self._outcome = interrupted
        self._error: Exception | None = None

    def lead(self, work: Callable[[], Any], leave: Callable[[], None]) -> Any:
        """
        Do *work* and return its outcome.

        Args:
            leave: Called as soon as no further caller may join.
        """
        try:
            self._outcome = work()
        except Exception as error:
            self._error = error
            raise
        finally:
            leave()
            self._is_over.set()
        return self._outcome

    def join(self) -> Any:
        """Wait for the outcome."""
        self._is_over.wait()
        if self._error is not None:
            raise self._error
        return self._outcome
