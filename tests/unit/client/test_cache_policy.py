# SPDX-License-Identifier: MIT
"""What a cache entry holds, when it is served, and which callers may share a load."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet import CacheOptions
from keyfleet._capabilities.cache.entry import NONE, Entry, identity_of, new_token, read_entry, write_entry
from keyfleet._capabilities.cache.flights import Flights
from keyfleet._capabilities.cache.options import State, judge, lifetime_ms
from keyfleet._capabilities.cache.serializers import serializer_of
from keyfleet._transport.thread_flights import Flight
from keyfleet.core.errors import RefusedError
from keyfleet.core.keys.tags import FIRST_VERSION, counter_name, has_entries

T, U = FIRST_VERSION + 5, FIRST_VERSION + 6


def entry(stale_ms: int = 0, **tags: int) -> Entry:
    """Return an entry as it is read."""
    found = read_entry(write_entry(new_token(), b"x", stale_ms=stale_ms, tags=tags, compress_above_bytes=None))
    assert found is not None
    return found


# Entries


@pytest.mark.parametrize("limit", [None, 0, 100, 100_000])
@pytest.mark.parametrize("data", [b"", b"x", b"x" * 5000, bytes(range(256)) * 3])
def test_what_is_written_is_read(data: bytes, limit: int | None) -> None:
    """Compressed or not; the reader need not know."""
    fill = new_token()
    raw = write_entry(fill, data, stale_ms=7, tags={"a": T, "ü": U}, compress_above_bytes=limit)
    found = read_entry(raw)
    assert found is not None
    assert (fill, NONE, True, 7, {"a": T, "ü": U}, data) == (
        *(found.fill, found.token, found.is_filled, found.stale_ms, found.tags, found.data),
    )
    if len(data) == 5000 and limit in (0, 100):
        assert len(raw) < 300


def test_what_is_no_entry_has_an_identity_of_its_own() -> None:
    """So that it is replaced only if it is still there."""
    assert [None] * 4 == [read_entry(raw) for raw in (b"", b"plain", b"kfc0" + b"0" * 90, b"kfc1V")]
    identities = {identity_of(raw, read_entry(raw)) for raw in (b"", b"plain", b"plaim")}
    assert 3 == len(identities)
    assert NONE == identity_of(None, None)
    broken = read_entry(b"kfc1V" + b"0" * 45 + b"\xff" * 20)
    assert broken is not None
    assert (False, True) == (broken.is_filled, broken.is_broken)


def test_data_that_cannot_be_decompressed_is_a_value_error() -> None:
    """As everything that a serializer refuses."""
    found = entry()
    found.flags = 1
    with pytest.raises(ValueError, match="decompressing"):
        _unused = found.data


# When an entry is served


@pytest.mark.parametrize(
    ("found", "left_ms", "versions", "tags", "expected"),
    [
        (None, -2, {}, (), State.MISSING),
        (Entry(NONE, NONE), 1000, {}, (), State.MISSING),
        (entry(), 1000, {}, (), State.FRESH),
        (entry(), 100, {}, (), State.AGING),
        (entry(), -1, {}, (), State.FRESH),
        (entry(), -2, {}, (), State.STALE),
        (entry(stale_ms=500), 500, {}, (), State.STALE),
        (entry(stale_ms=500), 600, {}, (), State.AGING),
        (entry(stale_ms=500), 601, {}, (), State.FRESH),
        (entry(a=T), 1000, {"a": T}, ("a",), State.FRESH),
        (entry(a=T), 1000, {"a": T}, (), State.FRESH),
        (entry(a=T), 1000, {"a": U}, (), State.MISSING),
        (entry(a=T), 1000, {"a": None}, (), State.MISSING),
        (entry(a=T), 1000, {"a": T, "b": U}, ("a", "b"), State.MISSING),
        (entry(a=T, b=T), 1000, {"a": T, "b": U}, ("a",), State.MISSING),
        (entry(stale_ms=500, a=T), 100, {"a": U}, (), State.MISSING),
    ],
)
def test_when_an_entry_is_served(found: Any, left_ms: int, versions: Any, tags: Any, expected: State) -> None:
    """By its TTL, its stale time and the versions of its tags."""
    assert expected is judge(found, left_ms, versions, tags, refresh_ms=100)


def test_a_ttl_is_shortened_at_random_and_never_lengthened() -> None:
    """The stale time comes on top."""
    options = CacheOptions(jitter=0.5, stale_on_error_seconds=3)
    assert [13000, 10500, 8000] == [lifetime_ms(options, 10, lambda dice=dice: dice) for dice in (0.0, 0.5, 1.0)]  # type: ignore[misc]
    assert 1 == lifetime_ms(CacheOptions(), 0.0001, lambda: 1.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jitter", 1),
        ("jitter", -0.1),
        ("lease_seconds", 0),
        ("compress_above_bytes", -1),
        ("serializer", "pickle"),
        ("refresh_ahead_seconds", -1),
    ],
)
def test_options_out_of_range_are_named(name: str, value: Any) -> None:
    """With the value that was found."""
    with pytest.raises(ValueError, match="allowed"):
        CacheOptions(**{name: value})


def test_a_type_that_is_no_serializer_is_refused() -> None:
    """Naming what would be one."""
    with pytest.raises(TypeError, match="dataclass"):
        serializer_of(int)


# Which callers share a load


def flights() -> Flights[Flight]:
    """Return an empty registry."""
    return Flights(lambda: Flight(None))


def test_callers_share_a_load_that_has_not_begun() -> None:
    """Its loader runs after they have asked."""
    registry = flights()
    first, leads = registry.enter("k", NONE, {}, None) or (None, False)
    assert leads
    assert (first, False) == registry.enter("k", NONE, {}, None)
    assert registry.loading("k") is None


def test_callers_share_a_load_whose_lease_they_have_read() -> None:
    """With other tokens or versions they read again once, and then load on their own."""
    registry = flights()
    first, _leads = registry.enter("k", NONE, {}, None) or (None, False)
    assert first is not None
    registry.begin(first, b"token", {"a": T})
    assert (first, False) == registry.enter("k", b"token", {"a": T, "b": U}, None)
    for token, versions in ((NONE, {"a": T}), (b"other", {"a": T}), (b"token", {"a": U}), (b"token", {})):
        assert registry.enter("k", token, versions, None) is None
    second, leads = registry.enter("k", NONE, {}, registry.loading("k")) or (None, False)
    assert leads
    assert second is not first
    registry.leave("k", first)
    assert (second, False) == registry.enter("k", NONE, {}, None)


def test_a_load_without_lease_is_shared_until_an_invalidation() -> None:
    """As the server is down or full, what callers read says nothing."""
    registry = flights()
    first, _leads = registry.enter("k", NONE, {}, None) or (None, False)
    assert first is not None
    registry.begin(first, None, {})
    assert (first, False) == registry.enter("k", NONE, {}, None)
    registry.leave_unleased()
    assert registry.enter("k", NONE, {}, None) != (first, False)


def test_one_load_in_the_background_and_none_in_a_pause() -> None:
    """For each key."""
    registry = flights()
    flight = registry.enter_background("k")
    assert flight is not None
    assert registry.enter_background("k") is None
    leader = registry.enter("k", NONE, {}, None)
    assert leader is not None
    assert (leader[0] is not flight, leader[1]) == (True, True), "a caller does not wait for what may not have been started"
    registry.leave("k", flight)
    assert registry.enter_background("k") is None
    registry.leave("k", leader[0])
    registry.pause("k", 1000)
    assert registry.enter_background("k") is None
    assert registry.enter_background("other") is not None


# Tags


def test_counters_have_names_and_versions_that_entries_can_have() -> None:
    """What INCR alone has made is no version of an entry."""
    assert "p:cache_tag:user:7" == counter_name("p:", "user:7")
    for wrong in ("", None, 7):
        with pytest.raises(RefusedError, match="it must be a text"):
            counter_name("", wrong)  # type: ignore[arg-type]
    assert [False, False, True] == [has_entries(version) for version in (1, FIRST_VERSION, FIRST_VERSION + 1)]
