# SPDX-License-Identifier: MIT
"""Reading entries with a tier in this process's memory, if the cache has one."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ...._capabilities.cache.local_store import LocalEntry, LocalStats, LocalStore
from ...._capabilities.cache.options import CacheOptions, State
from ...._capabilities.cache.serializers import refusals
from ....core.keys.tags import COUNTER
from ...lifecycle import AsyncClientBase
from .reading import AsyncReading, Found, Kept

if TYPE_CHECKING:
    from .tracking import Tracker

_monotonic = time.monotonic
MISS: Any = object()
Limits = tuple[str, int, int]  # beginning of the keys that are kept, most entries, most bytes


class AsyncLocalReading(AsyncReading):
    """
    Reads entries, and keeps their bytes as long as the servers report what changes.

    Args:
        client, kept, options: As for AsyncReading.
        limits: Of the local tier; None without one.
    """

    def __init__(self, client: AsyncClientBase, kept: Kept, options: CacheOptions, limits: Limits | None = None) -> None:
        super().__init__(client, kept, options)
        self._limits, self._prefix = limits, client.settings.key_prefix
        self._loads, self._refusals = options.codec.loads, refusals()

    @property
    def local_stats(self) -> LocalStats:
        """Whether the local tier is on, and what it holds."""
        tier = self._tier()
        return LocalStats("off: this cache has none; local() returns one that does") if tier is None else tier.store.stats()

    def _local_value(self, key: str, tags: Iterable[str]) -> Any:
        """Return the value of *key* from this process's memory, MISS if it is not there."""
        tier = self._tier()
        if tier is None:
            return MISS
        entry = tier.store.get(self._prefix + key, _monotonic())
        if entry is None or ((tags or entry.tags) and not self._is_valid(tier, entry, tags)):
            return MISS
        try:
            value = self._loads(entry.data)
        except self._refusals:  # the server's entry is reported
            return MISS
        self._kept.stats.local_hits += 1
        return value

    def _tier(self) -> Tracker | None:
        """Return what keeps the entries of this event loop, or process, in step; it connects in the background when it is first used."""
        if self._limits is None:
            return None
        engine = self._client._engines.current()
        tier: Tracker | None = engine.kept.get(self._limits)
        if tier is None:
            from .tracking import Tracker  # for the programs that have a local tier

            prefix, max_entries, max_bytes = self._limits
            names = [self._prefix + prefix, self._prefix + COUNTER]
            if names[1].startswith(names[0]) or names[0].startswith(names[1]):
                names = [min(names, key=len)]
            store = LocalStore(max_entries, max_bytes)
            tier = engine.kept.setdefault(self._limits, Tracker(engine, self._client._dialer, store, names, self._kept))
            tier.start()
        return tier

    def _is_valid(self, tier: Tracker, entry: LocalEntry, tags: Iterable[str]) -> bool:
        counters = [(tag, self._commands.counter(tag)) for tag in {*tags, *entry.tags}]
        return tier.store.has_versions(entry, counters)

    async def _read_all(self, keys: Sequence[str], tags: tuple[str, ...]) -> list[Found]:
        """Read from the server, and keep what it reports changes of."""
        tier, begun = self._tier(), _monotonic()
        if tier is None or self._limits is None:
            return await super()._read_all(keys, tags)
        store, prefix = tier.store, self._prefix + self._limits[0]
        counters = {tag: self._commands.counter(tag) for tag in tags}
        reading = store.announce([*(self._name(key) for key in keys), *counters.values()])
        try:
            found = await super()._read_all(keys, tags)
            for tag, name in counters.items():
                version = found[0].versions[tag] if found else None
                if version is not None and tier.tracks(name):
                    store.keep_version(reading, name, version)
            for item in found:
                if item.state is State.FRESH and item.entry is not None and item.name.startswith(prefix) and tier.tracks(item.name):
                    left_ms = item.left_ms - item.entry.stale_ms - self._options.refresh_ms
                    expires_at = math.inf if item.left_ms == -1 else begun + left_ms / 1000
                    store.keep(reading, item.name, item.entry, expires_at)
        finally:
            store.forget(reading)
        return found

    async def _read_versions(self, tags: Sequence[str]) -> list[int | None]:
        """Read from the server, and keep what it reports changes of."""
        tier = self._tier()
        if tier is None:
            return await super()._read_versions(tags)
        names = [self._commands.counter(tag) for tag in tags]
        reading = tier.store.announce(names)
        try:
            versions = await super()._read_versions(tags)
            for name, version in zip(names, versions, strict=True):
                if version is not None and tier.tracks(name):
                    tier.store.keep_version(reading, name, version)
        finally:
            tier.store.forget(reading)
        return versions
