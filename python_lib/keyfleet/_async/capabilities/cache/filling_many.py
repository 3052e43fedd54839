# SPDX-License-Identifier: MIT
"""Many keys in one call: one loader call for those that no other caller loads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...._capabilities.cache.commands import WON
from ...._capabilities.cache.entry import new_token
from ...._capabilities.cache.options import State, lifetime_ms
from ...._protocol.arguments import Seconds
from ...._protocol.command import Command, Operation
from ...._transport.asyncio_flights import loaded
from ...._transport.asyncio_waits import sleep
from ....core.errors import ServerError
from .filling import FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS, AsyncFilling
from .reading import Found, logger


class ManyFill:
    """
    What a caller wants to be loaded: as Fill, for a *loader* that is given the keys.

    Attributes:
        token: Of the leases.
    """

    __slots__ = ("loader", "tags", "token", "ttl_seconds")

    def __init__(self, loader: Callable[[list[str]], Any], ttl_seconds: Seconds, tags: tuple[str, ...]) -> None:
        self.loader, self.ttl_seconds, self.tags, self.token = loader, ttl_seconds, tags, new_token()


class AsyncManyFilling(AsyncFilling):
    """Loads the missing ones of many values."""

    async def _get_or_load_many(self, keys: Sequence[str], fill: ManyFill) -> dict[str, Any]:
        """Return the value of each of *keys*, from the server or the loader."""
        lifetime_ms(self._options, fill.ttl_seconds)  # refuses what is out of range before anything is loaded
        stats, pause = self._kept.stats, FIRST_POLL_SECONDS
        deadline = time.monotonic() + 2 * self._options.lease_ms / 1000
        values: dict[str, Any] = {}
        left, is_first = list(keys), True
        while left:
            found = await self._find_many(left, fill.tags)
            served = {item.key: item.value for item in found if item.is_served}
            values.update(served)
            missing = [item for item in found if not item.is_served]
            stats.hits += len(served)
            stats.misses += len(missing) if is_first else 0
            is_first = False
            mine, versions = await self._lease_many(missing, fill)
            if versions is None or (not mine and time.monotonic() >= deadline):
                mine, versions = missing, None
            if mine:
                values.update(await self._load_many(mine, fill, versions))
            left = [item.key for item in missing if item.key not in values]
            if left and not mine:
                stats.waits += pause == FIRST_POLL_SECONDS
                await sleep(pause)
                pause = min(1.5 * pause, LONGEST_POLL_SECONDS)
        return {key: values[key] for key in keys}

    async def _find_many(self, keys: Sequence[str], tags: tuple[str, ...]) -> list[Found]:
        """Return what each of *keys* holds; during an outage, that it could not be asked."""
        try:
            found = await self._read_all(keys, tags)
        except ServerError as error:
            self._note_outage(error)
            found = [Found(self._name(key), key) for key in keys]
            for item in found:
                item.is_outage = True
        return found

    async def _lease_many(self, missing: Sequence[Found], fill: ManyFill) -> tuple[list[Found], dict[str, int] | None]:
        """Return the keys whose lease could be taken, and the versions of the tags; None for these if the server is down or full."""
        if not missing:
            return [], {}
        if missing[0].is_outage:
            return [], None
        keep_ms = 2 * lifetime_ms(self._options, fill.ttl_seconds, lambda: 0.0)
        commands: list[Command[Any]] = [
            *(self._commands.acquire(item.name, item.key, fill.token, self._options.lease_ms, item.identity) for item in missing),
            *(self._commands.start_tag(tag, keep_ms) for tag in fill.tags),
        ]
        try:
            replies = await self._client._run(Operation(commands, list))
        except ServerError as error:
            self._note_outage(error)
            return [], None
        mine = [item for item, (state, _left_ms) in zip(missing, replies, strict=False) if state == WON]
        return mine, dict(zip(fill.tags, replies[len(missing) :], strict=True))

    async def _load_many(self, mine: Sequence[Found], fill: ManyFill, versions: dict[str, int] | None) -> dict[str, Any]:
        """Load and store values; those of which the loader knows nothing are None, and not stored."""
        stats = self._kept.stats
        stats.loads += 1
        try:
            found: Mapping[str, Any] = await loaded(fill.loader([item.key for item in mine]))
            if not isinstance(found, Mapping):
                raise TypeError(f"the loader returned a {type(found).__name__}; it must be a mapping of keys to values")
            await self._store_many([item for item in mine if item.key in found], found, fill, versions)
            await self._release_many([item for item in mine if item.key not in found], fill)
        except BaseException as error:
            stats.load_errors += isinstance(error, Exception)
            await self._release_many(mine, fill)
            if not isinstance(error, Exception) or not all(item.state is State.STALE for item in mine):
                raise
            stats.stale += len(mine)
            logger.warning("loading %d keys failed with %s; their stale values are served", len(mine), type(error).__name__)
            return {item.key: item.value for item in mine}
        return {item.key: found.get(item.key) for item in mine}

    async def _store_many(self, items: Sequence[Found], values: Mapping[str, Any], fill: ManyFill, versions: dict[str, int] | None) -> None:
        entries = [(item, new_token(), values[item.key]) for item in items]
        written = [(item, fill_id, self._entry(fill_id, value, versions or {})) for item, fill_id, value in entries]
        if versions is None:
            await self._release_many(items, fill)  # the reply to the leases may have been lost
            return
        commands = [
            self._commands.store(item.name, item.key, fill.token, fill_id, entry, lifetime_ms(self._options, fill.ttl_seconds))
            for item, fill_id, entry in written
        ]
        try:
            stored = await self._client._run(Operation(commands, list)) if commands else []
        except ServerError as error:
            self._note_outage(error)
            return
        self._kept.stats.discarded += len(stored) - sum(stored)

    async def _release_many(self, items: Sequence[Found], fill: ManyFill) -> None:
        """Give leases back; an outage leaves them to their end."""
        commands = [self._commands.release(item.name, item.key, fill.token) for item in items if not item.is_outage]
        try:
            if commands:
                await self._client._run(Operation(commands, list))
        except ServerError as error:
            self._note_outage(error)
