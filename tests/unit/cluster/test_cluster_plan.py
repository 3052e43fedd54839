# SPDX-License-Identifier: MIT
"""From any state the steps lead to the desired one, without a slot unowned or a last copy lost, wherever they are interrupted."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from keyfleet.core.cluster.model import LISTED, RETIRED, STALE, UNLISTED, Desired, DesiredNode
from keyfleet.core.cluster.plan import plan_cluster
from keyfleet.core.cluster.steps import Step
from keyfleet.core.errors import RefusedError
from support.cluster_model import ModelCluster, Node

SLOTS = 48


@st.composite
def clusters(draw: st.DrawFn) -> tuple[ModelCluster, Desired]:
    """Return a cluster, whole or broken, and what it should be."""
    shards, replicas = draw(st.integers(3, 5)), draw(st.integers(0, 2))
    zones = draw(st.integers(0, 3))
    nodes: list[Node] = []

    def add(kind: str, primary: str | None = None, alive: bool = True) -> Node:
        host = draw(st.integers(0, 5))
        zone = f"z{host % zones}" if zones else ""
        weight = draw(st.sampled_from([1.0, 1.0, 2.0, 0.5]))
        node = Node(f"n{len(nodes):02}", kind, f"h{host}", zone, weight, alive, not alive, primary)
        nodes.append(node)
        return node

    for _shard in range(shards):
        primary = add(draw(st.sampled_from([LISTED] * 6 + [RETIRED, RETIRED, STALE, UNLISTED])))
        primary.alive = primary.kind != STALE
        primary.failed = not primary.alive
        for _replica in range(replicas + draw(st.integers(-1, 1))):
            add(draw(st.sampled_from([LISTED] * 5 + [RETIRED, UNLISTED])), primary.id)
    members = list(nodes)
    for _fresh in range(draw(st.integers(0, 6))):
        add(draw(st.sampled_from([LISTED] * 6 + [STALE])))
        nodes[-1].alive = nodes[-1].kind != STALE
        nodes[-1].failed = not nodes[-1].alive
    everyone = {node.id for node in members} | {node.id for node in nodes if not node.alive}
    for node in nodes:
        if node.alive:
            node.known = (everyone if node in members else set()) | {node.id}
    primaries = [node for node in members if node.primary is None]
    kinds = draw(st.sampled_from(["even", "by hand", "holes", "none"]))
    owners = draw_owners(draw, [node.id for node in primaries], kinds)
    if kinds == "none":
        for node in draw(st.lists(st.sampled_from(members), unique_by=lambda node: node.id)):
            if node.alive and node.primary is None:
                node.known = {node.id}
        owners = [None] * SLOTS
    filled = set(range(0, SLOTS, draw(st.integers(1, 4)))) if kinds in ("even", "by hand") else set()
    cluster = ModelCluster(nodes, owners, filled)
    mark_open(draw, primaries, cluster)
    return cluster, draw_desired(draw, nodes)


def draw_owners(draw: st.DrawFn, names: list[str], kind: str) -> list[str | None]:
    """Return the owners of all slots."""
    if kind == "even":
        return [names[slot * len(names) // SLOTS] for slot in range(SLOTS)]
    choice = [*names, None] if kind == "holes" else names
    bounds = sorted(draw(st.lists(st.integers(0, SLOTS), min_size=6, max_size=6)))
    picks: list[Any] = draw(st.lists(st.sampled_from(choice), min_size=7, max_size=7))
    return [picks[sum(bound <= slot for bound in bounds)] for slot in range(SLOTS)]


def mark_open(draw: st.DrawFn, primaries: list[Node], cluster: ModelCluster) -> None:
    """Leave some slots open, on one side or both, perhaps with keys on both."""
    alive = {node.id: node for node in primaries if node.alive}
    for slot in draw(st.lists(st.integers(0, SLOTS - 1), max_size=4, unique=True)):
        owner = cluster.owners[slot]
        target = draw(st.sampled_from(sorted(alive))) if alive else ""
        if owner not in alive or target in ("", owner):
            continue
        sides = draw(st.sampled_from(["both", "importing", "migrating"]))
        if sides != "importing":
            alive[str(owner)].migrating[slot] = target
        if sides != "migrating":
            alive[target].importing[slot] = str(owner)
            if slot in cluster.data and draw(st.booleans()):
                cluster.data[slot].add(target)


def draw_desired(draw: st.DrawFn, nodes: list[Node]) -> Desired:
    """Return a desired cluster that the nodes allow."""
    listed = [node for node in nodes if node.kind == LISTED and node.alive]
    staying = len([node for node in nodes if node.kind in (LISTED, UNLISTED) and node.alive])
    assume(staying >= 3 and len(listed) >= 3)
    replicas = draw(st.integers(0, max(0, staying // 3 - 1)))
    shards = draw(st.sampled_from([None, *range(3, staying // (replicas + 1) + 1)]))
    return Desired(
        nodes=tuple(DesiredNode(f"{node.id}:7000", node.host, node.zone, node.weight) for node in listed),
        replicas=replicas,
        shards=shards,
        rebalance=draw(st.booleans()),
        assign_lost_slots=draw(st.booleans()),
    )


def interrupt(cluster: ModelCluster, steps: tuple[Step, ...], places: int) -> bool:
    """Take the steps up to the place of this number; return whether there are as many."""
    for step in steps:
        for _place in cluster.take(step):
            places -= 1
            if not places:
                return True
    return False


def is_as_desired(cluster: ModelCluster, desired: Desired) -> None:
    """Assert what every plan leads to."""
    alive = {node.id: node for node in cluster.nodes.values() if node.alive and node.kind in (LISTED, UNLISTED)}
    foreign = {node.id for node in cluster.nodes.values() if node.kind == UNLISTED}
    gone = {node.id for node in cluster.nodes.values() if node.kind in (RETIRED, STALE)}
    owners = set(cluster.owners)
    assert owners <= alive.keys()
    assert (desired.shards or len(alive) // (desired.replicas + 1)) <= max(len(owners), SLOTS)
    for node in alive.values():
        assert alive.keys() <= node.known
        assert not node.known & gone
        assert not node.importing
        assert not node.migrating
        assert node.primary in owners or node.id in owners or node.kind == UNLISTED
    replicas = Counter(node.primary for node in alive.values())
    assert all(replicas[owner] >= desired.replicas for owner in owners - foreign if owner)
    for node in cluster.nodes.values():
        if node.kind == RETIRED and node.alive:
            assert node.known == {node.id}


@settings(max_examples=150, report_multiple_bugs=False, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(clusters(), st.lists(st.integers(1, 60), max_size=3))
def test_every_state_becomes_the_desired_one(generated: tuple[ModelCluster, Desired], kills: list[int]) -> None:
    """Runs that are killed anywhere, then one that is not; afterwards there is nothing to do."""
    cluster, desired = generated
    try:
        for places in kills:
            interrupt(cluster, plan_cluster(cluster.state(), desired).steps, places)
        cluster.take_all(plan_cluster(cluster.state(), desired).steps)
    except RefusedError as error:
        assert "gone" in str(error) or "too few" in str(error) or "left to be replicas" in str(error)
        return
    is_as_desired(cluster, desired)
    assert () == plan_cluster(cluster.state(), desired).steps


def fresh(count: int, **options: Any) -> tuple[ModelCluster, Desired]:
    """Return so many nodes that know no other, three hosts in turn, and the desired cluster of all of them."""
    nodes = [Node(f"n{number:04}", host=f"h{number % 3}", known={f"n{number:04}"}) for number in range(count)]
    return ModelCluster(nodes, [None] * SLOTS, set()), desire(nodes, **options)


def desire(nodes: list[Node], **options: Any) -> Desired:
    """Return the desired cluster of these nodes."""
    return Desired(tuple(DesiredNode(f"{node.id}:7000", node.host, node.zone, node.weight) for node in nodes), **options)


def settle(cluster: ModelCluster, desired: Desired) -> Counter[str | None]:
    """Let a run do its work, and return how many slots each primary has."""
    cluster.take_all(plan_cluster(cluster.state(), desired).steps)
    assert () == plan_cluster(cluster.state(), desired).steps
    return Counter(cluster.owners)


@pytest.mark.parametrize("places", range(1, 40, 3))
def test_a_new_shard_gets_its_share_wherever_a_run_is_killed(places: int) -> None:
    """Although nothing but the nodes says that it was being filled."""
    cluster, desired = fresh(6)
    assert {SLOTS // 3} == set(settle(cluster, desired).values())
    for number in (6, 7):
        cluster.nodes[f"n{number}"] = Node(f"n{number}", host=f"h{number}", known={f"n{number}"})
    grown = desire(list(cluster.nodes.values()))
    assert interrupt(cluster, plan_cluster(cluster.state(), grown).steps, places)
    assert {SLOTS // 4} == set(settle(cluster, grown).values())
    assert SLOTS // 4 == cluster.moved


def test_a_reshard_by_hand_stays() -> None:
    """Until rebalancing is asked for; weights count then, and a shard weighs what its lightest member does."""
    cluster, desired = fresh(6)
    settle(cluster, desired)
    first, *_others = sorted(set(filter(None, cluster.owners)))
    cluster.owners = [first if slot < 28 else owner for slot, owner in enumerate(cluster.owners)]
    assert () == plan_cluster(cluster.state(), desired).steps
    for node in cluster.nodes.values():
        node.weight = 2.0 if first in (node.id, node.primary) else 1.0
    heavy = desire(list(cluster.nodes.values()), rebalance=True)
    counts = settle(cluster, heavy)
    assert [12, 12, 24] == sorted(counts.values())
    assert 24 == counts[first]


def test_a_retired_primary_hands_over_and_no_slot_moves() -> None:
    """Its shard stays; the node that replaces it is a replica."""
    cluster, desired = fresh(6)
    settle(cluster, desired)
    primary = str(cluster.owners[0])
    cluster.nodes[primary].kind = RETIRED
    cluster.nodes["x"] = Node("x", host="hx", known={"x"})
    listed = [node for node in cluster.nodes.values() if node.kind == LISTED]
    settle(cluster, desire(listed))
    assert 0 == cluster.moved
    assert {primary} == cluster.nodes[primary].known


def test_a_node_that_is_not_named_is_kept_and_reported() -> None:
    """With its slots and replicas."""
    cluster, desired = fresh(8)
    settle(cluster, desired)
    primary = str(cluster.owners[0])
    cluster.nodes[primary].kind = UNLISTED
    plan = plan_cluster(cluster.state(), desire([node for node in cluster.nodes.values() if node.kind == LISTED]))
    assert () == plan.steps
    assert (f"{primary}:7000 is a member of the cluster and neither in nodes nor in retired; it is kept as it is",) == plan.warnings


def test_a_retired_node_that_only_the_cluster_reaches_is_refused() -> None:
    """What it holds cannot be moved from here."""
    cluster, desired = fresh(6)
    settle(cluster, desired)
    node = cluster.nodes["n0005"]
    node.kind, node.alive = RETIRED, False
    with pytest.raises(RefusedError, match="n0005:7000 cannot be reached from here, and the cluster does not call it failed"):
        plan_cluster(cluster.state(), desire([node for node in cluster.nodes.values() if node.kind == LISTED], replicas=0))


def test_shards_that_cannot_be_spread_are_named() -> None:
    """Two hosts for three members."""
    cluster, desired = fresh(9, replicas=2)
    for node in cluster.nodes.values():
        node.host = "h1" if node.host == "h2" else node.host
    plan = plan_cluster(cluster.state(), desired)
    assert 3 == len(plan.warnings)
    assert all("has several members on host h" in warning for warning in plan.warnings)


def test_a_large_cluster_is_planned_fast() -> None:
    """Create and grow a thousand nodes; the bench has the time, this the order of it."""
    nodes = [Node(f"n{number:04}", host=f"h{number % 100}", zone=f"z{number % 3}", known={f"n{number:04}"}) for number in range(1000)]
    cluster = ModelCluster(nodes, [None] * 16384, set())
    plan = plan_cluster(cluster.state(), desire(nodes))
    assert () == plan.warnings
    assert 500 == len(set(plan.after.owners))
