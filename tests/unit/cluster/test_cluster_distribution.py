# SPDX-License-Identifier: MIT
"""How slots are shared out: by weight, and with the fewest moves."""

from __future__ import annotations

from math import ceil, floor

from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.cluster.distribution import flows, grow, shares
from keyfleet.core.cluster.model import SLOTS, format_slots, ranges

WEIGHTS = st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.0])


@st.composite
def loads(draw: st.DrawFn) -> tuple[dict[str, int], dict[str, float]]:
    """Return how many slots each shard has, all together 16384, and its weight."""
    bounds = [0, *sorted(draw(st.lists(st.integers(0, SLOTS), max_size=12))), SLOTS]
    counts = {f"n{number}": high - low for number, (low, high) in enumerate(zip(bounds, bounds[1:], strict=False))}
    return counts, {name: draw(WEIGHTS) for name in counts}


@given(loads())
def test_rebalancing_moves_the_least(load: tuple[dict[str, int], dict[str, float]]) -> None:
    """Each shard gets its quota, rounded down or up, and no more slots move than that needs."""
    counts, weights = load
    finals = shares(counts, weights)
    quotas = {name: SLOTS * weight / sum(weights.values()) for name, weight in weights.items()}
    assert SLOTS == sum(finals.values())
    assert all(floor(quotas[name]) <= final <= ceil(quotas[name]) for name, final in finals.items())
    moved = sum(count for _source, _target, count in flows(counts, finals))
    fewest = max(
        sum(max(0, count - ceil(quotas[name])) for name, count in counts.items()),
        sum(max(0, floor(quotas[name]) - count) for name, count in counts.items()),
    )
    assert fewest <= moved <= fewest + 1
    assert finals == shares(finals, weights)


@given(loads(), st.data())
def test_new_shards_get_their_share_and_no_other_shard_gains(load: tuple[dict[str, int], dict[str, float]], data: st.DataObject) -> None:
    """What was spread by hand stays so, except for what new shards need; those that leave give everything."""
    counts, weights = load
    leaving = data.draw(st.integers(0, SLOTS))
    counts = {"leaving": leaving, **counts, "new": 0}
    own = {name: count for name, count in counts.items() if name != "leaving"}
    weights["new"] = 1.0
    total = sum(counts.values())
    targets = shares(own, weights, total)
    finals = grow(own, targets, leaving, ["new"])
    assert total == sum(finals.values())
    assert finals["new"] >= targets["new"]
    for name, count in own.items():
        assert finals[name] >= min(count, targets[name]), "no shard falls below its share"
        assert name == "new" or finals[name] <= max(count, targets[name])
    moved = sum(count for _source, _target, count in flows(counts, {**finals, "leaving": 0}))
    assert moved == max(leaving, targets["new"])


def test_the_fullest_give_first() -> None:
    """A shard that was given more by hand is nearer to its share afterwards."""
    finals = grow({"a": 10, "b": 4, "c": 2, "d": 0}, {"a": 4, "b": 4, "c": 4, "d": 4}, 0, ["d"])
    assert {"a": 6, "b": 4, "c": 2, "d": 4} == finals


def test_slots_are_shown_as_ranges() -> None:
    """Many ranges are counted."""
    assert [(0, 2), (5, 5)] == ranges([5, 0, 1, 2])
    assert "0-2 5" == format_slots([5, 0, 1, 2])
    assert "0 2 and 1 more ranges" == format_slots([0, 2, 4], most=2)
