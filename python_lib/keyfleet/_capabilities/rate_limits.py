# SPDX-License-Identifier: MIT
"""
Rate limits: what a limit is, the arguments of its script, what the reply means, and which refusals are known without asking.

Sources of the algorithms: ITU-T I.371, annex A (GCRA, in its form as a continuous-state leaky bucket); for the sliding window of two
counters, "How we built rate limiting capable of scaling to millions of domains", Cloudflare, 2017.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

from .._protocol.arguments import Seconds, seconds, whole
from .._protocol.command import NO_FALLBACK, Command, Kind, Repeat
from .._protocol.key_names import Prefix
from .._protocol.replies import same
from .._protocol.resp import Argument
from .._protocol.scripts import load
from ..core.errors import RateLimitedError
from .names import name_in, tag_of

Algorithm = Literal["gcra", "fixed", "sliding"]
Source = Literal["server", "local", "policy", "share"]

EXACT = 2**53  # numbers in Lua are exact up to here
MOST_REFUSALS = 10_000
_IN_NAMES = str.maketrans({"%": "%25", ":": "%3A", "{": "%7B", "}": "%7D"})

# Repeated after a lost reply: a cost that is counted twice admits fewer than the limit, never more.
CHECK = Kind("EVALSHA", Repeat.SAME, "string", NO_FALLBACK)
PEEK = Kind("EVALSHA", Repeat.READ, "string", NO_FALLBACK)


@dataclass(frozen=True)
class Limit:
    """
    A rate that is allowed.

    Attributes:
        limit: Cost that is admitted in a window.
        window_seconds: Length of the window, in seconds or as a timedelta, in whole microseconds.
        algorithm: ``gcra``: capacity comes back evenly, one unit every *window_seconds* / *limit*. ``fixed``: a window begins with the
            first call, and all capacity comes back at its end. ``sliding``: the last *window_seconds* count, estimated from two counters.
        burst: With gcra, the most that is admitted immediately; by default *limit*.
        name: Distinguishes limits of one subject that have the same algorithm and window.
    Raises:
        ValueError: if a number is out of range, or cannot be counted exactly.
    """

    limit: int
    window_seconds: Seconds
    algorithm: Algorithm = "gcra"
    burst: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if whole("limit", self.limit) < 1:
            raise ValueError(f"limit is {self.limit}; allowed are 1 and above")
        if self.algorithm not in get_args(Algorithm):
            raise ValueError(f"algorithm is {self.algorithm!r}; allowed: {', '.join(get_args(Algorithm))}")
        if self.burst is not None and (self.algorithm != "gcra" or whole("burst", self.burst) < 1):
            raise ValueError(f"burst is {self.burst}, algorithm {self.algorithm}; allowed are 1 and above, with gcra")
        window = seconds("window_seconds", self.window_seconds)
        if not 1e-3 <= window <= 366 * 86400:
            raise ValueError(f"window_seconds is {window}; allowed are 0.001 to {366 * 86400}")
        if not isinstance(self.name, str):
            raise TypeError(f"name is of type {type(self.name).__name__}; it must be a text")
        if 2 * self.capacity * self.window_us > EXACT * math.gcd(self.limit, self.window_us):
            raise ValueError(f"limit {self.limit} in {window:g} s cannot be counted exactly; round one of them")

    @property
    def window_us(self) -> int:
        """Length of the window in microseconds."""
        return round(seconds("window_seconds", self.window_seconds) * 1_000_000)

    @property
    def capacity(self) -> int:
        """The most that is admitted immediately."""
        return self.limit if self.burst is None else self.burst


class RateLimitResult(NamedTuple):
    """
    Whether a call is within its limits; true if it is.

    Attributes:
        allowed: Whether it is.
        remaining: Cost that would be admitted immediately afterwards.
        limit: The limit that decided: of several, the one that refuses longest, or has the least left.
        reset_at: When the full limit is available again, in seconds since the epoch by the server's clock.
        retry_after_seconds: How long until a call of this cost may be admitted, 0 if it was.
        reset_after_seconds: How long until `reset_at`, 0 if nothing is used.
        source: ``server``; ``local`` for a refusal that was known without asking; where the server could not be asked, and *on_outage*
            decided, ``policy``, or ``share`` for a LocalShare.
        each: The result of each limit, in order, where several were checked together.
    """

    allowed: bool
    remaining: int
    limit: int
    reset_at: float
    retry_after_seconds: float
    reset_after_seconds: float
    source: Source = "server"
    each: tuple[RateLimitResult, ...] = ()

    def __bool__(self) -> bool:
        return self.allowed

    def raise_if_refused(self) -> None:
        """Raise RateLimitedError unless the call is allowed."""
        if not self.allowed:
            raise RateLimitedError(self.limit, self.retry_after_seconds, self)


class Refusals:
    """
    Refusals that are known for a while, bounded in number; shared by all threads and loops of a client.

    A refusal holds for calls of the same cost and more until the server said that it ends, measured from before it was asked.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[float, int, RateLimitResult]] = {}

    def find(self, subject: tuple[Any, ...], cost: int, now: float) -> RateLimitResult | None:
        """Return the refusal of *subject* that holds at *now*, by the monotonic clock."""
        known = self._known.get(subject)
        if known is None:
            return None
        until, refused_cost, result = known
        left = until - now
        if left <= 0:
            self._known.pop(subject, None)
            return None
        if cost < refused_cost:
            return None
        full = result.reset_after_seconds - result.retry_after_seconds + left
        return RateLimitResult(False, result.remaining, result.limit, result.reset_at, left, full, "local")

    def note(self, subject: tuple[Any, ...], cost: int, asked_at: float, result: RateLimitResult) -> None:
        """Keep *result*, a refusal, which the server was asked for at *asked_at*."""
        if len(self._known) >= MOST_REFUSALS:
            self._make_room(asked_at)
        self._known[subject] = (asked_at + result.retry_after_seconds, cost, result)

    def forget(self, subject: tuple[Any, ...]) -> None:
        """Ask the server again about *subject*."""
        self._known.pop(subject, None)

    def _make_room(self, now: float) -> None:
        kept = {subject: known for subject, known in list(self._known.items()) if known[0] > now}
        if len(kept) > MOST_REFUSALS // 2:  # the oldest go; the server answers for them
            kept = dict(list(kept.items())[-MOST_REFUSALS // 2 :])
        self._known = kept


@lru_cache(maxsize=1024)
def limit_of(limit: int, window_seconds: Seconds, algorithm: Algorithm, burst: int | None) -> Limit:
    """Return the limit; made once for each set of numbers."""
    return Limit(limit, window_seconds, algorithm, burst)


class _Prepared(NamedTuple):
    """What the calls for the same limits have in common: ends of the keys' names, arguments of the script, and the highest cost."""

    suffixes: tuple[str, ...]
    arguments: tuple[Argument, ...]
    highest_cost: int


@lru_cache(maxsize=1024)
def _prepared(limits: tuple[Limit, ...]) -> _Prepared:
    suffixes, arguments = [], []
    for limit in limits:
        window, name = limit.window_us, limit.name.translate(_IN_NAMES)
        divisor = math.gcd(limit.limit, window)
        suffixes.append(f"{limit.algorithm}:{window}" + (f":{name}" if name else ""))
        arguments += [limit.algorithm, limit.capacity, window, window // divisor, limit.limit // divisor]
    if len(set(suffixes)) != len(suffixes) or not suffixes:
        raise ValueError(f"limits are {list(limits)}; give at least one, and a name to those with the same algorithm and window")
    return _Prepared(tuple(suffixes), tuple(arguments), min(limit.capacity for limit in limits))


def names(subject: str | int, limits: Sequence[Limit]) -> list[str]:
    """
    Return the names of the keys of *limits*, all in one slot.

    Raises:
        ValueError: if two limits would share a key, or there is none.
    """
    tag = tag_of("id", subject)
    return [name_in(Prefix.RATELIMIT, tag, suffix) for suffix in _prepared(tuple(limits)).suffixes]


def command(prefix: str, subject: str | int, limits: tuple[Limit, ...], cost: int, consumes: bool) -> Command[list[int]]:
    """
    Return the command that checks *limits*.

    Raises:
        ValueError: if *cost* is below 1, or above what one of *limits* ever admits; and as for `names`.
    """
    suffixes, arguments, highest = _prepared(limits)
    if not 1 <= whole("cost", cost) <= highest:
        raise ValueError(f"cost is {cost}; allowed are 1 to {highest}, the most that the limit ever admits")
    group = name_in(Prefix.RATELIMIT, tag_of("id", subject), "")
    full = tuple([prefix + group + suffix for suffix in suffixes])
    sent = (cost, int(consumes), *arguments)
    return load("rate_limits/check").command(CHECK if consumes else PEEK, full, sent, group + suffixes[0], same)


def result_of(reply: Sequence[int], limits: Sequence[Limit]) -> RateLimitResult:
    """Return what the script's *reply* says."""
    now, each, at = reply[0] / 1e6, [], 1
    for limit in limits:
        admitted, remaining, retry, full = reply[at : at + 4]
        at += 4
        each.append(RateLimitResult(admitted == 1, remaining, limit.limit, now + full / 1e6, retry / 1e6, full / 1e6))
    return decisive(each)


def decisive(each: list[RateLimitResult]) -> RateLimitResult:
    """Return the result of a check of several limits: of the one that refuses longest, or else of the one with the least left."""
    found = each[0]
    if len(each) == 1:
        return found
    for other in each:
        if (found.allowed, -found.retry_after_seconds, found.remaining) > (other.allowed, -other.retry_after_seconds, other.remaining):
            found = other
    return RateLimitResult(*found[:7], tuple(each))
