# SPDX-License-Identifier: MIT
"""Carry out the steps of a plan, and wait until every node agrees."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby

from ..connect.node import reach_step
from ..errors import ServerError
from .model import RETIRED, Limits
from .moving import POLL_SECONDS, Mover, Progress, by_target, can_move_atomically
from .node import Node
from .observe import Observed
from .steps import HANDOVER, Assign, Close, Detach, Forget, Leave, Meet, Move, Promote, Replicate, Reserve, Step

ASSIGNED_AT_A_TIME = 4096
MEET_SECONDS = 3.0  # until nodes that do not know each other yet are introduced again
FAILOVER_SECONDS = 6.0  # the server gives a handover up after 5


class Work:
    """
    The nodes while a plan is carried out.

    Args:
        observed: Connections to all nodes that answer.
    """

    def __init__(self, observed: Observed, limits: Limits, progress: Progress) -> None:
        self.observed, self.limits, self.progress = observed, limits, progress
        self.nodes = observed.nodes
        self.mover = Mover(limits, progress, self._primaries)

    def run(self, steps: Sequence[Step]) -> None:
        """
        Carry out all steps.

        Raises:
            KeyfleetError: of the step that failed; those before it are done, and the next run continues.
        """
        self.progress.total = sum(len(step.slots) for step in steps if isinstance(step, Move))
        for kind, some in groupby(steps, type):
            group = list(some)
            reach_step(kind.__name__.lower())
            if kind is Move:
                for moves in by_target(group):  # type: ignore[arg-type]
                    self._move(moves)
            elif kind is Replicate:
                self._replicate(group)  # type: ignore[arg-type]
            else:
                for step in group:
                    getattr(self, f"_{kind.__name__.lower()}")(step)

    def _primaries(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.report.own.primary is None]

    def wait(self, condition: Callable[[], str]) -> None:
        """Poll *condition* until it names nothing that is missing."""
        deadline = time.monotonic() + self.limits.wait_seconds
        while True:
            missing = condition()
            if not missing:
                return
            if time.monotonic() > deadline:
                raise ServerError(f"waited {self.limits.wait_seconds:g} s, and {missing}; run it again when the reason is found")
            time.sleep(POLL_SECONDS)

    def _assign(self, step: Assign) -> None:
        """The new epoch lets the others believe this node, and not the table entry of one that is gone."""
        node = self.nodes[step.node]
        owned = {slot for entry in node.read().table.values() for first, last in entry.slots for slot in range(first, last + 1)}
        if len(node.report.table) == 1 and node.report.own.epoch == 0:  # it knows no other that it would have to exceed
            newest = max(entry.epoch for other in self.nodes.values() for entry in other.report.table.values())
            node.change(("CLUSTER", "SET-CONFIG-EPOCH", newest + 1), problem="cannot set its epoch")
        for start in range(0, len(step.slots), ASSIGNED_AT_A_TIME):
            some = step.slots[start : start + ASSIGNED_AT_A_TIME]
            taken = [slot for slot in some if slot in owned]
            if taken:
                node.change(("CLUSTER", "DELSLOTS", *taken), problem="cannot release slots of a node that is gone")
            node.change(("CLUSTER", "ADDSLOTS", *some), problem="cannot take slots")
        if len(node.report.table) > 1:
            node.change(("CLUSTER", "BUMPEPOCH"), problem="cannot raise its epoch")
        node.read()

    def _meet(self, step: Meet) -> None:
        """Servers give a handshake up after their node timeout, and do not say so: who is still unknown is introduced again."""
        everyone = [self.nodes[name] for name in (*step.members, *step.newcomers)]
        sent = float("-inf")

        def missing() -> str:
            nonlocal sent
            found = self._strangers(everyone)
            if found and time.monotonic() - sent > MEET_SECONDS:
                sent = time.monotonic()
                self._introduce(step)
            return found

        self.wait(missing)

    def _introduce(self, step: Meet) -> None:
        places = {name: self.nodes[name].entry for name in step.newcomers}
        for name in step.newcomers:
            for other in self._acquaintances(name, step):
                if name not in other.report.table or other.id not in self.nodes[name].report.table:
                    entry = places[name]
                    ports = (entry.port, entry.bus_port) if entry.bus_port else (entry.port,)
                    other.change(("CLUSTER", "MEET", entry.host, *ports), problem=f"cannot meet {self.nodes[name].address}")

    def _acquaintances(self, name: str, step: Meet) -> list[Node]:
        """Return who meets a newcomer: some members, and the newcomers before it; gossip does the rest."""
        before = step.newcomers[: step.newcomers.index(name)]
        return [self.nodes[other] for other in (*step.members[:8], *before[-8:])]

    def _strangers(self, nodes: Iterable[Node]) -> str:
        """Return who does not know whom and its slots: a slot that is opened on a node without knowing its owner is not served."""
        reports = [node.read() for node in nodes]
        for report in reports:
            for other in reports:
                entry = report.table.get(other.own.id)
                if entry is None or entry.slots != other.own.slots:
                    what = "" if entry is None else "the slots of "
                    return f"{self._name(report.own.id)} does not know {what}{self._name(other.own.id)} yet"
        return ""

    def _promote(self, step: Promote) -> None:
        replica, sent = self.nodes[step.replica], float("-inf")
        if step.mode == HANDOVER:
            self.wait(lambda: self._follows(replica, step.primary) or self._knows_replica(self.nodes[step.primary], replica))

        def missing() -> str:
            nonlocal sent
            if replica.read().own.primary is None:
                return ""
            if time.monotonic() - sent > FAILOVER_SECONDS:
                sent = time.monotonic()
                option = [] if step.mode == HANDOVER else [step.mode.upper()]
                replica.change(("CLUSTER", "FAILOVER", *option), problem="cannot take over")
            return f"{replica.address} has not taken over"

        self.wait(missing)
        if step.primary in self.nodes:
            self.wait(partial(self._follows, self.nodes[step.primary], step.replica))

    def _knows_replica(self, primary: Node, replica: Node) -> str:
        """Return what is missing: a primary ignores a handover to a node that it does not know as its replica yet."""
        entry = primary.read().table.get(replica.id)
        is_known = entry is not None and entry.primary == primary.id
        return "" if is_known else f"{primary.address} does not know {replica.address} as its replica"

    def _name(self, node: str) -> str:
        return self.nodes[node].address if node in self.nodes else node

    def _follows(self, node: Node, primary: str) -> str:
        report = node.read()
        if report.own.primary != primary:
            return f"{node.address} is not a replica of {self._name(primary)}"
        return "" if report.is_linked else f"{node.address} has no connection to {self._name(primary)}"

    def _detach(self, step: Detach) -> None:
        node = self.nodes[step.node]
        node.change(("CLUSTER", "RESET", "SOFT"), problem="cannot leave its shard")

    def _replicate(self, steps: Sequence[Replicate]) -> None:
        """Attach replicas; one that leaves another shard is waited for before the next one does."""
        for step in steps:
            node = self.nodes[step.node]
            self.wait(partial(self._knows_primary, node, step.primary))
            was_replica = node.report.own.primary is not None
            if node.report.own.primary != step.primary:
                node.change(("CLUSTER", "REPLICATE", step.primary), problem=f"cannot replicate {self._name(step.primary)}")
            if was_replica:
                self.wait(partial(self._follows, node, step.primary))
        for step in steps:
            self.wait(partial(self._follows, self.nodes[step.node], step.primary))

    def _knows_primary(self, node: Node, primary: str) -> str:
        entry = node.read().table.get(primary)
        return "" if entry is not None and entry.primary is None else f"{node.address} does not know {self._name(primary)} as a primary"

    def _reserve(self, step: Reserve) -> None:
        self.nodes[step.target].change(
            ("CLUSTER", "SETSLOT", step.slot, "IMPORTING", step.source), problem="cannot reserve a slot", ignore="already the owner"
        )

    def _move(self, moves: Sequence[Move]) -> None:
        placed = [(self.nodes[step.source], self.nodes[step.target], step) for step in moves]
        for node in {target.id: target for _source, target, _step in placed}.values():
            self.wait(partial(self._is_down, node))  # for seconds after it was met, and sends clients away
        involved = {node.id: node for source, target, _step in placed for node in (source, target)}
        if not any(source.read().own.migrating for source, _target, _step in placed) and can_move_atomically(list(involved.values())):
            self.mover.move_atomically(placed)
            return
        for source, target, step in placed:
            self.mover.move(source, target, step.slots)

    def _is_down(self, node: Node) -> str:
        return "" if node.read().is_ok else f"{node.address} does not call the cluster ok"

    def _close(self, step: Close) -> None:
        """The owner first: it must not send clients to the others any more when their keys come back."""
        owner = self.nodes[step.owner]
        stable = ("CLUSTER", "SETSLOT", step.slot, "STABLE")
        owner.change(stable, problem="cannot end the open state of a slot")
        for name in step.strays:
            self.mover.bring_back(self.nodes[name], owner, step.slot)
            self.nodes[name].change(stable, problem="cannot end the open state of a slot")

    def _forget(self, step: Forget) -> None:
        for name in step.members:
            self.nodes[name].change(
                ("CLUSTER", "FORGET", step.node), problem=f"cannot forget {self._name(step.node)}", ignore="nknown node|know about node"
            )

    def _leave(self, step: Leave) -> None:
        self.nodes[step.node].change(("CLUSTER", "RESET", "HARD"), problem="cannot leave the cluster")

    def wait_for_agreement(self) -> None:
        """
        Wait until all nodes that stay have the same table, call the cluster ok, and replicas are connected.

        Raises:
            ServerError: saying what is missing when the time is over.
        """
        self.wait(lambda: disagreement([node for name, node in self.nodes.items() if self.observed.kinds[name] != RETIRED]))


def disagreement(nodes: Sequence[Node]) -> str:
    """Return what the nodes do not agree on, from what they say now; empty if they agree."""
    expected = {}
    for node in nodes:
        own = node.read().own
        expected[node.id] = (own.primary, own.slots)
    for node in nodes:
        report = node.report
        for name, claim in expected.items():
            entry = report.table.get(name)
            if entry is None or (entry.primary, entry.slots) != claim or entry.flags & {"fail", "fail?"}:
                other = next(other for other in nodes if other.id == name)
                return f"{node.address} does not have the state of {other.address} yet"
        if not report.is_ok:
            return f"{node.address} does not call the cluster ok"
        if not report.is_linked:
            return f"{node.address} has no connection to its primary"
    return ""
