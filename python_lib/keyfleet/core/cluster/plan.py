# SPDX-License-Identifier: MIT
"""
From what the cluster is to what it should be: the steps, in an order in which each leaves a cluster that serves; pure.

The running nodes are the only memory. What a killed run left is recognised from them: nodes that do not know each other, slots without
owner, slots open on both sides, and a shard that is being filled by the slot that stays marked as importing on it (`Reserve`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import RefusedError
from .distribution import fill, flows, grow
from .model import LISTED, RETIRED, STALE, UNLISTED, ClusterState, Desired, Member, format_slots, slots_by_owner
from .placement import Place, crowded_shards
from .shards import Shards, choose_shards
from .steps import FORCE, HANDOVER, TAKEOVER, Assign, Close, Detach, Forget, Leave, Meet, Move, Promote, Replicate, Reserve, Step
from .working import WorkingCopy

INTRODUCTIONS = 8  # members that each newcomer is introduced to; gossip does the rest


@dataclass(frozen=True)
class ClusterPlan:
    """
    What to do.

    Attributes:
        steps: In order; empty if the cluster is as desired.
        warnings: What is not as it should be and stays so.
        after: The state that the steps lead to.
    """

    steps: tuple[Step, ...]
    warnings: tuple[str, ...]
    after: ClusterState


def plan_cluster(state: ClusterState, desired: Desired) -> ClusterPlan:
    """
    Return the steps from *state* to *desired*.

    The order:
    - Replicas take over from failed primaries before lost slots are counted: only slots that no replica serves are lost with their keys.
    - Moves that were begun end before shards are chosen, because the choice counts the slots of each primary.
    - A new node gets its slots before it meets the others: only a node that knows no other may set its configuration epoch.
    - Open slots are closed, and slots move, between nodes that know each other: a node serves no open slot whose owner it does not know.
    - Replicas are attached before slots move, so that no key has a single copy. Those of a shard that leaves stay until its slots are gone.
    - A retired primary hands over twice: before the moves, and after them, since its successor may be a replica of a shard that left.
    - A node is forgotten last, when it owns nothing and no node follows it.

    Raises:
        RefusedError: if they would lose data, or the nodes are too few.
    """
    copy, warnings = WorkingCopy(state), list[str]()
    refuse_hidden(copy)
    promote_for_failed(copy)
    warnings += release_lost(copy, desired)
    finish_moves(copy)
    shards = choose_shards(copy, desired)
    detach(copy, shards)
    assign(copy, shards)
    meet(copy)
    close_slots(copy, shards)
    leaving = {*shards.leaving, *(node.id for node in copy.staying() if node.primary in shards.leaving)}
    replicate(copy, [name for name in shards.seats if name not in leaving], shards)  # the others when their slots have moved
    hand_over(copy, shards)
    move(copy, shards, desired)
    replicate(copy, list(shards.seats), shards)
    hand_over(copy, shards)
    forget(copy)
    warnings += describe_rest(copy)
    return ClusterPlan(tuple(copy.steps), tuple(warnings), ClusterState(copy.members, copy.owners))


# What failed


def refuse_hidden(copy: WorkingCopy) -> None:
    """Refuse to remove a node that the others still reach, and this host does not."""
    hidden = [node for node in copy.members.values() if node.kind == RETIRED and not node.is_reachable and not node.is_failed]
    if hidden:
        names = ", ".join(node.address for node in hidden)
        raise RefusedError(f"retired: {names} cannot be reached from here, and the cluster does not call it failed; it cannot be drained")


def promote_for_failed(copy: WorkingCopy) -> None:
    """Let a replica take over from each failed primary; the cluster does so without help only while it has a majority."""
    owning = [copy.members[owner] for owner in slots_by_owner(copy.owners) if owner is not None]
    majority = 2 * sum(node.is_reachable for node in owning) > len(owning)
    for failed in owning:
        if failed.is_reachable or not (failed.is_failed or failed.kind == STALE):
            continue
        replicas = [node for node in copy.members.values() if node.primary == failed.id and node.is_reachable]
        if replicas:  # a retired one may have the last copy
            best = max(replicas, key=lambda node: (node.kind == LISTED, node.kind == UNLISTED, node.offset, node.id))
            copy.do(Promote(best.id, failed.id, FORCE if majority else TAKEOVER))


def release_lost(copy: WorkingCopy, desired: Desired) -> list[str]:
    """Take the slots of nodes that are gone with their data, if the user agrees; return warnings about those that keep theirs."""
    warnings = []
    for owner, slots in slots_by_owner(copy.owners).items():
        if owner is None or copy.members[owner].is_reachable:
            continue
        node = copy.members[owner]
        if node.kind == UNLISTED:
            warnings.append(f"{node.address} owns slots {format_slots(slots)}, cannot be reached, and is neither in nodes nor in retired")
        elif desired.assign_lost_slots:
            copy.release(owner)
        else:
            raise RefusedError(
                f"{node.address} (id {owner}) is gone, it owned slots {format_slots(slots)}, and no replica of it is left. Start it again "
                "with its data, or set assign_lost_slots to give these slots, empty, to other nodes"
            )
    return warnings


# Slots without owner, and open ones


def finish_moves(copy: WorkingCopy) -> None:
    """
    Finish moves that were begun on both sides, and let slots without owner belong to the primary that holds keys of them.

    A begun move is finished and never taken back: clients already use both sides, and only the target has the keys that moved.
    """
    found: dict[str, list[int]] = {}
    for slot in slots_by_owner(copy.owners).get(None, []):
        holders = {node: count for node, count in copy.strays.get(slot, {}).items() if count and copy.members[node].primary is None}
        if holders:
            found.setdefault(max(holders, key=lambda node: (holders[node], node)), []).append(slot)
    for name, slots in found.items():
        copy.do(Assign(name, tuple(slots)))
    begun: dict[tuple[str, str], list[int]] = {}
    for slot, owner in open_slots(copy).items():
        target = copy.members[owner].migrating.get(slot)
        if target in sides(copy, slot) - {owner}:
            begun.setdefault((owner, target), []).append(slot)
    for (source, target), slots in begun.items():
        copy.do(Move(source, target, tuple(slots)))


def open_slots(copy: WorkingCopy) -> dict[int, str]:
    """Return the slots that are open somewhere, each with its owner; without those whose owner cannot be asked."""
    slots = sorted({slot for node in copy.primaries() for slot in (*node.importing, *node.migrating)})
    owners = {slot: copy.owners[slot] for slot in slots}
    return {slot: owner for slot, owner in owners.items() if owner is not None and copy.members[owner].is_reachable}


def sides(copy: WorkingCopy, slot: int) -> set[str]:
    """Return the primaries on which *slot* is open, or that hold keys of it."""
    keys = copy.strays.get(slot, {})
    return {node.id for node in copy.primaries() if slot in node.importing or slot in node.migrating or keys.get(node.id)}


def close_slots(copy: WorkingCopy, shards: Shards) -> None:
    """End other open states, except that of the slot that is reserved on a shard that is being filled."""
    for slot, owner in open_slots(copy).items():
        reserving = {name for name, reserved in shards.filling.items() if reserved == slot}
        others = sides(copy, slot) - {owner} - reserving
        if others or not reserving:
            copy.do(Close(slot, owner, tuple(sorted(others))))


def assign(copy: WorkingCopy, shards: Shards) -> None:
    """
    Give slots without owner to the shards that lack most.

    A new shard gets all of its share in one step or nothing: with a part of it, the next run would take it for one that is complete.
    """
    free = slots_by_owner(copy.owners).get(None, [])
    counts, targets = copy.counts(shards.own), shards.targets(copy)
    empty = [name for name in shards.own if not counts[name]]
    if len(free) < sum(targets[name] for name in empty) and len(empty) < len(shards.own):
        counts, empty = {name: count for name, count in counts.items() if count}, []
    finals = fill(counts, targets, len(free), empty)
    for name, count in counts.items():
        more = finals[name] - count
        if more:
            copy.do(Assign(name, tuple(free[:more])))
        free = free[more:]


# Members


def meet(copy: WorkingCopy) -> None:
    """Introduce nodes that do not know all others, or that another one does not know."""
    owners = set(copy.owners)
    nodes = [node for node in copy.members.values() if node.stays or (node.is_reachable and node.id in owners)]
    everyone = frozenset(node.id for node in nodes)
    if all(everyone <= node.known for node in nodes):
        return
    nodes.sort(key=lambda node: -len(node.known & everyone))
    group: list[Member] = []
    newcomers: list[str] = []
    for node in nodes:
        if all(other.id in node.known and node.id in other.known for other in group):
            group.append(node)
        else:
            newcomers.append(node.id)
    copy.do(Meet(tuple(newcomers), tuple(node.id for node in group)))


def detach(copy: WorkingCopy, shards: Shards) -> None:
    """Turn replicas that are too many into the primaries of new shards."""
    for name in shards.new:
        if copy.members[name].primary is not None:
            copy.do(Detach(name))


def replicate(copy: WorkingCopy, names: Sequence[str], shards: Shards) -> None:
    """Attach the nodes *names* to the shards that they are seated in."""
    for name in names:
        if copy.members[name].primary != shards.seats[name]:
            copy.do(Replicate(name, shards.seats[name]))


def hand_over(copy: WorkingCopy, shards: Shards) -> None:
    """Let a replica take over from each retired primary whose shard stays, as soon as there is one."""
    for primary in [name for name in shards.own if copy.members[name].kind == RETIRED]:
        replicas = [node for node in copy.staying() if node.primary == primary and node.kind == LISTED]
        if not replicas:
            continue
        best = max(replicas, key=lambda node: (node.offset, node.id))
        copy.do(Promote(best.id, primary, HANDOVER))
        shards.own[shards.own.index(primary)] = best.id
        shards.seats = {name: best.id if shard == primary else shard for name, shard in shards.seats.items() if name != best.id}
        if primary in shards.filling:
            shards.filling[best.id] = shards.filling.pop(primary)


def forget(copy: WorkingCopy) -> None:
    """Remove retired nodes and entries without a node from all tables."""
    leaving = []
    for node in [node for node in copy.members.values() if node.kind in (RETIRED, STALE)]:
        knowing = tuple(other.id for other in copy.staying() if node.id in other.known)
        if knowing:
            copy.do(Forget(node.id, knowing))
        if node.kind == RETIRED and node.is_reachable and (knowing or node.known != {node.id} or node.primary is not None):
            leaving.append(node.id)
    for name in leaving:
        copy.do(Leave(name))


# Slots


def move(copy: WorkingCopy, shards: Shards, desired: Desired) -> None:
    """
    Move slots off shards that leave and onto new shards; if a rebalance is desired, off and onto all that have too many or too few.

    A shard that is being filled is marked by one slot, which is imported first and arrives last (`Reserve`). Without the mark, the next run
    would take a shard with a part of its slots for one of the desired size, since without a rebalance it fills new shards only.
    """
    counts = copy.counts([*shards.own, *shards.leaving])
    reserved = {name: (copy.owners[slot], slot) for name, slot in shards.filling.items() if name in shards.own}
    for name, (owner, _slot) in reserved.items():  # they will move, as the last ones
        counts[name] += 1
        counts[str(owner)] -= 1
    targets, own = shards.targets(copy), {name: counts[name] for name in shards.own}
    growing = [name for name in shards.own if not own[name] or name in reserved]
    finals = targets if desired.rebalance else grow(own, targets, sum(counts[name] for name in shards.leaving), growing)
    kept = {slot for _owner, slot in reserved.values()}
    slots = {name: [slot for slot in found if slot not in kept] for name, found in slots_by_owner(copy.owners).items()}
    moves: dict[str, list[Move]] = {}
    for source, target, count in flows(counts, {**dict.fromkeys(shards.leaving, 0), **finals}):
        moves.setdefault(target, []).append(Move(source, target, tuple(slots[source][-count:])))
        del slots[source][-count:]
    for target, planned in moves.items():
        if target in growing and target not in reserved:
            copy.do(Reserve(target, planned[-1].slots[-1], planned[-1].source))
    for target in {**moves, **reserved}:
        for step in moves.get(target, []):
            copy.do(step)
        if target in reserved:
            owner, slot = reserved[target]
            copy.do(Move(str(owner), target, (slot,)))


def describe_rest(copy: WorkingCopy) -> list[str]:
    """Return warnings about shards whose members may fail together, and about nodes that the user does not name."""
    members: dict[str, list[str]] = {}
    for node in copy.staying():
        members.setdefault(node.primary or node.id, []).append(node.id)
    places = {node.id: Place(node.host, node.zone) for node in copy.members.values()}
    warnings = []
    for shard, shared in crowded_shards(places, members).items():
        names = ", ".join(copy.members[name].address for name in sorted(members[shard], key=lambda name: name != shard))
        warnings.append(f"the shard of {copy.members[shard].address} has several members on {shared}: {names}")
    unlisted = [node for node in copy.members.values() if node.kind == UNLISTED]
    for node in unlisted:
        state = "" if node.is_reachable else ", which cannot be reached," if not node.is_failed else ", which has failed,"
        warnings.append(f"{node.address}{state} is a member of the cluster and neither in nodes nor in retired; it is kept as it is")
    return warnings
