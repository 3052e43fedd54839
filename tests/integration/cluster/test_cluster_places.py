# SPDX-License-Identifier: MIT
"""Where nodes are placed, how much they get, and the addresses that they announce, on real servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from keyfleet import Client
from keyfleet.core.cluster.model import SLOTS
from keyfleet.core.connect.settings import Settings
from keyfleet.testing._server import Server, free_port
from support.formations import PASSWORD, Formation, Start, address
from support.forwarding import Forwarder, other_name
from support.modules import run_module

ON_EVERY_SERVER = "full"
ZONES = ("east", "west", "south")
WITHIN = 1  # slots that a share may be off by


def described(formation: Formation, zones: tuple[str, ...] = ZONES, **weights: float) -> list[dict[str, object]]:
    """Return all nodes, two on each host, each host in a zone; *weights* of zones."""
    places = [zones[number // 2 % len(zones)] for number in range(len(formation.nodes))]
    return [
        {"address": address(node), "host": f"host{number // 2}", "zone": zone, "weight": weights.get(zone, 1)}
        for number, (node, zone) in enumerate(zip(formation.nodes, places))
    ]


def shards(formation: Formation) -> dict[str, tuple[int, set[str]]]:
    """Return the slots of each primary, and the addresses of its replicas."""
    state, slots = formation.state(), formation.slots()
    found = {name: {node.address for node in state.members.values() if node.primary == name} for name in set(state.owners) if name}
    return {state.members[name].address: (slots[state.members[name].address], replicas) for name, replicas in found.items()}


def test_weights_zones_and_warnings(start_nodes: Start) -> None:
    """Members of a shard are in different zones, slots follow the weights, and each shard that cannot be spread is named."""
    formation = start_nodes()
    created = formation.form_nodes(described(formation))
    assert [] == created.warnings
    zone_of = {str(node["address"]): str(node["zone"]) for node in described(formation)}
    for primary, (_slots, replicas) in shards(formation).items():
        assert 1 == len(replicas)
        assert zone_of[primary] not in {zone_of[replica] for replica in replicas}

    wanted = formation.fill()
    heavy = next(iter(shards(formation)))
    weighted = [{**node, "weight": 2 if node["address"] in {heavy, *shards(formation)[heavy][1]} else 1} for node in described(formation)]
    assert [] == formation.form_nodes(weighted).steps, "weights alone move nothing"
    moved = formation.form_nodes(weighted, rebalance=True)
    expected = {place: SLOTS // 2 if place == heavy else SLOTS // 4 for place in formation.slots()}
    assert [] == [place for place, count in formation.slots().items() if abs(count - expected[place]) > WITHIN], formation.slots()
    assert moved.slots <= SLOTS // 2 - SLOTS // 3 + WITHIN, "no slot moves that need not"
    assert formation.holds(wanted)
    assert [] == formation.form_nodes(weighted, rebalance=True).steps

    crowded = formation.form_nodes(described(formation, ("east",)))
    assert [] == crowded.steps
    found = crowded.warnings
    assert sorted(shards(formation)) == sorted(text.partition("the shard of ")[2].partition(" has")[0] for text in found)
    assert [] == [text for text in found if "has several members on zone east: " not in text]


def test_a_shard_with_too_few_replicas_is_named_once(start_nodes: Start) -> None:
    """In one of the proof's checks, with what it has and what it should have."""
    formation = start_nodes(3)
    formation.form(replicas=0)
    nodes = [{"address": address(node)} for node in formation.nodes]
    proven = run_module("redis_cluster", {"nodes": nodes, "replicas": 1, "proof": "only", "login_password": PASSWORD})["health"]
    assert "degraded" == proven["verdict"]
    (reason,) = proven["reasons"]
    assert [1, 1, 1] == [reason.count(f"the shard of {address(node)} has 0 of 1 replicas") for node in formation.nodes]


@pytest.fixture
def translated(start_nodes: Start) -> Iterator[Formation]:
    """Eight nodes that announce other addresses and ports than they listen on, and names; the others reach them there alone."""
    formation = start_nodes(8)
    outside = [outside_of(node) for node in formation.nodes]
    port = free_port(*outside, bus=True)
    places = {}
    for node, host in zip(formation.nodes, outside):
        announced = {"ip": host, "port": port, "bus-port": port + 10_000, "hostname": other_name(host)}
        for option, value in announced.items():
            formation.run_on(node, "CONFIG", "SET", f"cluster-announce-{option}", value)
        formation.run_on(node, "CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
        places[host, port] = (node.host, node.port)
        places[host, port + 10_000] = (node.host, node.port + 10_000)
    with Forwarder(places):
        yield formation


def outside_of(node: Server) -> str:
    """Return the address that a node announces."""
    return node.host.replace("127.0.0.", "127.0.1.")


def entries(formation: Formation, node: Server) -> list[str]:
    """Return the addresses and names in the table of *node*."""
    table = formation.run_on(node, "CLUSTER", "NODES").decode()
    return sorted(line.split()[1] for line in table.splitlines())


def test_nodes_behind_translated_addresses(translated: Formation) -> None:
    """Created, grown and shrunk at the announced places; clients are sent to the names; a node that is gone is forgotten."""
    six, spare = translated.nodes[:6], translated.nodes[6:]
    translated.form(six)
    (first,) = [place for place in entries(translated, six[1]) if place.endswith(other_name("127.0.1.1"))]
    host, _colon, ports = first.partition(",")[0].partition(":")
    port = int(ports.partition("@")[0])
    assert ("127.0.1.1", f"{port}@{port + 10_000}") == (host, ports)
    assert [] == translated.form(six).steps
    outside = Settings(cluster_nodes=((other_name("127.0.1.1"), port),), password=PASSWORD, timeout_seconds=10.0)
    with Client.from_settings(outside) as client:
        for number in range(200):
            client.set(f"key:{number}", str(number))
        # few slots, since Valkey takes some 60 ms for each
        grown = translated.form_nodes([{"address": address(node), "weight": 0.1 if node in spare else 1} for node in translated.nodes])
        assert (4, True) == (len(translated.slots()), grown.keys > 0)
        slots = translated.run_on(six[0], "CLUSTER", "SLOTS")
        assert {other_name(f"127.0.1.{number}").encode() for number in range(1, 9)} == {node[0] for row in slots for node in row[2:]}
        assert [] == [number for number in range(200) if client.get(f"key:{number}") != str(number)]
        translated.form(six, spare)
        translated.cluster.nodes = six
        assert [] == [number for number in range(200) if client.get(f"key:{number}") != str(number)]
    assert (3, []) == (len(translated.slots()), translated.form(six).steps)
    dead = next(node for node in six if node not in translated.cluster.primaries())
    former = translated.id_of(dead)
    dead.kill()
    left = [node for node in six if node is not dead]
    for node in left:
        translated.wait_until_failed(former, node, flags=["fail"])
    (kept,) = translated.form(left, [dead], replicas=0, shards=3).warnings
    assert "which has failed, is a member of the cluster and neither in nodes nor in retired" in kept
    place = f"{other_name(outside_of(dead))}:{port}"
    (step,) = translated.form(left, [dead], replicas=0, shards=3, announced={address(dead): place}).steps
    assert f"(id {former})" in step
    assert [] == translated.form(left, replicas=0, shards=3).warnings
