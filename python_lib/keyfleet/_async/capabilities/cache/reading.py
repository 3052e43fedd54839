# SPDX-License-Identifier: MIT
"""Reading entries, with all that says whether they may be served."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ...._capabilities.cache.commands import CacheCommands
from ...._capabilities.cache.entry import NONE, Entry, identity_of, read_entry
from ...._capabilities.cache.flights import AGAIN, Flights
from ...._capabilities.cache.options import CacheOptions, State, judge
from ...._capabilities.cache.serializers import refusals
from ...._capabilities.cache.stats import CacheStats
from ...._capabilities.failures import is_outage
from ...._protocol.arguments import key_list
from ...._transport.asyncio_engines import Engines
from ...._transport.asyncio_flights import Flight
from ....core.errors import DecodeError, KeyfleetError, ServerError

if TYPE_CHECKING:
    from ...lifecycle import AsyncClientBase

logger = logging.getLogger("keyfleet")


class Found:
    """
    What a caller has read of one key.

    Attributes:
        name, key: With and without the prefix.
        entry: What the key holds, None if that is no entry.
        state: What the entry is good for.
        value: What it holds, where it may be served.
        identity: Shows whether the key still holds the same.
        versions: Of the tags that were read.
        trouble: Why the entry cannot be read, if it cannot.
        is_outage: Whether the server could not be asked.
    """

    __slots__ = ("entry", "identity", "is_outage", "key", "left_ms", "name", "state", "trouble", "value", "versions")

    def __init__(self, name: str, key: str, raw: bytes | None = None, left_ms: int = -2) -> None:
        self.name, self.key, self.left_ms = name, key, left_ms
        self.entry: Entry | None = None if raw is None else read_entry(raw)
        self.identity = identity_of(raw, self.entry)
        self.versions: dict[str, int | None] = {}
        self.state, self.value, self.is_outage = State.MISSING, None, False
        self.trouble: DecodeError | None = None

    @property
    def token(self) -> bytes:
        """Token of the lease that is held on it."""
        return NONE if self.entry is None else self.entry.token

    @property
    def is_served(self) -> bool:
        """Whether its value may be served now."""
        return self.state is State.FRESH or self.state is State.AGING


class Kept:
    """What the caches of one client share."""

    def __init__(self) -> None:
        self.stats = CacheStats()
        self.flights: Engines[Flights[Flight]] = Engines(lambda: Flights(lambda: Flight(AGAIN)))
        self.has_outage = False


class AsyncReading:
    """
    Reads entries.

    Args:
        client: Whose server, prefix and budget are used.
        kept: What the caches of the client share.
        options: How this one works.
    """

    def __init__(self, client: AsyncClientBase, kept: Kept, options: CacheOptions) -> None:
        self._client, self._kept, self._options = client, kept, options
        self._commands = CacheCommands(client.settings.key_prefix)

    def _name(self, key: str) -> str:
        return self._client._commands.names_in_one_slot([key])[0]

    async def _find(self, key: str, tags: tuple[str, ...]) -> Found:
        """Return what the key holds; during an outage, that it could not be asked."""
        try:
            found = (await self._read_all([key], tags))[0]
        except ServerError as error:
            self._note_outage(error)
            found = Found(self._name(key), key)
            found.is_outage = True
            return found
        self._kept.has_outage = False
        return found

    async def _read_all(self, keys: Sequence[str], tags: tuple[str, ...]) -> list[Found]:
        """Return what each of *keys* holds, in one round trip to each server, a second one for tags that the caller does not name."""
        names = [self._name(key) for key in keys]
        commands = [command for name, key in zip(names, keys, strict=True) for command in self._commands.read(name, key)]
        replies = await self._replies([*commands, *self._commands.versions(tags)])
        versions = dict(zip(tags, replies[len(commands) :], strict=True))
        values, lefts = replies[: len(commands) : 2], replies[1 : len(commands) : 2]
        found = [Found(name, key, raw, left_ms) for name, key, raw, left_ms in zip(names, keys, values, lefts, strict=True)]
        others = sorted({tag for item in found if item.entry is not None for tag in item.entry.tags} - versions.keys())
        if others:
            versions.update(zip(others, await self._read_versions(others), strict=True))
        for item in found:
            item.versions = versions
            self._judge(item, tags)
        return found

    async def _read_versions(self, tags: Sequence[str]) -> list[int | None]:
        """Return the versions of *tags*, None for those that no entry has."""
        return await self._replies(self._commands.versions(tags))

    def _forget_local(self, names: Sequence[str] | None) -> None:
        """Let local tiers of this process serve none of the keys with these full names; None means any key."""
        for tier in self._client._engines.current().kept.values():
            tier.forget(names)

    async def _replies(self, commands: Sequence[Any]) -> list[Any]:
        replies = await self._client._run_each(commands)  # type: ignore[attr-defined]
        for reply in replies:
            if isinstance(reply, KeyfleetError):
                raise reply
        return replies  # type: ignore[no-any-return]

    def _judge(self, found: Found, tags: tuple[str, ...]) -> None:
        """Set state and value; what cannot be read is missing, and reported."""
        entry = found.entry
        found.state = judge(entry, found.left_ms, found.versions, tags, self._options.refresh_ms)
        if (entry is None and found.identity != NONE) or (entry is not None and entry.is_broken):
            self._note_undecodable(found, DecodeError(found.key, "an entry of the cache"))
        if entry is None or found.state is State.MISSING:
            return
        try:
            found.value = self._options.codec.loads(entry.data)
        except refusals() as error:
            found.state = State.MISSING
            trouble = DecodeError(found.key, "a cached value that the serializer reads", data=entry.payload)
            trouble.__cause__ = error
            self._note_undecodable(found, trouble)

    def _note_undecodable(self, found: Found, error: DecodeError) -> None:
        found.trouble = error
        self._kept.stats.undecodable += 1
        logger.warning("%s; it counts as a miss", error)
        if self._options.on_undecodable is None:
            return
        try:
            self._options.on_undecodable(error)
        except Exception:
            logger.exception("on_undecodable of the cache failed")

    def _note_outage(self, error: ServerError) -> None:
        """Count and, once, log that the server cannot be used; raise what is not an outage but a mistake."""
        if not is_outage(error):
            raise error
        self._kept.stats.outages += 1
        if not self._kept.has_outage:
            self._kept.has_outage = True
            logger.warning("%s; loaders run without the cache until it answers", error)


def tags_of(tags: Iterable[str]) -> tuple[str, ...]:
    """Return *tags*, each once; TypeError if they are a single text."""
    return tuple(dict.fromkeys(key_list(tags, "tags")))
