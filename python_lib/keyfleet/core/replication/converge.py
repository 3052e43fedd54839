# SPDX-License-Identifier: MIT
"""Observe, plan, carry out, and plan again until nothing is left to do."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Optional

from ..connect.settings import Settings
from ..errors import ServerError
from .carry_out import Work
from .links import move, moving
from .model import Await, DesiredReplication, describe_state, describe_step
from .observe import connect_members, read_state, what_is_unsettled
from .plan import plan_replication

MOST_ROUNDS = 5  # Sentinels choose the replica that takes over, which a plan cannot foresee


@dataclass
class ReplicationOutcome:
    """
    What was done, or in check mode would be.

    Attributes:
        primary: Address of the primary afterwards.
        replicas: Addresses of its listed replicas.
        steps: A phrase for each step that changed something.
        before, after: The servers as text.
    """

    primary: str = ""
    replicas: tuple[str, ...] = ()
    steps: list[str] = field(default_factory=list)
    before: str = ""
    after: str = ""

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return bool(self.steps)


def converge(
    settings: Settings,
    desired: DesiredReplication,
    *,
    sentinel_settings: Optional[Settings] = None,
    secure_links: Optional[bool] = None,
    wait_seconds: float = 60.0,
    check: bool = False,
    expected: Collection[str] = (),
    report: Callable[[str], None] = lambda text: None,
) -> ReplicationOutcome:
    """
    Bring a replication to the desired state.

    Args:
        settings: How to talk to every server: credentials, TLS, timeout.
        sentinel_settings: The same for Sentinels.
        secure_links: Whether replicas reach their primary with TLS; None keeps what is.
        wait_seconds: Longest wait for a replica to be in sync, and for Sentinels to agree.
        check: Only say what would be done.
        expected: With *check*, addresses of servers that do not run yet and will be empty.
        report: Called with each step.
    Raises:
        KeyfleetError: if the input or the state is refused, before anything is changed, or a step fails.
    """
    observed = connect_members(settings, sentinel_settings or settings, desired, expected if check else ())
    try:
        outcome, work = ReplicationOutcome(), Work(observed, desired.service, wait_seconds, report)
        if secure_links is not None:
            _move_links(work, secure_links, outcome, check=check)
        for _round in range(MOST_ROUNDS):
            work.wait(partial(what_is_unsettled, observed, desired.service))
            state = read_state(observed, desired.service)
            outcome.after = describe_state(state.members.values())
            outcome.before = outcome.before or outcome.after
            plan = plan_replication(state, desired)
            outcome.primary = plan.primary
            outcome.replicas = tuple(name for name in desired.members if name != plan.primary)
            if check:
                outcome.steps += [describe_step(step) for step in plan.steps if not isinstance(step, Await)]
                outcome.steps += work.guard_writes(desired, check=True)
                outcome.after = describe_state(plan.after.members.values())
                return outcome
            if not plan.steps:
                outcome.steps += work.guard_writes(desired)
                return outcome
            outcome.steps += work.run(plan.steps)
            if plan.hands_over:
                desired = replace(desired, hands_over=False)
        raise ServerError(f"after {MOST_ROUNDS} rounds there is still something to do: {'; '.join(outcome.steps[-3:])}")
    finally:
        observed.close()


def _move_links(work: Work, is_secure: bool, outcome: ReplicationOutcome, *, check: bool) -> None:
    """Let one server after the other reach its primary with TLS, or without it."""
    found = moving(work.observed, is_secure)
    if found and not check:
        work.wait(partial(what_is_unsettled, work.observed, work.service))
    for one in found:
        phrase = f"let {one.node.address} reach its primary {'with' if is_secure else 'without'} TLS"
        outcome.steps.append(phrase)
        if not check:
            work.report(phrase)
            move(one, is_secure, work.wait)
