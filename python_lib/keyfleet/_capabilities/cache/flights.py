# SPDX-License-Identifier: MIT
"""Which values this process is loading, and which callers may share one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from .entry import NONE

AGAIN: Any = type("Again", (), {"__repr__": lambda self: "AGAIN"})()
"""The outcome of a flight that loaded nothing: its callers read the key again."""
MOST_PAUSES = 1000


class AnyFlight(Protocol):
    """One load and the callers that wait for it; the transport has one for tasks and one for threads."""

    token: bytes | None
    versions: Mapping[str, int]
    is_loading: bool
    is_background: bool


F = TypeVar("F", bound=AnyFlight)


class Flights(Generic[F]):
    """
    The loads of one event loop, or of the threads of one process.

    A caller may share a load only if its value is fresh for that caller: the loader has not begun yet, or what the caller read says that
    the lease of the load and the versions of its tags are still valid. A load without lease, as the server is down or full, is shared.

    Args:
        make: Makes a flight.
    """

    def __init__(self, make: Callable[[], F]) -> None:
        self._make = make
        self._flights: dict[str, F] = {}
        self._pauses: dict[str, float] = {}
        self._guard = threading.Lock()

    def loading(self, name: str) -> F | None:
        """Return the load of *name* if its loader has begun; read before the key is."""
        flight = self._flights.get(name)
        return flight if flight is not None and flight.is_loading else None

    def enter(self, name: str, token: bytes, versions: Mapping[str, int | None], before: F | None) -> tuple[F, bool] | None:
        """
        Return the load to take part in, and whether the caller leads it; None if the key must be read again to know.

        Args:
            name: Full name of the key.
            token, versions: Of the lease and the tags, as the caller has read them.
            before: What `loading` returned before that.
        """
        with self._guard:
            flight = self._flights.get(name)
            if flight is not None and flight.is_loading:
                if _is_current(flight, token, versions):
                    return flight, False
                if flight is not before:
                    return None
            elif flight is not None and not flight.is_background:  # one in the background may not have been started yet
                return flight, False
            flight = self._flights[name] = self._make()
            return flight, True

    def enter_background(self, name: str) -> F | None:
        """Return a new load for the background, None if there is one of *name*, or a pause."""
        with self._guard:
            if name in self._flights or time.monotonic() < self._pauses.get(name, 0.0):
                return None
            flight = self._flights[name] = self._make()
            flight.is_background = True
            return flight

    def begin(self, flight: F, token: bytes | None, versions: Mapping[str, int]) -> None:
        """Note that the loader of *flight* is called next; from now on only callers that read this token share it."""
        with self._guard:
            flight.token, flight.versions, flight.is_loading = token, versions, True

    def leave(self, name: str, flight: F) -> None:
        """Let no further caller share *flight*."""
        with self._guard:
            if self._flights.get(name) is flight:
                del self._flights[name]

    def pause(self, name: str, pause_seconds: float) -> None:
        """Begin no load of *name* in the background for a while."""
        with self._guard:
            now = time.monotonic()
            if len(self._pauses) >= MOST_PAUSES:
                self._pauses = {other: until for other, until in self._pauses.items() if until > now}
            self._pauses[name] = now + pause_seconds

    def leave_unleased(self) -> None:
        """Let no further caller share a load without lease: an invalidation cannot be seen from what callers read."""
        with self._guard:
            for name in [name for name, flight in self._flights.items() if flight.is_loading and flight.token is None]:
                del self._flights[name]


def _is_current(flight: AnyFlight, token: bytes, versions: Mapping[str, int | None]) -> bool:
    if flight.token is None:
        return True
    return flight.token == token != NONE and all(versions.get(tag) == version for tag, version in flight.versions.items())
