# SPDX-License-Identifier: MIT
"""How long entries are kept, and when they are loaded anew; the dice are a parameter."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ..._protocol.arguments import LONGEST_MS, Seconds, milliseconds, seconds
from ...core.errors import DecodeError
from .entry import Entry
from .serializers import Serializer, serializer_of

PLACEHOLDER_MS = 3_600_000  # a loader that takes longer than its lease still stores its value, if no other caller has taken over


@dataclass(frozen=True)
class CacheOptions:
    """
    How a cache works.

    Attributes:
        serializer: ``json``, ``bytes``, a dataclass, a pydantic model or a msgspec struct, or an object with ``dumps`` and ``loads``.
        compress_above_bytes: Compress, with zlib, what is longer than this; None never.
        jitter: The part of each TTL, 0 to below 1, by which it is shortened at random, so that what was stored together does not expire
            together.
        lease_seconds: How long other callers wait for the one that loads; then one of them loads as well.
        refresh_ahead_seconds: Load anew in the background once an entry has less than this left; it is served meanwhile.
        stale_on_error_seconds: Keep entries this long beyond their TTL, and serve them if loading fails.
        on_undecodable: Called with the DecodeError of an entry that cannot be read, which counts as a miss; it is logged in any case.
    """

    serializer: Any = "json"
    compress_above_bytes: int | None = None
    jitter: float = 0.1
    lease_seconds: Seconds = 10.0
    refresh_ahead_seconds: Seconds = 0.0
    stale_on_error_seconds: Seconds = 0.0
    on_undecodable: Callable[[DecodeError], object] | None = None
    codec: Serializer = field(init=False, repr=False)
    lease_ms: int = field(init=False, repr=False)
    refresh_ms: int = field(init=False, repr=False)
    stale_ms: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter is {self.jitter}; allowed are 0 and above, below 1")
        if self.compress_above_bytes is not None and self.compress_above_bytes < 0:
            raise ValueError(f"compress_above_bytes is {self.compress_above_bytes}; allowed are 0 and above")
        for name in ("refresh_ahead_seconds", "stale_on_error_seconds"):
            if not 0 <= seconds(name, getattr(self, name)) <= LONGEST_MS // 1000:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed are 0 and above")
        found = {
            "codec": serializer_of(self.serializer),
            "lease_ms": milliseconds(self.lease_seconds),
            "refresh_ms": math.ceil(seconds("refresh_ahead_seconds", self.refresh_ahead_seconds) * 1000),
            "stale_ms": math.ceil(seconds("stale_on_error_seconds", self.stale_on_error_seconds) * 1000),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)


def lifetime_ms(options: CacheOptions, ttl_seconds: Seconds, dice: Callable[[], float] = random.random) -> int:
    """
    Return how long an entry is kept, its stale time included, in milliseconds.

    Raises:
        ValueError: if *ttl_seconds* is out of range, or not longer than *refresh_ahead_seconds*.
    """
    ttl = milliseconds(ttl_seconds)
    if options.refresh_ms and options.refresh_ms >= ttl * (1 - options.jitter):
        raise ValueError(f"refresh_ahead_seconds is {options.refresh_ahead_seconds}; it must be less than the TTL with its jitter")
    return max(math.ceil(ttl * (1 - options.jitter * dice())), 1) + options.stale_ms


class State(Enum):
    """What an entry is good for."""

    FRESH = "it is served"
    AGING = "it is served, and loaded anew in the background"
    STALE = "it is served if loading fails"
    MISSING = "it is not served"


def judge(entry: Entry | None, left_ms: int, versions: Mapping[str, int | None], tags: tuple[str, ...], refresh_ms: int) -> State:
    """
    Return what *entry* is good for.

    Args:
        left_ms: What PTTL answered.
        versions: Current versions of the tags; None for a counter that does not exist.
        tags: Those that the caller wants it to have.
        refresh_ms: Time before the end of its TTL in which it is loaded anew.
    """
    if entry is None or not entry.is_filled or any(tag not in entry.tags for tag in tags):
        return State.MISSING
    if any(versions.get(tag) != version for tag, version in entry.tags.items()):
        return State.MISSING
    if left_ms == -1:  # a key without TTL
        return State.FRESH
    fresh_ms = left_ms - entry.stale_ms
    if fresh_ms <= 0:
        return State.STALE
    return State.AGING if fresh_ms <= refresh_ms else State.FRESH
