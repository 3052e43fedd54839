# SPDX-License-Identifier: MIT
"""
A model of a cluster on which the steps of a plan are taken one by one, each slot of a move alone.

It knows nothing of the planner: it refuses what servers refuse, and what would lose the last copy of a slot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Optional

from keyfleet.core.cluster.model import LISTED, ClusterState, Member
from keyfleet.core.cluster.steps import (
    HANDOVER,
    Assign,
    Close,
    Detach,
    Forget,
    Leave,
    Meet,
    Move,
    Promote,
    Replicate,
    Reserve,
    Step,
)

PAUSES = ("importing", "migrating", "keys", "owned")
"""Where a move of one slot can be killed: after the first mark, after the second, with keys on both sides, when only the target knows."""


@dataclass
class Node:
    """One node; what is not alive is an entry in tables only."""

    id: str
    kind: str = LISTED
    host: str = ""
    zone: str = ""
    weight: float = 1.0
    alive: bool = True
    failed: bool = False
    primary: Optional[str] = None
    known: set[str] = field(default_factory=set)
    importing: dict[int, str] = field(default_factory=dict)
    migrating: dict[int, str] = field(default_factory=dict)


class ModelCluster:
    """
    Nodes, owners of slots, and which nodes hold data of each slot.

    Attributes:
        data: For each slot with keys the nodes that hold some of them, where no other node needs to be asked for the rest.
        moved: How many slots have changed their owner by a move.
    """

    def __init__(self, nodes: list[Node], owners: list[Optional[str]], filled: set[int]) -> None:
        self.nodes = {node.id: node for node in nodes}
        self.owners = owners
        self.moved = 0
        holders = {slot: {node.id for node in nodes if node.alive and owners[slot] in (node.id, node.primary)} for slot in filled}
        self.data = {slot: names for slot, names in holders.items() if names}  # what is lost already cannot be lost by a step

    def state(self) -> ClusterState:
        """Return what an observer reads."""
        members = {
            node.id: Member(
                id=node.id,
                address=f"{node.id}:7000",
                kind=node.kind,
                host=node.host,
                zone=node.zone,
                weight=node.weight,
                is_reachable=node.alive,
                is_failed=node.failed,
                primary=node.primary,
                known=frozenset(node.known) if node.alive else frozenset(),
                importing=dict(node.importing),
                migrating=dict(node.migrating),
            )
            for node in self.nodes.values()
            if node.alive or node.id in self.owners or any(node.id in other.known for other in self.nodes.values() if other.alive)
        }
        open_slots = {slot for node in self.nodes.values() for slot in (*node.importing, *node.migrating)}
        asked = open_slots | {slot for slot, owner in enumerate(self.owners) if owner is None}
        holders = {slot: [name for name in self.data.get(slot, ()) if self.nodes[name].primary is None] for slot in asked}
        return ClusterState(members, list(self.owners), {slot: dict.fromkeys(names, 1) for slot, names in holders.items() if names})

    def take(self, step: Step) -> Iterator[str]:
        """Take *step*; this stops wherever a run can be killed within it, and names the place."""
        yield from getattr(self, f"_{type(step).__name__.lower()}")(step)
        self.check()

    def take_all(self, steps: tuple[Step, ...]) -> None:
        """Take all steps."""
        for step in steps:
            for _place in self.take(step):
                pass

    def check(self) -> None:
        """Every slot that has data is owned by one who has it, or is about to get it back from where it is open."""
        for slot, holders in self.data.items():
            assert holders, f"slot {slot} has lost its last copy"

    def _replicas(self, primary: str) -> set[str]:
        return {node.id for node in self.nodes.values() if node.alive and node.primary == primary}

    def _empty(self, node: Node) -> None:
        assert node.id not in self.owners, f"{node.id} owns slots"
        for holders in self.data.values():
            holders.discard(node.id)
        node.importing.clear()
        node.migrating.clear()

    def _own(self, slot: int, name: str) -> None:
        self.owners[slot] = name
        if slot in self.data:
            self.data[slot] = {name} | self._replicas(name)

    def _assign(self, step: Assign) -> Iterator[str]:
        node = self.nodes[step.node]
        assert node.alive
        assert node.primary is None
        for slot in step.slots:
            former = self.owners[slot]
            assert former is None or not self.nodes[former].alive, f"slot {slot} has an owner"
            assert not self.data.get(slot) or step.node in self.data[slot], f"slot {slot} has keys elsewhere"
        for slot in step.slots:
            self.owners[slot] = step.node
            node.importing.pop(slot, None)
            if slot in self.data:
                self.data[slot] |= {step.node} | self._replicas(step.node)
        yield "assigned"

    def _meet(self, step: Meet) -> Iterator[str]:
        names = {*step.newcomers, *step.members}
        assert all(self.nodes[name].alive for name in names)
        everyone = names.union(*(self.nodes[name].known for name in names))
        for node in self.nodes.values():
            if node.id in everyone and node.alive:
                node.known |= everyone
        yield "met"

    def _promote(self, step: Promote) -> Iterator[str]:
        replica, primary = self.nodes[step.replica], self.nodes[step.primary]
        assert replica.alive
        assert replica.primary == primary.id
        assert primary.alive == (step.mode == HANDOVER)
        replica.primary = None
        for node in self.nodes.values():
            if node.id == primary.id or node.primary == primary.id:
                node.primary = replica.id
        primary.importing.clear()
        primary.migrating.clear()
        for slot in [slot for slot, owner in enumerate(self.owners) if owner == primary.id]:
            self._own(slot, replica.id)
        yield "promoted"

    def _detach(self, step: Detach) -> Iterator[str]:
        node = self.nodes[step.node]
        assert node.primary is not None
        self._empty(node)
        node.primary, node.known = None, {node.id}
        yield "detached"

    def _replicate(self, step: Replicate) -> Iterator[str]:
        node, primary = self.nodes[step.node], self.nodes[step.primary]
        assert primary.alive
        assert primary.primary is None
        assert primary.id in node.known
        assert node.id != primary.id
        self._empty(node)
        node.primary = primary.id
        for slot, holders in self.data.items():
            if self.owners[slot] == primary.id:
                holders.add(node.id)
        yield "replicating"

    def _reserve(self, step: Reserve) -> Iterator[str]:
        assert self.owners[step.slot] == step.source != step.target
        assert step.source in self.nodes[step.target].known
        self.nodes[step.target].importing[step.slot] = step.source
        yield "reserved"

    def _move(self, step: Move) -> Iterator[str]:
        source, target = self.nodes[step.source], self.nodes[step.target]
        assert source.alive
        assert target.alive
        assert source.primary is None
        assert target.primary is None
        assert source.id in target.known
        for slot in step.slots:
            assert self.owners[slot] == source.id, f"{source.id} does not own {slot}"
            target.importing[slot] = source.id
            yield PAUSES[0]
            source.migrating[slot] = target.id
            yield PAUSES[1]
            if slot in self.data:
                self.data[slot] |= {target.id} | self._replicas(target.id)
                yield PAUSES[2]
            target.importing.pop(slot)
            source.migrating.pop(slot)
            self._own(slot, target.id)
            self.moved += 1
            yield PAUSES[3]

    def _close(self, step: Close) -> Iterator[str]:
        assert self.owners[step.slot] == step.owner
        for name in (*step.strays, step.owner):
            node = self.nodes[name]
            if name != step.owner and step.slot in self.data:
                assert self.owners[step.slot] is not None
                self.data[step.slot] = (self.data[step.slot] - {name} - self._replicas(name)) | {step.owner} | self._replicas(step.owner)
            node.importing.pop(step.slot, None)
            node.migrating.pop(step.slot, None)
            yield "closed"

    def _forget(self, step: Forget) -> Iterator[str]:
        assert step.node not in self.owners, f"{step.node} owns slots"
        for name in step.members:
            member = self.nodes[name]
            assert member.alive
            assert member.primary != step.node
            assert step.node != name
            member.known.discard(step.node)
            yield "forgotten"

    def _leave(self, step: Leave) -> Iterator[str]:
        node = self.nodes[step.node]
        assert node.alive
        self._empty(node)
        node.primary, node.known = None, {node.id}
        yield "left"
