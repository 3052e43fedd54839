# SPDX-License-Identifier: MIT
"""How many slots each shard should have, and which flows lead there with the fewest moves."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from math import floor

from .model import SLOTS


def shares(counts: Mapping[str, int], weights: Mapping[str, float], total: int = SLOTS) -> dict[str, int]:
    """
    Return how many of *total* slots each shard should have by weight.

    Each gets its quota rounded down or up; rounded up are first those that have more than the lower number, so that the least moves.

    Args:
        counts: Slots that each shard has now.
        weights: Weight of each shard.
    """
    if not counts:
        return {}
    whole = sum(weights[name] for name in counts)
    quotas = {name: total * weights[name] / whole for name in counts}
    result = {name: floor(quota) for name, quota in quotas.items()}
    uneven = [name for name in counts if result[name] < quotas[name]]  # one whose quota is whole has it already
    by_claim = sorted(uneven, key=lambda name: (counts[name] <= result[name], result[name] - quotas[name]))
    for name in by_claim[: total - sum(result.values())]:
        result[name] += 1
    return result


def fill(counts: Mapping[str, int], targets: Mapping[str, int], pool: int, first: Iterable[str] = ()) -> dict[str, int]:
    """
    Return the counts after *pool* further slots were given out, each to the shard that lacks most.

    Args:
        first: Shards that are served before all others, up to their target.
    """
    result = dict(counts)
    lacking = [(result[name] - targets[name], name) for name in first if result[name] < targets[name]]
    heapq.heapify(lacking)
    while pool and lacking:
        _give(result, targets, lacking)
        pool -= 1
        lacking = lacking if lacking[0][0] < 0 else []
    every = [(result[name] - targets[name], name) for name in result]
    heapq.heapify(every)
    for _unused in range(pool):
        _give(result, targets, every)
    return result


def _give(result: dict[str, int], targets: Mapping[str, int], lacking: list[tuple[int, str]]) -> None:
    _lack, name = lacking[0]
    result[name] += 1
    heapq.heapreplace(lacking, (result[name] - targets[name], name))


def grow(counts: Mapping[str, int], targets: Mapping[str, int], pool: int, growing: Iterable[str]) -> dict[str, int]:
    """
    Return the counts after each of *growing* got its target, from *pool* and then from those that are furthest above theirs.

    What is left of *pool* goes to whoever lacks most.
    """
    wanted = {name for name in growing if counts[name] < targets[name]}
    needed = sum(targets[name] - counts[name] for name in wanted)
    result = dict(counts)
    above = [(targets[name] - count, name) for name, count in counts.items() if name not in wanted and count > targets[name]]
    heapq.heapify(above)
    for _unused in range(needed - pool):
        if not above:
            break
        _surplus, name = above[0]
        result[name] -= 1
        heapq.heapreplace(above, (targets[name] - result[name], name))
        pool += 1
    return fill(result, targets, pool, wanted)


def flows(counts: Mapping[str, int], finals: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """Return who gives how many slots to whom, so that *counts* become *finals*; no slot moves twice."""
    surplus = {name: counts[name] - finals[name] for name in counts if counts[name] > finals[name]}
    found: list[tuple[str, str, int]] = []
    for target in counts:
        lacking = finals[target] - counts[target]
        while lacking > 0:
            source = next(iter(surplus))
            moved = min(surplus[source], lacking)
            found.append((source, target, moved))
            lacking -= moved
            surplus[source] -= moved
            if not surplus[source]:
                del surplus[source]
    return found
