# SPDX-License-Identifier: MIT
"""When to try again, when to stop, how long to wait: pure, the clock and the dice are parameters."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

LONGEST_DELAY_SECONDS = 2.0
LONGEST_FAILOVER_DELAY_SECONDS = 0.2  # a failover ends for the client with the first discovery after it, so discovery is frequent
SHORTEST_ATTEMPT_SECONDS = 0.25


class CallRecord(NamedTuple):
    """
    What became of one command, for Policy.on_call.

    Attributes:
        name: The server's name of the command, as ``GET``; ``MULTI`` for a transaction.
        node: The server of the last attempt, as ``host:port``; empty if none was found.
        seconds: From the call until its end; commands of one pipeline have the time of the whole pipeline.
        attempts: How often it was sent, or a connection for it tried; 0 if it was refused before.
        outcome: ``ok``; the first word of the server's error, as ``WRONGTYPE``; or the name of the error class, as ``OutcomeUnknown``.
    """

    name: str
    node: str
    seconds: float
    attempts: int
    outcome: str


@dataclass(frozen=True)
class Policy:
    """
    How a client behaves when servers fail. Their addresses are in Settings.

    Attributes:
        on_error: ``raise`` an UnreachableError, or ``fallback`` to the answer of an empty server: None from get, False or 0 from set,
            delete and exists. What has no such answer, as incr, raises in any case, and so does
            OutcomeUnknown of a call that is never repeated, as set with nx. An outage is logged once, each fallback is counted.
        while_disconnected: ``wait`` for a connection as long as the budget of the call lasts, or ``fail`` when the first attempt fails.
        read_from: ``primary``, or ``replica`` for calls that only read, where a cluster or Sentinel knows replicas: what they
            return may be old.
        max_connections: Most connections to one server; threads wait for a free one. Subscriptions and blocking calls have their own.
        max_blocking_connections: Most further connections to one server for calls that block, as `blpop`; each takes one while it waits.
        breaker_failures: Calls in a row that must fail before further ones to the same server fail immediately; 0 switches it off.
        breaker_seconds: How long the first such pause lasts, in seconds; it doubles up to 2 s, and one call after each pause probes.
        on_call: Called with a CallRecord when a command has ended, for metrics and traces; it must neither wait nor use the client. What
            it raises is logged, and changes no call. Without it, nothing is measured.
    """

    on_error: Literal["raise", "fallback"] = "raise"
    while_disconnected: Literal["wait", "fail"] = "wait"
    read_from: Literal["primary", "replica"] = "primary"
    max_connections: int = 10
    max_blocking_connections: int = 100
    breaker_failures: int = 5
    breaker_seconds: float = 0.25
    on_call: Callable[[CallRecord], object] | None = None

    def __post_init__(self) -> None:
        choices = {"on_error": ("raise", "fallback"), "while_disconnected": ("wait", "fail"), "read_from": ("primary", "replica")}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}")
        for name in ("max_connections", "max_blocking_connections"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed are 1 and above")
        if self.breaker_failures < 0:
            raise ValueError(f"breaker_failures is {self.breaker_failures}; allowed are 0 and above")
        if self.on_call is not None and not callable(self.on_call):
            raise TypeError(f"on_call is of type {type(self.on_call).__name__}; give a function of a CallRecord")
        if not 0 < self.breaker_seconds <= LONGEST_DELAY_SECONDS:
            raise ValueError(f"breaker_seconds is {self.breaker_seconds}; allowed are numbers above 0, up to {LONGEST_DELAY_SECONDS:g}")


class Outage:
    """Whether calls fall back at present; a client shares it with those that `within` makes of it."""

    __slots__ = ("is_on",)

    def __init__(self) -> None:
        self.is_on = False


def backoff_seconds(attempt: int, first_seconds: float, longest_seconds: float, dice: Callable[[], float] = random.random) -> float:
    """
    Return the wait before the next attempt: exponential, and the upper half of it at random, so that clients do not come in step.

    Args:
        attempt: Attempts made, from 1.
        first_seconds, longest_seconds: The wait after the first attempt, and its limit.
        dice: Returns a number from 0 to 1.
    """
    full: float = min(first_seconds * 2 ** min(attempt - 1, 30), longest_seconds)
    return full * (0.5 + 0.5 * dice())


def attempt_seconds(left_seconds: float) -> float:
    """Return how long one attempt of a call that may be repeated waits: half of what is left, so that another connection has a chance."""
    return min(left_seconds, max(left_seconds / 2, SHORTEST_ATTEMPT_SECONDS))


class Breaker:
    """
    Counts calls to one server that failed in a row, and says when the next one is worth a try.

    Attributes:
        failures: Calls that failed since the last that succeeded; the caller sets it to 0 when a call succeeds.
        opened: How often it has opened.
    """

    __slots__ = ("_counted_at", "_first_pause", "_limit", "_open_until", "_pause", "failures", "opened")

    def __init__(self, policy: Policy) -> None:
        self._limit, self._first_pause = policy.breaker_failures, policy.breaker_seconds
        self.failures = self.opened = 0
        self._pause = self._open_until = self._counted_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are refused until a probe succeeds."""
        return bool(self._limit) and self.failures >= self._limit

    def pause_left(self, now: float) -> float:
        """
        Return 0.0 if a call may be tried now, else the seconds until the next may.

        While the breaker is open, the call that gets 0.0 is the probe: others wait for another pause.
        """
        if not self.is_open:
            return 0.0
        left = self._open_until - now
        if left > 0:
            return left
        self._open_until = now + self._pause
        return 0.0

    def fail(self, now: float, began: float) -> None:
        """
        Note a call that failed at *now*.

        Args:
            now: The present, by the monotonic clock.
            began: When it was first sent. While the breaker is open, calls that were on their way before the last failure that counted
                failed for the same reason, and say nothing new.
        """
        if self.is_open and began < self._counted_at:
            return
        self.failures += 1
        if not self.is_open:
            return
        self._counted_at = now
        if self.failures == self._limit:
            self.opened += 1
            self._pause = self._first_pause
        else:
            self._pause = min(2 * self._pause, LONGEST_DELAY_SECONDS)
        self._open_until = now + self._pause
