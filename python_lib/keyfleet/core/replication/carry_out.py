# SPDX-License-Identifier: MIT
"""Carry out the steps of a plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..connect.node import reach_step
from ..errors import ServerError
from .handover import POLL_SECONDS, hand_over
from .model import LISTED, Attach, Await, DesiredReplication, HandOver, Promote, Step, describe_step
from .node import ReplicationNode
from .observe import Observed

MIN_REPLICAS = "min-replicas-to-write"


class Work:
    """
    The servers while a plan is carried out.

    Args:
        wait_seconds: Longest wait for one condition.
    """

    def __init__(self, observed: Observed, service: str, wait_seconds: float, report: Callable[[str], None]) -> None:
        self.observed, self.nodes, self.service = observed, observed.nodes, service
        self.wait_seconds, self.report = wait_seconds, report

    def run(self, steps: Sequence[Step]) -> list[str]:
        """
        Carry out steps up to a handover, after which a new plan is needed: Sentinels choose the replica that takes over.

        Replicas that are attached one after the other are waited for together.

        Returns:
            A phrase for each step that changed something.
        Raises:
            KeyfleetError: of the step that failed; those before it are done, and the next run continues.
        """
        done: list[str] = []
        for number, step in enumerate(steps):
            self.report(describe_step(step))
            reach_step(type(step).__name__.lower())
            if isinstance(step, HandOver):
                successor = hand_over(self.observed, self.service, self.nodes[step.primary], self.nodes[step.successor], self.wait)
                return [*done, describe_step(HandOver(step.primary, successor))]
            if isinstance(step, Promote):
                self._promote(step)
            else:
                if isinstance(step, Attach):
                    self.attach(step.member, step.primary)
                following = steps[number + 1] if number + 1 < len(steps) else None
                if not isinstance(following, (Attach, Await)):
                    self.wait(self.what_is_behind)
            done += [] if isinstance(step, Await) else [describe_step(step)]
        return done

    def wait(self, condition: Callable[[], str]) -> None:
        """Poll *condition* until it names nothing that is missing."""
        deadline = time.monotonic() + self.wait_seconds
        while True:
            missing = condition()
            if not missing:
                return
            if time.monotonic() > deadline:
                raise ServerError(f"waited {self.wait_seconds:g} s, and {missing}; run it again when the reason is found")
            time.sleep(POLL_SECONDS)

    def _promote(self, step: Promote) -> None:
        node = self.nodes[step.member]
        node.change(("REPLICAOF", "NO", "ONE"), problem="cannot become the primary")
        node.persist()

    def attach(self, member: str, source: str) -> None:
        """Let the server *member* copy *source*, which is not waited for; the files of both say it (`service.start_role` reads them)."""
        node, primary = self.nodes[member], self.nodes[source]
        primary.persist()
        node.change(("REPLICAOF", primary.settings.host, primary.settings.port), problem=f"cannot become a replica of {primary.address}")
        node.persist()

    def guard_writes(self, desired: DesiredReplication, *, check: bool = False) -> list[str]:
        """
        Let every listed server refuse writes as a primary while too few replicas are connected.

        It is set when all are attached, since a single server that gets replicas would refuse writes until then.
        """
        if desired.min_replicas_to_write is None:
            return []
        wanted = str(desired.min_replicas_to_write)
        differing = [node for node in self._listed() if node.directive(MIN_REPLICAS) != wanted]
        if not check:
            for node in differing:
                node.change(("CONFIG", "SET", MIN_REPLICAS, wanted), problem=f"cannot set {MIN_REPLICAS}")
                node.persist()
        names = [*(node.address for node in differing), *self.observed.expected]
        return [f"set {MIN_REPLICAS} to {wanted} on {', '.join(names)}"] if names and (differing or wanted != "0") else []

    def _listed(self) -> list[ReplicationNode]:
        return [node for address, node in self.nodes.items() if self.observed.kinds[address] == LISTED]

    def what_is_behind(self) -> str:
        """Return which replica is not connected yet, or was not given all data; empty if none."""
        for node in self.nodes.values():
            report = node.read()
            if report.follows is not None and not report.is_linked and self.observed.address_of(report.follows, {}) in self.nodes:
                return f"{node.address} is not in sync with {self.observed.address_of(report.follows, {})}; its log says why"
        return ""
