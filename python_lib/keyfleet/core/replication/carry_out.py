# SPDX-License-Identifier: MIT
"""Carry out the steps of a plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..errors import ServerError
from .handover import POLL_SECONDS, hand_over
from .model import Attach, Await, HandOver, Promote, Step, describe_step
from .observe import Observed


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
            if isinstance(step, HandOver):
                successor = hand_over(self.observed, self.service, self.nodes[step.primary], self.nodes[step.successor], self.wait)
                return [*done, describe_step(HandOver(step.primary, successor))]
            if isinstance(step, Promote):
                self._promote(step)
            else:
                if isinstance(step, Attach):
                    self._attach(step)
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

    def _attach(self, step: Attach) -> None:
        node, primary = self.nodes[step.member], self.nodes[step.primary]
        node.change(("REPLICAOF", primary.settings.host, primary.settings.port), problem=f"cannot become a replica of {primary.address}")
        node.persist()

    def what_is_behind(self) -> str:
        """Return which replica is not connected yet, or was not given all data; empty if none."""
        for node in self.nodes.values():
            report = node.read()
            if report.follows is not None and not report.is_linked and self.observed.address_of(report.follows, {}) in self.nodes:
                return f"{node.address} is not in sync with {self.observed.address_of(report.follows, {})}; its log says why"
        return ""
