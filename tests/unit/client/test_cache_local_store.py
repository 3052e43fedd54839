# SPDX-License-Identifier: MIT
"""What stays in memory: nothing that changed after it was read, and no more than may be there."""

from __future__ import annotations

from keyfleet._capabilities.cache.entry import Entry, new_token, read_entry, write_entry
from keyfleet._capabilities.cache.local_store import OVERHEAD_BYTES, LocalStore


def entry(data: bytes = b"x", **tags: int) -> Entry:
    """Return an entry as it is read."""
    found = read_entry(write_entry(new_token(), data, stale_ms=0, tags=tags, compress_above_bytes=None))
    assert found is not None
    return found


def opened(max_entries: int = 10, max_bytes: int = 10_000) -> LocalStore:
    """Return a store that may serve until 100."""
    store = LocalStore(max_entries, max_bytes)
    store.switch_on(100.0)
    return store


def put(store: LocalStore, name: str, data: bytes = b"x") -> None:
    """Read and keep *name*."""
    reading = store.announce([name])
    store.keep(reading, name, entry(data), 50.0)
    store.forget(reading)


def names(store: LocalStore) -> list[str]:
    """Return which of a to z are served at 0."""
    return [name for name in map(chr, range(97, 123)) if store.get(name, 0.0) is not None]


def test_an_entry_is_served_until_it_expires_or_reports_may_be_missing() -> None:
    """Whichever comes first."""
    store = opened()
    put(store, "a")
    assert [True, True, False] == [store.get("a", now) is not None for now in (0.0, 49.9, 50.0)]
    store.valid_until = 10.0
    assert [True, False] == [store.get("a", now) is not None for now in (9.9, 10.0)]


def test_what_changed_while_it_was_read_is_not_kept() -> None:
    """A report between the announcement and the reply; one for another name does no harm."""
    store = opened()
    first, second = store.announce(["a", "b"]), store.announce(["a"])
    store.invalidate(["a"])
    for reading in (first, second):
        store.keep(reading, "a", entry(), 50.0)
    store.keep(first, "b", entry(), 50.0)
    third = store.announce(["a"])
    assert ["b"] == names(store)
    store.keep(third, "a", entry(), 50.0)
    assert ["a", "b"] == names(store)
    store.invalidate(["a", "c"])
    assert ["b"] == names(store)
    assert 3 == store.invalidations


def test_nothing_is_kept_of_reads_from_before_the_connection() -> None:
    """Reports between two connections are lost."""
    store = opened()
    put(store, "a")
    reading = store.announce(["b"])
    store.switch_off("connecting")
    assert [] == names(store)
    store.switch_on(100.0)
    store.keep(reading, "b", entry(), 50.0)
    store.keep_version(reading, "t", 5)
    assert ([], 0) == (names(store), store.stats().bytes)
    again = store.announce(["b"])
    store.keep(again, "b", entry(t=5), 50.0)
    found = store.get("b", 0.0)
    assert found is not None
    assert not store.has_versions(found, [("t", "t")])


def test_least_recently_used_entries_go_first() -> None:
    """By number and by bytes; one that is larger than everything is not kept."""
    store = opened(max_entries=3)
    for name in "abc":
        put(store, name)
    store.get("a", 0.0)
    put(store, "d")
    assert ["a", "c", "d"] == names(store)
    small = opened(max_bytes=3 * (OVERHEAD_BYTES + 101))
    for name in "abcd":
        put(small, name, b"x" * 100)
    put(small, "e", b"x" * 10_000)
    assert ["b", "c", "d"] == names(small)
    assert 3 * (OVERHEAD_BYTES + 101) == small.stats().bytes
    for name in "bcd":
        small.invalidate([name])
    assert (0, 0) == (small.stats().entries, small.stats().bytes)


def test_versions_of_tags_are_known_until_they_change() -> None:
    """A tag that an entry does not have is not valid, whatever is known."""
    store = opened()
    reading = store.announce(["a", "c:t"])
    store.keep(reading, "a", entry(t=5), 50.0)
    found = store.get("a", 0.0)
    assert found is not None
    assert not store.has_versions(found, [("t", "c:t")])
    store.keep_version(reading, "c:t", 5)
    assert store.has_versions(found, [("t", "c:t")])
    assert not store.has_versions(found, [("t", "c:t"), ("u", "c:u")])
    store.invalidate(["c:t"])
    assert not store.has_versions(found, [("t", "c:t")])
