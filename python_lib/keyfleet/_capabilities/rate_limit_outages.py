# SPDX-License-Identifier: MIT
"""Rate limits while the server cannot be asked: what the caller chose, and the share that a process admits on its own."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Union, get_args

from .rate_limits import Limit, RateLimitResult, Refusals, decisive

MOST_BUCKETS = 10_000
RETRY_SECONDS = 1.0  # the server may soon be back
ROUNDING = 1e-9  # levels are floating-point numbers


@dataclass(frozen=True)
class LocalShare:
    """
    What this process admits on its own while the server cannot be asked: a value of *on_outage*.

        client.rate_limits.check("user:42", 100, 60, on_outage=LocalShare(1 / 8))     # 8 processes

    Each client counts by the monotonic clock of its process, as ``gcra`` does, whatever the algorithm of the limit: *share* of the burst
    immediately, rounded down and at least 1, and then *share* of the rate. What was used before the outage is not known to it.

    Attributes:
        share: Part of each limit, above 0 and up to 1: 1 divided by the number of clients.
    Raises:
        ValueError: if *share* is out of range.
    """

    share: float

    def __post_init__(self) -> None:
        if not isinstance(self.share, (int, float)) or isinstance(self.share, bool):
            raise TypeError(f"share is of type {type(self.share).__name__}; it must be a number")
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share}; allowed are above 0 to 1")


Choice = Literal["raise", "allow", "refuse"]
OnOutage = Union[Choice, LocalShare]


@dataclass
class RateLimitStats:
    """
    What *on_outage* decided for a client so far.

    Attributes:
        allowed_in_outage: Checks that it admitted.
        refused_in_outage: Checks that it refused.
    """

    allowed_in_outage: int = 0
    refused_in_outage: int = 0


def checked_on_outage(on_outage: OnOutage) -> None:
    """Refuse what *on_outage* cannot be."""
    if not isinstance(on_outage, LocalShare) and on_outage not in get_args(Choice):
        raise ValueError(f"on_outage is {on_outage!r}; allowed: {', '.join(get_args(Choice))} and a LocalShare")


class Outages:
    """
    Decides where the server could not be asked; shared by all threads and loops of a client.

    Attributes:
        stats: What was decided.
    """

    def __init__(self) -> None:
        self.stats = RateLimitStats()
        self._levels: dict[tuple[str, Limit, float], tuple[float, float]] = {}
        self._guard, self._process_id = threading.Lock(), os.getpid()

    def decide(
        self, on_outage: OnOutage, subject: str | int, limits: Sequence[Limit], cost: int, monotonic: float, now: float
    ) -> RateLimitResult:
        """
        Return the result that *on_outage*, which is not ``raise``, makes.

        Args:
            subject, limits, cost: What was to be checked.
            monotonic, now: The process's two clocks, in seconds.
        """
        if self._process_id != os.getpid():  # a thread of the parent may have held the lock during the fork
            self._guard, self._process_id = threading.Lock(), os.getpid()
        with self._guard:
            if isinstance(on_outage, LocalShare):
                result = self._by_share(on_outage.share, str(subject), limits, cost, monotonic, now)
            else:
                result = _by_policy(on_outage == "allow", limits, now)
            self.stats.allowed_in_outage += result.allowed
            self.stats.refused_in_outage += not result.allowed
        return result

    def _by_share(self, share: float, subject: str, limits: Sequence[Limit], cost: int, monotonic: float, now: float) -> RateLimitResult:
        """Consume from the share of every limit, or from none."""
        buckets = [_Bucket(limit, share, *self._levels.get((subject, limit, share), (0.0, monotonic)), monotonic) for limit in limits]
        admits = all(bucket.admits(cost) for bucket in buckets)
        if admits:
            for bucket in buckets:
                bucket.level += cost
                self._levels.pop((subject, bucket.limit, share), None)  # the latest is the last one
                self._levels[subject, bucket.limit, share] = (bucket.level, monotonic)
            while len(self._levels) > MOST_BUCKETS:
                del self._levels[next(iter(self._levels))]
        return decisive([bucket.result(cost, admits, now) for bucket in buckets])


class Kept:
    """
    What the rate limits of a client keep between checks.

    Attributes:
        refusals: What the server refused.
        outages: What was decided without it.
    """

    __slots__ = ("outages", "refusals")

    def __init__(self) -> None:
        self.refusals, self.outages = Refusals(), Outages()


class _Bucket:
    """A share of one limit, as the leaky bucket of lua/rate_limits/check.lua, in units of cost."""

    __slots__ = ("capacity", "level", "limit", "rate")

    def __init__(self, limit: Limit, share: float, level: float, since: float, monotonic: float) -> None:
        self.limit = limit
        self.capacity = max(1, math.floor(limit.capacity * share))
        self.rate = limit.limit * share * 1e6 / limit.window_us
        self.level = max(0.0, level - max(0.0, monotonic - since) * self.rate)

    def admits(self, cost: int) -> bool:
        """Say whether *cost* fits."""
        return self.level + cost <= self.capacity + ROUNDING

    def result(self, cost: int, is_consumed: bool, now: float) -> RateLimitResult:
        """Return what the share says of *cost*, which its level includes already if *is_consumed*."""
        is_allowed = is_consumed or self.admits(cost)
        retry = 0.0
        if not is_allowed:  # a cost above the whole share is for the server alone
            retry = (self.level + cost - self.capacity) / self.rate if cost <= self.capacity else RETRY_SECONDS
        full = self.level / self.rate
        return RateLimitResult(
            is_allowed, math.floor(self.capacity - self.level + ROUNDING), self.limit.limit, now + full, retry, full, "share"
        )


def _by_policy(is_allowed: bool, limits: Sequence[Limit], now: float) -> RateLimitResult:
    retry = 0.0 if is_allowed else RETRY_SECONDS
    return RateLimitResult(is_allowed, 0, min(limit.limit for limit in limits), now + retry, retry, retry, "policy")
