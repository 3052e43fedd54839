# SPDX-License-Identifier: MIT
"""Observe, plan, carry out, and plan again until nothing is left to do."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Optional

from ..connect.node import reach_step
from ..connect.settings import Settings
from ..errors import ServerError
from .carry_out import Work
from .describe import describe_state, describe_step
from .links import differing, parted, switch_links
from .model import Desired, Limits
from .moving import Progress, can_move_atomically, wait_for_jobs
from .observe import Observed, connect_nodes, read_state
from .plan import plan_cluster

MOST_ROUNDS = 5  # servers change roles without being asked, which a plan cannot foresee


@dataclass
class ClusterOutcome:
    """
    What was done, or in check mode would be.

    Attributes:
        steps: A phrase for each step.
        before, after: The shards as text.
        warnings: What is not as it should be and stays so.
        slots, keys: How many moved.
    """

    steps: list[str] = field(default_factory=list)
    before: str = ""
    after: str = ""
    warnings: list[str] = field(default_factory=list)
    slots: int = 0
    keys: int = 0

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return bool(self.steps)


def converge(
    settings: Settings,
    desired: Desired,
    limits: Limits,
    *,
    secure_links: Optional[bool] = None,
    check: bool = False,
    expected: Collection[str] = (),
    report: Callable[[str], None] = lambda text: None,
) -> ClusterOutcome:
    """
    Bring the cluster to the desired state.

    Args:
        settings: How to talk to every node: credentials, TLS, timeout.
        secure_links: Whether the nodes reach each other with TLS; None keeps what is.
        check: Only say what would be done.
        expected: With *check*, addresses of nodes that do not run yet and will be empty.
        report: Called with each step and with the progress of long moves.
    Raises:
        KeyfleetError: if the input or the state is refused, before anything is changed, or a step fails.
    """
    observed = connect_nodes(settings, desired, expected if check else ())
    try:
        outcome, progress = ClusterOutcome(), Progress(report)
        if not check:
            _wait_for_running_moves(observed)
        if secure_links is not None:
            _switch_links(Work(observed, limits, progress), secure_links, outcome, check=check)
        state = read_state(observed, desired)
        outcome.before = outcome.after = describe_state(state)
        for _round in range(MOST_ROUNDS):
            plan = plan_cluster(state, desired)
            outcome.warnings = list(plan.warnings)
            phrases = [describe_step(step, state.members) for step in plan.steps]
            outcome.steps += phrases
            if check:
                outcome.after = describe_state(plan.after)
                return outcome
            if not plan.steps:
                return outcome
            for phrase in phrases:
                report(phrase)
            work = Work(observed, limits, progress)
            work.run(plan.steps)
            work.wait_for_agreement()
            outcome.slots, outcome.keys = progress.slots, progress.keys
            state = read_state(observed, desired)
            outcome.after = describe_state(state)
        raise ServerError(f"after {MOST_ROUNDS} rounds there is still something to do: {'; '.join(phrases[:3])}")
    finally:
        observed.close()


def _wait_for_running_moves(observed: Observed) -> None:
    """Let servers finish the atomic moves that a killed run has started."""
    for node in observed.nodes.values():
        if can_move_atomically([node]):
            wait_for_jobs(node)


def _switch_links(work: Work, is_secure: bool, outcome: ClusterOutcome, *, check: bool) -> None:
    """Let all nodes reach each other with TLS or without it, and wait until each has a link to every other that it knows."""
    changing = differing(work.observed, is_secure)
    if not changing:
        return
    names = ", ".join(work.nodes[name].address for name in changing)
    phrase = f"let {names} reach the other nodes {'with' if is_secure else 'without'} TLS"
    outcome.steps.append(phrase)
    if not check:
        work.progress.report(phrase)
        reach_step("links")
        switch_links(work.observed, changing, is_secure)
        work.wait(lambda: parted(list(work.nodes.values())))
