# SPDX-License-Identifier: MIT
"""Which primaries are the shards of the desired cluster: those that are there, new ones, and those that leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from ..errors import RefusedError
from .distribution import shares
from .model import LISTED, RETIRED, SMALLEST_CLUSTER, UNLISTED, Desired, Member
from .placement import Place, place_replicas, spread
from .working import WorkingCopy


@dataclass
class Shards:
    """
    The shards by the ids of their primaries.

    Attributes:
        own: Those that shall be, in order; a retired primary among them hands over.
        new: Those of *own* that were none before; some may be replicas still.
        leaving: Those whose slots go to others.
        foreign: Those of primaries that the user does not name; they keep what they have.
        seats: For each node that is not a primary the shard that it shall be in.
        filling: For each shard that an earlier run was filling the slot that is reserved on it.
    """

    own: list[str]
    new: list[str]
    leaving: list[str]
    foreign: list[str]
    seats: dict[str, str] = field(default_factory=dict)
    filling: dict[str, int] = field(default_factory=dict)

    def targets(self, copy: WorkingCopy) -> dict[str, int]:
        """Return how many slots each of *own* should have by weight; a shard weighs what its weakest member does."""
        weights: dict[str, float] = {}
        for name, shard in [*((name, name) for name in self.own), *self.seats.items()]:
            node = copy.members[name]
            if node.kind == LISTED:
                weights[shard] = min(node.weight, weights.get(shard, node.weight))
        fixed = sum(copy.counts(self.foreign).values())
        return shares(copy.counts(self.own), weights, len(copy.owners) - fixed)


def choose_shards(copy: WorkingCopy, desired: Desired) -> Shards:
    """
    Return the shards, and where every other node shall be.

    Raises:
        RefusedError: if the nodes are too few.
    """
    counts = Counter(owner for owner in copy.owners if owner is not None)
    owning = [copy.members[name] for name in counts]
    foreign = [node.id for node in owning if node.kind == UNLISTED or not node.is_reachable]
    standing = [node for node in copy.primaries() if counts[node.id] and node.kind in (LISTED, RETIRED)]
    members = [node for node in copy.staying() if node.kind == LISTED or node.primary is not None or counts[node.id]]
    wanted = count_shards(len(members), desired) - len(foreign)
    if wanted < 1:
        raise RefusedError(f"{len(foreign)} shards have primaries that are not in nodes; too few are left for those that are")
    listed = Counter(node.primary or node.id for node in copy.members.values() if node.kind == LISTED and node.is_reachable)
    standing.sort(key=lambda node: (listed[node.id] > 0, node.kind == LISTED, counts[node.id], node.id))
    leaving, kept = standing[: max(0, len(standing) - wanted)], standing[max(0, len(standing) - wanted) :]
    new = _choose_new(copy, [node.id for node in kept], wanted - len(kept))
    own = [name for name in copy.members if name in {*new, *(node.id for node in kept)}]
    shards = Shards(own, new, [node.id for node in leaving], foreign)
    _seat(copy, shards, desired.replicas)
    if not all(shards.targets(copy).values()):
        raise RefusedError(f"primaries that are not in nodes own so many slots that too few are left for {len(own)} shards")
    shards.filling = _filling(copy, shards)
    return shards


def count_shards(nodes: int, desired: Desired) -> int:
    """Return how many shards so many nodes shall have, or refuse."""
    each = desired.replicas + 1
    wanted = desired.shards or nodes // each
    least = max(wanted, SMALLEST_CLUSTER)
    if nodes < least * each or wanted < SMALLEST_CLUSTER:
        raise RefusedError(
            f"{nodes} nodes are too few: {least} shards with {desired.replicas} replicas each need {least * each}; a cluster has at least "
            f"{SMALLEST_CLUSTER} shards"
        )
    return wanted


def _choose_new(copy: WorkingCopy, kept: list[str], count: int) -> list[str]:
    """Return *count* nodes for new shards: empty primaries, first those that an earlier run has chosen, then replicas that are too many."""
    if count <= 0:
        return []
    places = {node.id: Place(node.host, node.zone) for node in copy.members.values()}
    replicas: Counter[Optional[str]] = Counter(node.primary for node in copy.staying() if node.primary is not None)
    owners = set(copy.owners)
    empty = [node for node in copy.primaries() if node.kind == LISTED and node.id not in owners]
    chosen = [node.id for node in empty if replicas[node.id] or node.importing][:count]
    rest = [node.id for node in empty if node.id not in chosen]
    chosen += spread(rest, places, min(count - len(chosen), len(rest)), [*kept, *chosen])
    while len(chosen) < count:
        spare = [node for node in copy.staying() if node.kind == LISTED and node.primary in kept and node.id not in chosen]
        if not spare:
            raise RefusedError(f"the nodes are too few: {count - len(chosen)} more are needed as primaries of new shards")
        most = max(replicas[node.primary] for node in spare)
        chosen += spread([node.id for node in spare if replicas[node.primary] == most], places, 1, [*kept, *chosen])
        replicas[copy.members[chosen[-1]].primary] -= 1
    return chosen


def _seat(copy: WorkingCopy, shards: Shards, replicas: int) -> None:
    """Choose the shard of every node that is not the primary of one."""
    places = {node.id: Place(node.host, node.zone) for node in copy.members.values()}
    others = [node for node in copy.staying() if node.id not in shards.own]
    movable = [node for node in others if _may_move(node, shards)]
    fixed = {name: [name] if copy.members[name].kind == LISTED else [] for name in shards.own}
    for node in others:
        if node.primary in fixed and not _may_move(node, shards):
            fixed[node.primary].append(node.id)
    homeless = {node.id: None for node in movable if node.kind == UNLISTED}
    seats = place_replicas(places, fixed, dict.fromkeys(fixed, 0), homeless)
    for name, shard in seats.items():
        fixed[shard].append(name)
    needs = {name: max(copy.members[name].kind == RETIRED, replicas + 1 - len(nodes)) for name, nodes in fixed.items()}
    current = {node.id: node.primary if node.primary in fixed else None for node in movable if node.kind == LISTED}
    if len(current) < sum(needs.values()):
        raise RefusedError(f"{len(current)} nodes are left to be replicas, and {len(shards.own)} shards need {sum(needs.values())}")
    shards.seats = {**seats, **(place_replicas(places, fixed, needs, current))}


def _may_move(node: Member, shards: Shards) -> bool:
    """Whether the node may be seated. Replicas of foreign primaries stay, and foreign replicas as long as their primary does."""
    if node.kind == LISTED or node.primary is None:
        return node.kind == LISTED and node.primary not in shards.foreign
    return node.primary not in (*shards.own, *shards.foreign)


def _filling(copy: WorkingCopy, shards: Shards) -> dict[str, int]:
    """Return the shards that a killed run was filling, with the slot that is reserved on them: its owner does not give it yet."""
    targets, counts = shards.targets(copy), copy.counts(shards.own)
    givers: Mapping[Optional[str], Member] = {name: copy.members[name] for name in (*shards.own, *shards.leaving)}
    found: dict[str, int] = {}
    for name in shards.own:
        for slot in sorted(copy.members[name].importing):
            owner = copy.owners[slot]
            if owner in givers and owner != name and slot not in givers[owner].migrating and counts[name] < targets[name]:
                found[name] = slot
    return found
