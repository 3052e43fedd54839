# SPDX-License-Identifier: MIT
"""
From what a replication is to what it should be: the steps, each of which leaves one that serves; pure.

The running servers are the only memory. They say which is the primary; the inventory decides only where none has any data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Optional

from ..errors import RefusedError
from .model import (
    LISTED,
    Attach,
    Await,
    DesiredReplication,
    HandOver,
    Member,
    Promote,
    ReplicationPlan,
    ReplicationState,
    Step,
)


def plan_replication(state: ReplicationState, desired: DesiredReplication) -> ReplicationPlan:
    """
    Return the steps from *state* to *desired*.

    Raises:
        RefusedError: if they would lose data, or no replica can take over.
    """
    copy = _WorkingCopy(state)
    primary = choose_primary(state, desired)
    if not state.members[primary].is_primary:
        copy.promote(primary)
    _attach_all(copy, desired, primary)
    if desired.hands_over or state.members[primary].kind != LISTED:
        successor = _successor(copy, desired, primary)
        copy.hand_over(primary, successor)
        primary = successor
        _attach_all(copy, desired, primary)
    return ReplicationPlan(tuple(copy.steps), primary, replace(state, members=copy.members))


class _WorkingCopy:
    """The members as they will be, and the steps that lead there."""

    def __init__(self, state: ReplicationState) -> None:
        self.members, self.watched = dict(state.members), state.watched
        self.steps: list[Step] = []

    def promote(self, name: str) -> None:
        member = self.members[name]
        self.steps.append(Promote(name))
        self.members[name] = replace(_promoted(member), replicas=0)

    def attach(self, name: str, primary: str) -> None:
        member, source = self.members[name], self.members[primary]
        self.steps.append(Await(name, primary) if member.follows == primary else Attach(name, primary))
        self.members[name] = replace(source, address=name, kind=member.kind, follows=primary, is_linked=True, replicas=member.replicas)
        self.members[primary] = replace(source, replicas=source.replicas + 1)

    def hand_over(self, primary: str, successor: str) -> None:
        old = self.members[primary]
        self.steps.append(HandOver(primary, successor))
        new = replace(_promoted(self.members[successor]), replicas=1)
        self.members[successor] = new
        self.members[primary] = replace(new, address=primary, kind=old.kind, follows=successor, replicas=max(old.replicas - 1, 0))


def _promoted(member: Member) -> Member:
    """Return a replica as a primary, which begins a history that continues the one before."""
    return replace(
        member,
        follows=None,
        is_linked=True,
        history=f"{member.history[:32]}{(int(member.history[32:], 16) + 1) % 16**8:08x}",
        former_history=member.history,
        former_until=member.offset + 1,
    )


# Who is the primary


def choose_primary(state: ReplicationState, desired: DesiredReplication) -> str:
    """
    Return the address of the server that is the primary, or becomes it since no other has its data.

    Raises:
        RefusedError: if that cannot be decided without losing writes.
    """
    members = list(state.members.values())
    if state.named is not None:
        return _named_primary(state, members)
    holders = [member for member in members if member.is_primary and not member.is_empty]
    if len(holders) == 1:
        return holders[0].address
    if holders:
        return _one_of_several(holders, desired)
    copies = [member for member in members if not member.is_primary and not _serves(state, member)]
    if any(copy.keys for copy in copies) or all(not member.is_primary for member in members):
        return _best_copy(state, copies or members, desired)
    empty = [member for member in members if member.is_primary]
    return min(empty, key=lambda member: (member.kind != LISTED, desired.primary != member.address, _rank(desired, member.address))).address


def _rank(desired: DesiredReplication, address: str) -> int:
    names = (*desired.members, *desired.retired)
    return names.index(address)


def _serves(state: ReplicationState, member: Member) -> bool:
    """Return whether a replica has a primary among the members, perhaps through other replicas."""
    seen, found = {member.address}, state.members.get(member.follows or "")
    while found is not None and not found.is_primary and found.address not in seen:
        seen.add(found.address)
        found = state.members.get(found.follows or "")
    return found is not None and found.is_primary


def _named_primary(state: ReplicationState, members: Sequence[Member]) -> str:
    """Return the primary that Sentinels name; a switch that they are in the middle of is waited for before."""
    named = state.members.get(state.named or "")
    if named is None:
        raise RefusedError(
            f"the Sentinels name {state.named} as the primary, which is neither listed nor retired: list it, or let a listed one take "
            "over (SENTINEL FAILOVER)"
        )
    if not named.is_primary:
        raise RefusedError(f"the Sentinels name {named.address} as the primary, and it is a replica of {named.follows}")
    full = [member for member in members if member.keys and not _copies(state, member, named)]
    if named.is_empty and full:
        raise RefusedError(
            f"the Sentinels name {named.address} as the primary, which has no keys, and {_counted(full)}: copying it would remove them. "
            "Restore its data, or empty the others"
        )
    return named.address


def _copies(state: ReplicationState, member: Member, primary: Member) -> bool:
    return member.address == primary.address or (member.follows == primary.address and member.is_linked)


def _counted(members: Sequence[Member]) -> str:
    return ", ".join(f"{member.address} has {member.keys} keys" for member in members)


def _one_of_several(holders: Sequence[Member], desired: DesiredReplication) -> str:
    """Return the primary whose data holds all writes of the other primaries, or else the one that the user names."""
    if desired.primary in {member.address for member in holders}:
        return str(desired.primary)
    whole = [one for one in holders if all(one.continues(other) for other in holders if other is not one)]
    if len(whole) == 1:
        return whole[0].address
    raise RefusedError(
        f"several servers are primaries with data of their own: {_counted(holders)}. All but one would lose theirs: name the one "
        "that stays (option primary), or empty the others"
    )


def _best_copy(state: ReplicationState, copies: Sequence[Member], desired: DesiredReplication) -> str:
    """Return the replica that has most, where the primary is gone."""
    best = max(copies, key=lambda member: (member.offset, member.kind == LISTED, -_rank(desired, member.address)))
    strangers = [copy for copy in copies if copy.follows not in (*state.members, *state.unreachable)]
    if strangers:
        names = ", ".join(f"{copy.address} copies {copy.follows}" for copy in strangers)
        raise RefusedError(f"{names}, which is neither listed nor retired: list it, or retire it so that a replica takes over")
    gone = sorted({str(copy.follows) for copy in copies} - state.members.keys())
    if gone and not desired.is_forced:
        raise RefusedError(
            f"{', '.join(gone)}, the primary of {', '.join(copy.address for copy in copies)}, is gone, and a replica may lack its last "
            "writes: start it again, or set force to promote the replica that has most"
        )
    if not desired.is_forced and not all(best.continues(other) for other in copies if other is not best and other.keys):
        raise RefusedError(
            f"no server is a primary, and none holds all data of the others: {_counted(copies)}. Set force to promote {best.address}"
        )
    return best.address


# Who copies it


def _attach_all(copy: _WorkingCopy, desired: DesiredReplication, primary: str) -> None:
    for name in desired.members:
        member = copy.members[name]
        if name == primary or (member.follows == primary and member.is_linked):
            continue
        problem = _loss(copy, member, copy.members[primary], desired)
        if problem and name not in copy.watched:
            raise RefusedError(problem)
        copy.attach(name, primary)


def _loss(copy: _WorkingCopy, member: Member, primary: Member, desired: DesiredReplication) -> str:
    """Return which data a server would lose as a replica of *primary*; empty if none."""
    is_copy = member.follows in copy.members
    if member.is_empty or is_copy or primary.continues(member) or desired.is_forced or desired.primary == primary.address:
        return ""
    if not member.is_primary and (member.keys == 0 or member.history in (primary.history, primary.former_history)):
        return ""
    what = "it is a primary" if member.is_primary else f"it copies {member.follows}, which is neither listed nor retired"
    return (
        f"{member.address} has {member.keys} keys, and {what}: as a replica of {primary.address} it would lose them. Empty it (FLUSHALL), "
        f"or name {primary.address} as the primary whose data stays (option primary)"
    )


def _successor(copy: _WorkingCopy, desired: DesiredReplication, primary: str) -> str:
    replicas = [name for name in desired.members if name != primary and copy.members[name].follows == primary]
    successor: Optional[str] = replicas[0] if replicas else None
    if successor is None:
        raise RefusedError(f"{primary} is the primary and shall hand over, and it has no listed replica that could take over")
    return successor
