# SPDX-License-Identifier: MIT
"""The four kinds of lock, each with one that excludes it, so that a test runs on all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keyfleet import Client, Lock


class LockKind(NamedTuple):
    """
    A lock for one holder, or a side of one that many share.

    Attributes:
        key: Where its state is.
        make, rival: Make one of the name ``a``, and one that cannot be held at the same time; options as of the client's methods.
    """

    key: str
    make: Callable[..., Lock]
    rival: Callable[..., Lock]

    def tokens(self, raw: Any) -> list[str]:
        """Return the tokens that hold it."""
        return [name.decode() for name in raw.hkeys(self.key) if name.startswith(b"h:")]


def _lock(client: Client, **options: Any) -> Lock:
    return client.lock("a", **options)


def _semaphore(client: Client, **options: Any) -> Lock:
    return client.semaphore("a", 1, **options)


def _read_lock(client: Client, **options: Any) -> Lock:
    return client.read_lock("a", **options)


def _write_lock(client: Client, **options: Any) -> Lock:
    return client.write_lock("a", **options)


KINDS = {
    "lock": LockKind("lock:{a}", _lock, _lock),
    "semaphore": LockKind("lock:{a}:semaphore", _semaphore, _semaphore),
    "read_lock": LockKind("lock:{a}:readers", _read_lock, _write_lock),
    "write_lock": LockKind("lock:{a}:readers", _write_lock, _read_lock),
}
