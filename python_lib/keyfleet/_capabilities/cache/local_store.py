# SPDX-License-Identifier: MIT
"""
Entries in this process's memory, which the server reports as changed.

A read that is to be kept is announced before it is sent. A report that comes meanwhile keeps it out, one that comes later removes it, so
that nothing stays that is older than the last report.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .entry import Entry

OVERHEAD_BYTES = 250  # of an entry, beside its name and its data


@dataclass
class LocalStats:
    """
    The local tier of a cache.

    Attributes:
        state: ``on``; ``connecting``; or ``off`` and why, as where the server denies CLIENT TRACKING.
        entries, bytes: What it holds.
        invalidations: Names that servers reported as changed.
    """

    state: str = "connecting"
    entries: int = 0
    bytes: int = 0
    invalidations: int = 0


class LocalEntry:
    """
    The bytes of a value, as the serializer has written them.

    Attributes:
        data: The bytes.
        expires_at: When it is read from the server again, by the monotonic clock.
        tags: Its tags, and the version of each.
        size: In bytes.
    """

    __slots__ = ("data", "expires_at", "size", "tags")

    def __init__(self, data: bytes, expires_at: float, tags: dict[str, int], size: int) -> None:
        self.data, self.expires_at, self.tags, self.size = data, expires_at, tags, size


class Reading:
    """A read that was announced; *spoiled* are the names that changed meanwhile."""

    __slots__ = ("epoch", "names", "spoiled")

    def __init__(self, names: Sequence[str], epoch: int) -> None:
        self.names, self.epoch = names, epoch
        self.spoiled: set[str] = set()


class LocalStore:
    """
    Least recently used entries, bounded in number and bytes.

    Args:
        max_entries, max_bytes: The bounds.
    Attributes:
        valid_until: Until when what is here may be served, by the monotonic clock; it moves on while the servers answer.
        state: For LocalStats.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self.valid_until = -math.inf
        self.state = "connecting"
        self.invalidations = 0
        self._entries: OrderedDict[str, LocalEntry] = OrderedDict()
        self._versions: OrderedDict[str, int] = OrderedDict()  # by the names of the counters
        self._bytes = self._epoch = 0
        self._readings: dict[str, list[Reading]] = {}
        self._guard = threading.Lock()

    def get(self, name: str, now: float) -> LocalEntry | None:
        """Return the entry *name*, None if there is none that may be served; the caller checks its tags."""
        entry = self._entries.get(name)
        if entry is None or now >= self.valid_until or now >= entry.expires_at:
            return None
        try:
            self._entries.move_to_end(name)
        except KeyError:  # another thread has removed it
            return None
        return entry

    def has_versions(self, entry: LocalEntry, counters: Iterable[tuple[str, str]]) -> bool:
        """Say whether all tags of *entry*, given with the names of their counters, are known to have its versions."""
        return all(tag in entry.tags and self._versions.get(name) == entry.tags[tag] for tag, name in counters)

    def announce(self, names: Sequence[str]) -> Reading:
        """Note that *names* are about to be read; `forget` must follow."""
        with self._guard:
            reading = Reading(names, self._epoch)
            for name in names:
                self._readings.setdefault(name, []).append(reading)
            return reading

    def forget(self, reading: Reading) -> None:
        """Note that nothing of *reading* will be kept any more."""
        with self._guard:
            for name in reading.names:
                others = [other for other in self._readings.get(name, ()) if other is not reading]
                if others:
                    self._readings[name] = others
                else:
                    self._readings.pop(name, None)

    def keep(self, reading: Reading, name: str, entry: Entry, expires_at: float) -> None:
        """Keep what was read, unless it changed meanwhile or is larger than all that may be here."""
        data = entry.data
        size = len(data) + len(name) + OVERHEAD_BYTES
        with self._guard:
            if reading.epoch != self._epoch or name in reading.spoiled or size > self._max_bytes:
                return
            self._drop(name)
            self._entries[name] = LocalEntry(data, expires_at, entry.tags, size)
            self._bytes += size
            while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
                self._drop(next(iter(self._entries)))

    def keep_version(self, reading: Reading, name: str, version: int) -> None:
        """Keep the version that the counter *name* was read with."""
        with self._guard:
            if reading.epoch != self._epoch or name in reading.spoiled:
                return
            self._versions[name] = version
            self._versions.move_to_end(name)
            if len(self._versions) > self._max_entries:
                self._versions.popitem(last=False)

    def invalidate(self, names: Iterable[str]) -> None:
        """Remove what changed."""
        with self._guard:
            for name in names:
                self.invalidations += 1
                self._drop(name)
                self._versions.pop(name, None)
                for reading in self._readings.get(name, ()):
                    reading.spoiled.add(name)

    def clear(self) -> None:
        """Remove everything, and keep nothing of the reads that were announced before."""
        with self._guard:
            self._epoch += 1
            self._entries.clear()
            self._versions.clear()
            self._bytes = 0

    def switch_off(self, state: str) -> None:
        """Serve nothing until `switch_on`."""
        self.valid_until = -math.inf
        self.state = state
        self.clear()

    def switch_on(self, valid_until: float) -> None:
        """Begin empty, as changes are reported from now on."""
        self.clear()
        self.state, self.valid_until = "on", valid_until

    def stats(self) -> LocalStats:
        """Return what there is."""
        return LocalStats(self.state, len(self._entries), self._bytes, self.invalidations)

    def _drop(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._bytes -= entry.size
