# SPDX-License-Identifier: MIT
"""A working copy of a cluster's state, on which each step takes effect when it is planned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .model import ClusterState, Member, slots_by_owner
from .steps import Assign, Close, Detach, Forget, Leave, Meet, Move, Promote, Replicate, Reserve, Step


class WorkingCopy:
    """
    The state as it will be, and the steps that lead there.

    Attributes:
        members, owners, strays: As in ClusterState.
        steps: Those planned so far.
    """

    def __init__(self, state: ClusterState) -> None:
        self.members = dict(state.members)
        self.owners = list(state.owners)
        self.strays = state.strays
        self.steps: list[Step] = []

    def do(self, step: Step) -> None:
        """Plan *step*, and change the copy as the servers will change."""
        self.steps.append(step)
        if isinstance(step, Assign):
            self._give(step.slots, step.node)
            self._unmark(step.node, step.slots)
        elif isinstance(step, Meet):
            everyone = (*step.newcomers, *step.members)
            known = frozenset(everyone).union(*(self.members[name].known for name in everyone))
            for name in everyone:
                self._change(name, known=known)
        elif isinstance(step, Promote):
            self._promote(step)
        elif isinstance(step, Detach):
            self._change(step.node, primary=None, known=frozenset({step.node}), keys=0)
        elif isinstance(step, Replicate):
            self._change(step.node, primary=step.primary)
        elif isinstance(step, Reserve):
            self._change(step.target, importing={**self.members[step.target].importing, step.slot: step.source})
        elif isinstance(step, Move):
            self._give(step.slots, step.target)
            self._unmark(step.source, step.slots)
            self._unmark(step.target, step.slots)
        elif isinstance(step, Close):
            for name in (step.owner, *step.strays):
                self._unmark(name, (step.slot,))
        elif isinstance(step, Forget):
            for name in step.members:
                self._change(name, known=self.members[name].known - {step.node})
        elif isinstance(step, Leave):
            self._change(step.node, known=frozenset({step.node}), primary=None, keys=0)

    def _change(self, name: str, **values: Any) -> None:
        self.members[name] = replace(self.members[name], **values)

    def _give(self, slots: Iterable[int], node: str) -> None:
        for slot in slots:
            self.owners[slot] = node

    def _unmark(self, name: str, slots: Iterable[int]) -> None:
        node, gone = self.members[name], set(slots)
        if not gone.isdisjoint(node.importing) or not gone.isdisjoint(node.migrating):
            importing = {slot: other for slot, other in node.importing.items() if slot not in gone}
            self._change(name, importing=importing, migrating={slot: other for slot, other in node.migrating.items() if slot not in gone})

    def _promote(self, step: Promote) -> None:
        self.owners = [step.replica if owner == step.primary else owner for owner in self.owners]
        for node in list(self.members.values()):
            if node.id == step.replica:
                self._change(node.id, primary=None)
            elif node.id == step.primary or node.primary == step.primary:
                self._change(node.id, primary=step.replica)

    def release(self, owner: str) -> None:
        """Let the slots of *owner*, which is gone, have no owner."""
        self.owners = [None if found == owner else found for found in self.owners]

    def staying(self) -> list[Member]:
        """Return the members that answer and shall stay."""
        return [node for node in self.members.values() if node.stays]

    def primaries(self) -> list[Member]:
        """Return the primaries that answer."""
        return [node for node in self.members.values() if node.is_reachable and node.primary is None]

    def counts(self, names: Iterable[str]) -> dict[str, int]:
        """Return how many slots each of the primaries *names* owns."""
        owned = slots_by_owner(self.owners)
        return {name: len(owned.get(name, ())) for name in names}
