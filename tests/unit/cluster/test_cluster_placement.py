# SPDX-License-Identifier: MIT
"""Members of a shard are on different hosts and zones wherever that is possible, and no node changes its shard without need."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.cluster.placement import Place, crowded_shards, place_replicas, spread


@st.composite
def fleets(draw: st.DrawFn) -> tuple[dict[str, Place], int, int]:
    """Return places of nodes, and numbers of shards and replicas; no host has more nodes than there are shards."""
    shards, replicas = draw(st.integers(3, 8)), draw(st.integers(1, 2))
    left, places = shards * (replicas + 1), {}
    host = 0
    while left:
        count = min(left, draw(st.integers(1, shards)))
        for _node in range(count):
            places[f"n{len(places):02}"] = Place(f"h{host}", "")
        left, host = left - count, host + 1
    return places, shards, replicas


@given(fleets())
def test_no_shard_has_two_members_on_one_host(fleet: tuple[dict[str, Place], int, int]) -> None:
    """Where no host has more nodes than there are shards, it is possible."""
    places, shards, replicas = fleet
    primaries = spread(places, places, shards)
    fixed = {name: [name] for name in primaries}
    current = {name: None for name in places if name not in fixed}
    seats = place_replicas(places, fixed, dict.fromkeys(fixed, replicas), current)
    assert dict.fromkeys(primaries, replicas) == Counter(seats.values())
    members = {name: [name, *(node for node, shard in seats.items() if shard == name)] for name in primaries}
    assert {} == crowded_shards(places, members)
    assert seats == place_replicas(places, fixed, dict.fromkeys(fixed, replicas), dict(seats)), "a second time nothing moves"


def test_zones_count_where_hosts_differ() -> None:
    """A replica on another host of the same zone is exchanged."""
    places = {name: Place(f"host-{name}", zone) for name, zone in {"p": "a", "q": "b", "r": "a", "s": "b"}.items()}
    seats = place_replicas(places, {"p": ["p"], "q": ["q"]}, {"p": 1, "q": 1}, {"r": "p", "s": "q"})
    assert {"r": "q", "s": "p"} == seats


def test_only_what_lacks_is_filled() -> None:
    """The fullest shard gives, all others stay."""
    places = {name: Place(f"host-{name}", "") for name in "pqrabcd"}
    current = {"a": "p", "b": "p", "c": "p", "d": "q"}
    seats = place_replicas(places, {"p": ["p"], "q": ["q"], "r": ["r"]}, {"p": 1, "q": 1, "r": 1}, current)
    assert {"p": 2, "q": 1, "r": 1} == Counter(seats.values())
    assert "q" == seats["d"]


def test_what_cannot_be_is_named() -> None:
    """Two nodes on one host, two hosts in one zone."""
    places = {"p": Place("h", "a"), "q": Place("h", "b"), "r": Place("i", "a")}
    assert {"p": "host h, zone a"} == crowded_shards(places, {"p": ["p", "q", "r"], "x": ["q", "r"]})
