# SPDX-License-Identifier: MIT
"""The commands of the cache, and what their replies mean."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from ..._protocol.command import NO_FALLBACK, Command, Kind, Repeat
from ..._protocol.replies import same
from ..._protocol.scripts import load
from ...core.errors import RefusedError
from ...core.keys.tags import FIRST_VERSION, IDLE_MS, LAST_START, counter_name, has_entries
from .options import PLACEHOLDER_MS


def _of_primary(name: str, wanted: str = "") -> Kind:
    """Return the kind of a read that no replica answers: it may not know of an invalidation yet."""
    kind = Kind(name, Repeat.READ, wanted, NO_FALLBACK)
    kind.is_read = False
    return kind


GET = _of_primary("GET", "string")
PTTL = _of_primary("PTTL")
SET = Kind("SET", Repeat.SAME, fallback=NO_FALLBACK)
SCRIPT = Kind("EVALSHA", Repeat.SAME, "string", NO_FALLBACK)  # each of them knows its own earlier attempt by the token
INCR = Kind("INCR", Repeat.SAME, "string", NO_FALLBACK)  # twice invalidates what once does
EXPIRE = Kind("PEXPIRE", Repeat.SAME, fallback=NO_FALLBACK)
UNLINK = Kind("UNLINK", Repeat.NEVER, fallback=NO_FALLBACK, names=slice(1, None))  # repeated by those who count
DEL = Kind("DEL", Repeat.NEVER, fallback=NO_FALLBACK, names=slice(1, None))
FORGET = Kind("UNLINK", Repeat.SAME, fallback=NO_FALLBACK, names=slice(1, None))
SCAN = Kind("SCAN", Repeat.READ, fallback=NO_FALLBACK, names=None)

CHANGED, WON, HELD = 0, 1, 2


def _version(reply: bytes | None, _key: str) -> int | None:
    """Return the version that a counter says, None if no entry has it."""
    return int(reply) if reply is not None and reply.isdigit() and int(reply) >= FIRST_VERSION else None


class CacheCommands:
    """
    Builds the commands of the cache.

    Args:
        prefix: Put before every key.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def read(self, name: str, key: str) -> tuple[Command[bytes | None], Command[int]]:
        """Read an entry and its TTL."""
        return Command(GET, ("GET", name), name, key, same), Command(PTTL, ("PTTL", name), name, key, same)

    def versions(self, tags: Sequence[str]) -> list[Command[int | None]]:
        """Read the versions of *tags*."""
        names = [self.counter(tag) for tag in tags]
        return [Command(GET, ("GET", name), name, tag, _version) for name, tag in zip(names, tags, strict=True)]

    def acquire(self, name: str, key: str, token: bytes, lease_ms: int, identity: bytes) -> Command[list[int]]:
        """Take the lease; the reply is CHANGED, WON or HELD, and for how many milliseconds it is held."""
        return load("cache/acquire").command(SCRIPT, (name,), (token, lease_ms, lease_ms + PLACEHOLDER_MS, identity), key, same)

    def store(self, name: str, key: str, token: bytes, fill: bytes, entry: bytes, ttl_ms: int) -> Command[int]:
        """Store an entry if the lease is still held."""
        return load("cache/store").command(SCRIPT, (name,), (token, fill, entry, ttl_ms), key, same)

    def release(self, name: str, key: str, token: bytes) -> Command[int]:
        """Give the lease back."""
        return load("cache/release").command(SCRIPT, (name,), (token,), key, same)

    def put(self, name: str, key: str, entry: bytes, ttl_ms: int) -> Command[Any]:
        """Store an entry whoever holds a lease, which ends it."""
        return Command(SET, ("SET", name, entry, "PX", ttl_ms), name, key, same)

    def start_tag(self, tag: str, keep_ms: int) -> Command[int]:
        """Return the version of a tag for an entry that is about to be loaded, and keep its counter at least that long."""
        start = FIRST_VERSION + secrets.randbelow(LAST_START - FIRST_VERSION)
        return load("cache/tag").command(SCRIPT, (self.counter(tag),), (start, keep_ms), tag, lambda reply, _key: int(reply))

    def raise_tag(self, tag: str) -> Command[int]:
        """Invalidate a tag."""
        name = self.counter(tag)
        return Command(INCR, ("INCR", name), name, tag, same)

    @staticmethod
    def has_entries(version: int) -> bool:
        """Whether entries may have been stored before the counter was raised to *version*."""
        return has_entries(version)

    def delete_tag(self, tag: str) -> Command[int]:
        """Invalidate a tag on a server whose memory is used up."""
        name = self.counter(tag)
        return Command(FORGET, ("UNLINK", name), name, tag, same)

    def let_idle_tag_expire(self, tag: str) -> Command[Any]:
        """Let the counter expire that only an invalidation has made."""
        name = self.counter(tag)
        return Command(EXPIRE, ("PEXPIRE", name, IDLE_MS), name, tag, same)

    def counter(self, tag: str) -> str:
        """Return the name of the counter of *tag*; ValueError if it is empty."""
        try:
            return counter_name(self._prefix, tag)
        except RefusedError as error:
            raise ValueError(str(error)) from None


def scan(cursor: bytes | int, pattern: bytes, count: int) -> Command[list[Any]]:
    """Read a page of the names that match."""
    return Command(SCAN, ("SCAN", cursor, "MATCH", pattern, "COUNT", count), None, "", same)


def remove(kind: Kind, names: Sequence[bytes]) -> Command[int]:
    """Remove keys of one server, on a cluster of one slot; the command is pinned, so that it needs no name."""
    return Command(kind, (kind.name, *names), None, "", same)
