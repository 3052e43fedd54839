# SPDX-License-Identifier: MIT
"""Each way in which a cluster can be broken, made for real and healed by one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest
from keyfleet.testing._server import Server
from redis.crc import key_slot
from support.formations import Formation, address, is_whole

Break = Callable[[Formation], object]
SLOT = 1000


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, redis_engine: str) -> Iterator[Formation]:
    """A cluster of three shards with a replica each, with keys, shared by tests that leave it whole."""
    formation = Formation(tmp_path_factory.mktemp("broken"), redis_engine)
    formation.form()
    yield formation
    formation.cluster.stop()


@cache
def key_of(slot: int) -> str:
    """Return a key of *slot*."""
    return next(key for key in (f"k{number}" for number in range(500_000)) if key_slot(key.encode()) == slot)


def owner_and_other(formation: Formation, slot: int) -> tuple[Server, Server]:
    """Return the primary of *slot* and another primary."""
    owner = formation.cluster.primary_of(key_of(slot))
    return owner, next(node for node in formation.cluster.primaries() if node is not owner)


def open_slot(formation: Formation, slot: int, *, importing: bool, migrating: bool) -> tuple[Server, Server]:
    """Leave *slot* open as a killed reshard does."""
    owner, other = owner_and_other(formation, slot)
    if importing:
        formation.run_on(other, "CLUSTER", "SETSLOT", slot, "IMPORTING", formation.id_of(owner))
    if migrating:
        formation.run_on(owner, "CLUSTER", "SETSLOT", slot, "MIGRATING", formation.id_of(other))
    return owner, other


def open_with_keys_on_both_sides(formation: Formation) -> None:
    """A reshard that was killed with one of two keys moved."""
    key = key_of(SLOT)
    client = formation.cluster.client()
    client.set(f"{{{key}}}:a", 1)
    client.set(f"{{{key}}}:b", 2)
    client.close()
    owner, other = open_slot(formation, SLOT, importing=True, migrating=True)
    migrate(formation, owner, other, f"{{{key}}}:a")


def migrate(formation: Formation, owner: Server, other: Server, key: str) -> None:
    """Send a key to another node."""
    formation.run_on(owner, "MIGRATE", other.host, other.port, "", 0, 5000, "AUTH", formation.cluster.password, "KEYS", key)


def keys_left_on_a_closed_target(formation: Formation) -> None:
    """The slot was set to stable on its owner by hand, while keys were on the other side."""
    open_with_keys_on_both_sides(formation)
    owner, _other = owner_and_other(formation, SLOT)
    formation.run_on(owner, "CLUSTER", "SETSLOT", SLOT, "STABLE")


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda formation: open_slot(formation, 77, importing=True, migrating=False), id="importing"),
        pytest.param(lambda formation: open_slot(formation, 77, importing=False, migrating=True), id="migrating"),
        pytest.param(lambda formation: open_slot(formation, 77, importing=True, migrating=True), id="both"),
        pytest.param(open_with_keys_on_both_sides, id="keys on both sides"),
        pytest.param(keys_left_on_a_closed_target, id="keys on a closed target"),
    ],
)
def test_open_slots(shared: Formation, broken: Break) -> None:
    """The slot is closed, with all of its keys where clients find them."""
    wanted = shared.fill()
    broken(shared)
    shared.form()
    is_whole(shared, shared.nodes, 3, 1)
    client = shared.cluster.client()
    found = {key.decode(): client.get(key).decode() for key in client.scan_iter()}
    client.close()
    assert wanted == {key: value for key, value in found.items() if key in wanted}
    assert {"1", "2"} >= {value for key, value in found.items() if key not in wanted}
    assert len(found) - len(wanted) in (0, 2)


def test_slots_without_owner(shared: Formation) -> None:
    """No node owns the slots, and one has keys of them still: they go to it."""
    wanted = shared.fill()
    for node in shared.cluster.primaries():
        shared.run_on(node, "CLUSTER", "DELSLOTS", 77, key_slot(b"key:1"))
    shared.form()
    is_whole(shared, shared.nodes, 3, 1)
    assert shared.holds(wanted)


def test_a_replica_that_forgot_its_shard(shared: Formation) -> None:
    """It was reset by hand, keeps its id, and is an empty primary that knows no other."""
    wanted = shared.fill()
    replica = next(node for node in shared.nodes if node not in shared.cluster.primaries())
    shared.run_on(replica, "CLUSTER", "RESET", "SOFT")
    shared.form()
    is_whole(shared, shared.nodes, 3, 1)
    assert shared.holds(wanted)


def test_a_node_that_came_back_with_another_id(shared: Formation) -> None:
    """Its files were lost: it is empty, and the others keep an entry of what it was."""
    wanted = shared.fill()
    primary = shared.cluster.primaries()[0]
    former = shared.lose(primary)
    shared.start_anew(primary)
    assert any("forget" in step and former in step for step in shared.form().steps)
    is_whole(shared, shared.nodes, 3, 1)
    assert shared.holds(wanted)


def test_an_entry_that_only_one_node_has(shared: Formation) -> None:
    """A node was forgotten by the others, and one still has it in its table."""
    spare = shared.cluster.start_one()
    shared.run_on(shared.nodes[0], "CLUSTER", "MEET", spare.host, spare.port)
    former = shared.id_of(spare)
    shared.wait_until_known(former)
    spare.kill()
    shared.nodes.remove(spare)
    for node in shared.nodes[1:]:
        shared.run_on(node, "CLUSTER", "FORGET", former)
    shared.wait_until_failed(former, shared.nodes[0])
    outcome = shared.form(retired=[spare])
    assert [f"forget {spare.host}:{spare.port} (id {former}) on {address(shared.nodes[0])}"] == outcome.steps
    is_whole(shared, shared.nodes, 3, 1)


def test_a_failover_is_kept(shared: Formation) -> None:
    """The roles are as the cluster has them."""
    shared.cluster.failover(key_of(77))
    is_whole(shared, shared.nodes, 3, 1)


def test_a_reshard_by_hand_is_kept_until_rebalancing(shared: Formation) -> None:
    """What an operator moved stays, and is spread with the option."""
    _owner, other = owner_and_other(shared, 0)
    before = sorted(shared.slots().values())
    for _step in shared.cluster.move_slots(range(30), other):
        pass
    moved = sorted(shared.slots().values())
    assert before != moved
    is_whole(shared, shared.nodes, 3, 1)
    assert moved == sorted(shared.slots().values())
    outcome = shared.form(rebalance=True)
    assert 25 <= outcome.slots <= 31
    assert [5461, 5461, 5462] == sorted(shared.slots().values())
    assert [] == shared.form(rebalance=True).steps
