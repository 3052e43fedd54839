# SPDX-License-Identifier: MIT
"""States and steps in words, for the diff and the results."""

from __future__ import annotations

from collections.abc import Mapping

from .model import ClusterState, Member, format_slots, slots_by_owner
from .steps import HANDOVER, Assign, Close, Detach, Forget, Leave, Meet, Move, Promote, Replicate, Reserve, Step


def describe_state(state: ClusterState) -> str:
    """Return one line for each node: its role, its slots, and what is wrong with it."""
    owned = slots_by_owner(state.owners)
    lines = []
    for node in state.members.values():
        if node.is_reachable and node.known == {node.id} and node.id not in owned and node.primary is None:
            lines.append(f"{node.address}: not a member\n")
            continue
        primary = state.members.get(node.primary or "")
        role = "primary" if node.primary is None else f"replica of {primary.address if primary else node.primary}"
        slots = owned.get(node.id, [])
        parts = [role, f"{len(slots)} slots {format_slots(slots)}" if slots else ""]
        parts += [f"open slots {format_slots([*node.importing, *node.migrating])}" if node.importing or node.migrating else ""]
        parts += ["" if node.is_reachable else "does not answer"]
        lines.append(f"{node.address}: {', '.join(filter(None, parts))}\n")
    if owned.get(None):
        lines.append(f"no owner: {len(owned[None])} slots {format_slots(owned[None])}\n")
    return "".join(sorted(lines))


def describe_step(step: Step, members: Mapping[str, Member]) -> str:
    """Return a phrase that says what *step* does."""

    def name(node: str) -> str:
        return members[node].address

    if isinstance(step, Assign):
        return f"assign {len(step.slots)} slots ({format_slots(step.slots)}) to {name(step.node)}"
    if isinstance(step, Meet):
        return f"introduce {', '.join(map(name, step.newcomers))} to {', '.join(map(name, step.members))}"
    if isinstance(step, Promote):
        how = "hand over" if step.mode == HANDOVER else f"take over ({step.mode})"
        return f"{how} from {name(step.primary)} to {name(step.replica)}"
    if isinstance(step, Detach):
        return f"turn the replica {name(step.node)} into an empty primary"
    if isinstance(step, Replicate):
        return f"make {name(step.node)} a replica of {name(step.primary)}"
    if isinstance(step, Reserve):
        return f"reserve slot {step.slot} on {name(step.target)}, which is filled now"
    if isinstance(step, Move):
        return f"move {len(step.slots)} slots ({format_slots(step.slots)}) from {name(step.source)} to {name(step.target)}"
    if isinstance(step, Close):
        strays = f", and bring its keys back from {', '.join(map(name, step.strays))}" if step.strays else ""
        return f"close slot {step.slot} on {name(step.owner)}{strays}"
    if isinstance(step, Forget):
        return f"forget {name(step.node)} (id {step.node}) on {', '.join(map(name, step.members))}"
    assert isinstance(step, Leave)  # noqa: S101 - all others are above
    return f"reset {name(step.node)}, which is no member any more"
