# SPDX-License-Identifier: MIT
"""
Locks: what they have in common, the arguments of the scripts, and when a lease is over.

Every kind is one thing: a capacity, holders that each take a weight of it, and a line. A lock has capacity 1; a semaphore of N has
capacity N; of a read/write lock a reader takes 1 and a writer takes all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from .._protocol.arguments import Seconds, seconds, whole
from .._protocol.command import NO_FALLBACK, Command, Kind, Repeat
from .._protocol.key_names import Prefix
from .._protocol.replies import same
from .._protocol.scripts import load
from .names import tag_of

# Running one again with the same token finds what the first run left, so a lost reply is no loss.
STEP = Kind("EVALSHA", Repeat.SAME, "hash", NO_FALLBACK)
WAKE = Kind("EVALSHA", Repeat.SAME, "list", NO_FALLBACK)

READERS = 1_000_000
LONGEST_LEASE_SECONDS = 86400.0
POLL_SECONDS = 1.0  # how often one who waits says that it still does; the scripts count it out after 3 s
WAKE_BUDGET_SECONDS = 1.0
WAKE_PAUSE_SECONDS = 0.05  # between two questions where no connection could be waited on
WAKE_TTL_MS = 3000
RENEWALS_IN_A_LEASE = 3


class Shape(NamedTuple):
    """
    What is locked, and how much of it.

    Attributes:
        name: As the caller calls it.
        key: Name of the key, without the client's prefix.
        weight, capacity: What one holder takes, of what.
    """

    name: str
    key: str
    weight: int
    capacity: int


def lock_shape(name: str) -> Shape:
    """Return the shape of a lock; errors as for `tag_of`."""
    return Shape(name, f"{Prefix.LOCK.value}{{{tag_of('name', name)}}}", 1, 1)


def semaphore_shape(name: str, limit: int) -> Shape:
    """Return the shape of a semaphore for *limit* holders."""
    if not 1 <= whole("limit", limit) <= READERS:
        raise ValueError(f"limit is {limit}; allowed are 1 to {READERS}")
    return Shape(name, f"{Prefix.LOCK.value}{{{tag_of('name', name)}}}:semaphore", 1, limit)


def read_write_shape(name: str, is_writer: bool) -> Shape:
    """Return the shape of one side of a read/write lock."""
    return Shape(name, f"{Prefix.LOCK.value}{{{tag_of('name', name)}}}:readers", READERS if is_writer else 1, READERS)


def lease_seconds(ttl_seconds: Seconds) -> float:
    """Return the length of a lease; a lock that lasts forever is refused, since its holder may die."""
    lease = seconds("ttl_seconds", ttl_seconds)
    if not 0.01 <= lease <= LONGEST_LEASE_SECONDS:
        raise ValueError(f"ttl_seconds is {lease}; allowed are 0.01 to {LONGEST_LEASE_SECONDS:.0f}")
    return float(lease)


def wait_seconds(timeout_seconds: Seconds | None) -> float | None:
    """Return how long to wait, None for no limit."""
    if timeout_seconds is None:
        return None
    wait = float(seconds("timeout_seconds", timeout_seconds))
    if not wait >= 0:
        raise ValueError(f"timeout_seconds is {wait}; allowed are 0 and above, and None for no limit")
    return wait


def new_token() -> str:
    """Return a token that no other acquisition has."""
    return os.urandom(16).hex()


class Found(NamedTuple):
    """
    What an attempt to acquire found.

    Attributes:
        fence: The fencing number if the lock is held, else 0.
        ask_after_seconds: Longest time until it is worth asking again.
        granted: Tokens of those who have the lock now and wait for a word.
    """

    fence: int
    ask_after_seconds: float
    granted: list[bytes]


def acquire(prefix: str, shape: Shape, token: str, lease: float, waits: bool) -> Command[Found]:
    """Return the command that takes the lock or a place in its line."""
    arguments = (token, round(lease * 1e6), shape.weight, shape.capacity, int(waits))
    return load("locks/acquire").command(STEP, (prefix + shape.key,), arguments, shape.key, _found)


def _found(reply: Sequence[Any], _key: str) -> Found:
    verdict, number = reply[0], reply[1]
    return Found(number, 0.0, list(reply[2:])) if verdict == 1 else Found(0, min(number / 1e6, POLL_SECONDS), list(reply[2:]))


def release(prefix: str, shape: Shape, token: str, may_be_pending: bool) -> Command[list[Any]]:
    """Return the command that gives the lock, or a place in its line, back; *may_be_pending* if an acquisition may be on its way still."""
    arguments = (token, shape.capacity, int(may_be_pending))
    return load("locks/release").command(STEP, (prefix + shape.key,), arguments, shape.key, same)


def renew(prefix: str, shape: Shape, token: str, lease: float) -> Command[int]:
    """Return the command that begins the lease anew."""
    return load("locks/renew").command(STEP, (prefix + shape.key,), (token, round(lease * 1e6)), shape.key, same)


def wake_key(shape: Shape, token: str) -> str:
    """Return the list for which the acquisition with *token* waits."""
    return f"{shape.key}:wake:{token}"


def wake(prefix: str, shape: Shape, token: str) -> Command[int]:
    """Return the command that wakes who waits with *token*."""
    key = wake_key(shape, token)
    return load("locks/wake").command(WAKE, (prefix + key,), (WAKE_TTL_MS,), key, same)


class Lease:
    """
    A lock that is held for a while.

    Attributes:
        token: Of this acquisition alone.
        fence: Greater than that of every acquisition before.
        until: When it ends unless it is renewed, by the monotonic clock: counted from before the server was asked, so that it ends here
            first.
        is_lost: Whether the server, or the clock, said that it has ended.
    """

    __slots__ = ("_pid", "fence", "is_lost", "token", "until")

    def __init__(self, token: str, fence: int, until: float) -> None:
        self.token, self.fence, self.until = token, fence, until
        self.is_lost = False
        self._pid = os.getpid()

    def is_held(self, now: float) -> bool:
        """Say whether it lasts at *now*."""
        return not self.is_lost and now < self.until and self.is_of_this_process

    @property
    def is_of_this_process(self) -> bool:
        """Whether this process acquired it: a child that was forked since does not hold it."""
        return self._pid == os.getpid()
