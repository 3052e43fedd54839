# SPDX-License-Identifier: MIT
"""From any state the steps lead to the desired one, or are refused; no write is lost, wherever they are interrupted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from keyfleet.core.errors import RefusedError
from keyfleet.core.replication.model import LISTED, RETIRED, Attach, Await, DesiredReplication, HandOver, Member, Promote, ReplicationState
from keyfleet.core.replication.plan import plan_replication
from support.replication_model import ModelReplication, ModelServer

A, B, C, D = (f"10.0.0.{number}:6379" for number in range(1, 5))
ONE, TWO = "1" * 40, "2" * 40


@st.composite
def replications(draw: st.DrawFn) -> ModelReplication:
    """Return servers to which some things have happened."""
    model = ModelReplication()
    for _unused in range(draw(st.integers(1, 4))):
        model.add(draw(st.sampled_from([LISTED, LISTED, LISTED, RETIRED])))
    model.servers[A].kind = LISTED
    servers = list(model.servers.values())
    for what in draw(st.lists(st.sampled_from(["write", "attach", "unlink", "promote", "restart", "die"]), max_size=12)):
        one, other = draw(st.sampled_from(servers)), draw(st.sampled_from(servers))
        happen(model, what, one, other)
    return model


def happen(model: ModelReplication, what: str, one: ModelServer, other: ModelServer) -> None:
    """Let something happen, if it can."""
    if what == "write":
        model.write(one)
    elif what == "attach" and one is not other and other.follows is None and not (one.writes or model.copies(one)) and other.alive:
        one.follows = other.address
        model.sync(one)
    elif what == "unlink" and one.follows:
        one.linked = False
    elif what == "promote" and one.follows and one.alive:
        model.promote(one)
    elif what == "restart" and one.follows is None:
        model.restart(one)
        for copy in model.copies(one):
            copy.linked = False
    elif what == "die" and one.kind == RETIRED:
        one.alive = False


def desired_of(model: ModelReplication, **options: bool) -> DesiredReplication:
    """Return the desired state that names these servers."""
    kinds = {kind: tuple(one.address for one in model.servers.values() if one.kind == kind) for kind in (LISTED, RETIRED)}
    return DesiredReplication(kinds[LISTED], kinds[RETIRED], **options)


def assert_desired(model: ModelReplication, desired: DesiredReplication) -> None:
    """Assert that one listed server is the primary, and the others copy it."""
    listed = [model.servers[name] for name in desired.members]
    (primary,) = [one for one in listed if one.follows is None]
    assert [primary.address] * (len(listed) - 1) == [one.follows for one in listed if one is not primary]
    assert all(one.writes == primary.writes for one in listed)


@given(replications(), st.booleans(), st.integers(0, 8))
def test_any_state_becomes_the_desired_one(model: ModelReplication, hands_over: bool, interrupted: int) -> None:
    """Interrupted after any step, planned anew, and planned once more: nothing is left to do. The model notices each lost write."""
    desired = desired_of(model, hands_over=hands_over)
    everything = frozenset[int]().union(*(one.writes for one in model.servers.values() if one.alive and one.follows is None))
    try:
        plan = plan_replication(model.state(), desired)
    except RefusedError:
        event("refused")
        return
    for step in plan.steps[:interrupted]:
        model.take(step)
    plan = plan_replication(model.state(), replace(desired, hands_over=False))
    for step in plan.steps:
        model.take(step)
    event(f"{len(plan.steps)} steps")
    assert_desired(model, desired)
    assert everything <= model.servers[plan.primary].writes
    assert () == plan_replication(model.state(), replace(desired, hands_over=False)).steps


@given(replications())
def test_the_plan_foresees_what_servers_report(model: ModelReplication) -> None:
    """Roles and data after the steps are those that the plan shows in check mode."""
    try:
        plan = plan_replication(model.state(), desired_of(model))
    except RefusedError:
        return
    for step in plan.steps:
        model.take(step)
    found = {name: (one.follows, one.is_linked, one.keys) for name, one in model.state().members.items() if one.kind == LISTED}
    assert found == {name: (one.follows, one.is_linked, one.keys) for name, one in plan.after.members.items() if one.kind == LISTED}


@given(replications())
def test_what_was_refused_is_done_with_force(model: ModelReplication) -> None:
    """A gone primary is the only reason for a refusal that force removes; it never chooses between primaries with data."""
    desired = desired_of(model, is_forced=True)
    primaries = [one for one in model.state().members.values() if one.is_primary and not one.is_empty]
    model.expendable = frozenset(range(model.numbers + 1))
    try:
        plan = plan_replication(model.state(), desired)
    except RefusedError:
        assert len(primaries) > 1
        return
    for step in plan.steps:
        model.take(step)
    assert_desired(model, desired)


def state_of(*members: Member, **options: object) -> ReplicationState:
    """Return a state of these members."""
    return ReplicationState({member.address: member for member in members}, **options)  # type: ignore[arg-type]


def test_new_servers_follow_the_first_of_the_inventory() -> None:
    """None has data, so the inventory decides; with data the servers do."""
    new = [Member(address, history=history) for address, history in ((A, ONE), (B, TWO), (C, "3" * 40))]
    desired = DesiredReplication((A, B, C))
    assert (Attach(B, A), Attach(C, A)) == plan_replication(state_of(*new), desired).steps
    with_data = [new[0], replace(new[1], keys=1), new[2]]
    assert (Attach(A, B), Attach(C, B)) == plan_replication(state_of(*with_data), desired).steps


def test_a_failover_is_kept() -> None:
    """The second server was promoted: nothing is to do."""
    promoted = Member(B, history=TWO, former_history=ONE, former_until=8, offset=9, keys=3, replicas=1)
    old = Member(A, follows=B, history=TWO, former_history=ONE, former_until=8, offset=9, keys=3)
    assert () == plan_replication(state_of(old, promoted), DesiredReplication((A, B))).steps


def test_an_old_primary_without_later_writes_follows_the_new_one() -> None:
    """It wrote nothing after the other took over; with one more write, that would be lost."""
    new = Member(B, history=TWO, former_history=ONE, former_until=8, offset=20, keys=9)
    old = Member(A, history=ONE, offset=7, keys=7)
    desired = DesiredReplication((A, B))
    assert (Attach(A, B),) == plan_replication(state_of(old, new), desired).steps
    with pytest.raises(RefusedError, match=r"10.0.0.1:6379 has 7 keys, 10.0.0.2:6379 has 9 keys"):
        plan_replication(state_of(replace(old, offset=8), new), desired)


def test_what_sentinels_name_is_kept_and_what_they_know_follows() -> None:
    """They would make the old primary a replica themselves; a server that they do not know keeps its data."""
    named = Member(B, history=TWO, offset=20, keys=9)
    old, stranger = Member(A, history=ONE, offset=30, keys=7), Member(C, history="3" * 40, keys=1)
    desired = DesiredReplication((A, B, C))
    state = state_of(old, named, named=B, watched=frozenset({A, B}))
    assert (Attach(A, B),) == plan_replication(state, replace(desired, members=(A, B))).steps
    with pytest.raises(RefusedError, match=r"10.0.0.3:6379 has 1 keys, and it is a primary"):
        plan_replication(state_of(old, named, stranger, named=B, watched=frozenset({A, B})), desired)
    assert (Attach(A, B), Attach(C, B)) == plan_replication(
        state_of(old, named, stranger, named=B, watched=frozenset({A, B})), replace(desired, primary=B)
    ).steps


def test_an_empty_primary_never_empties_the_only_copy() -> None:
    """Named by Sentinels or not."""
    empty, full = Member(A, history=ONE), Member(B, follows=D, is_linked=False, history=TWO, offset=5, keys=5)
    with pytest.raises(RefusedError, match=r"has no keys, and 10.0.0.2:6379 has 5 keys"):
        plan_replication(state_of(empty, full, named=A, watched=frozenset({A, B})), DesiredReplication((A, B), (D,)))
    state = state_of(empty, full, unreachable=(D,))
    with pytest.raises(RefusedError, match=r"10.0.0.4:6379, the primary of 10.0.0.2:6379, is gone"):
        plan_replication(state, DesiredReplication((A, B), (D,)))
    assert (Promote(B), Attach(A, B)) == plan_replication(state, DesiredReplication((A, B), (D,), is_forced=True)).steps


def test_a_retired_primary_hands_over_or_is_refused() -> None:
    """A replica takes over when it is in sync; without any there is none to take over."""
    primary, replica = Member(A, RETIRED, history=ONE, offset=5, keys=5, replicas=1), Member(B, follows=A, history=ONE, offset=5, keys=5)
    assert (HandOver(A, B),) == plan_replication(state_of(replica, primary), DesiredReplication((B,), (A,))).steps
    lagging = replace(replica, is_linked=False)
    assert (Await(B, A), HandOver(A, B)) == plan_replication(state_of(lagging, primary), DesiredReplication((B,), (A,))).steps
    with pytest.raises(RefusedError, match="no listed replica that could take over"):
        plan_replication(state_of(replace(primary, kind=LISTED, replicas=0)), DesiredReplication((A,), hands_over=True))


def test_replicas_of_replicas_and_of_strangers() -> None:
    """A chain is flattened; what copies a server outside of the inventory is refused, unless it has the same data."""
    primary, first = Member(A, history=ONE, offset=5, keys=5, replicas=1), Member(B, follows=A, history=ONE, offset=5, keys=5, replicas=1)
    second = Member(C, follows=B, history=ONE, offset=5, keys=5)
    desired = DesiredReplication((A, B, C))
    assert (Attach(C, A),) == plan_replication(state_of(primary, first, second), desired).steps
    moved = replace(second, follows=D, is_linked=False)
    assert (Attach(C, A),) == plan_replication(state_of(primary, first, moved), desired).steps
    with pytest.raises(RefusedError, match=r"copies 10.0.0.4:6379, which is neither listed nor retired"):
        plan_replication(state_of(primary, first, replace(moved, history=TWO)), desired)
