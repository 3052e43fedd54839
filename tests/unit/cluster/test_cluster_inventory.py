# SPDX-License-Identifier: MIT
"""The cluster that hosts say together, and each way in which they cannot be one."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.cluster.inventory import cluster_options, inventory_problems

COMMON = {
    "replicas": 1,
    "shards": None,
    "rebalance": False,
    "assign_lost_slots": False,
    "batch_keys": 100,
    "batch_slots": 16,
    "wait_seconds": 60.0,
    "zone": "",
    "weight": 1.0,
    "is_retired": False,
}


def node(address: str, name: str = "default") -> dict[str, Any]:
    """Return an instance."""
    return {"name": name, "address": address, "bus_port": int(address.rpartition(":")[2]) + 10_000, "announced": address}


def six(**changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return six hosts with a node each, and what is different for some of them."""
    hosts = {f"h{number}": {**COMMON, "instances": [node(f"192.0.2.{number}:7000")]} for number in range(1, 7)}
    return {name: {**host, **changes.get(name, {})} for name, host in hosts.items()}


def test_hosts_are_one_cluster() -> None:
    """Nodes bear the names, zones and weights of their hosts; a retired host's leave."""
    hosts = six(h1={"zone": "a", "weight": 2}, h6={"is_retired": True})
    options = cluster_options(hosts)
    assert {"address": "192.0.2.1:7000", "host": "h1", "zone": "a", "weight": 2.0} == options["nodes"][0]
    assert (5, ["192.0.2.6:7000"], 1, None) == (len(options["nodes"]), options["retired"], options["replicas"], options["shards"])
    assert [] == inventory_problems("redis", six())
    assert {} == options["announced"]
    translated = six(h6={"is_retired": True, "instances": [{**node("192.0.2.6:7000"), "announced": "node6.example.org:7100"}]})
    assert {"192.0.2.6:7000": "node6.example.org:7100"} == cluster_options(translated)["announced"]


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        (six(h1={"replicas": 2}), ["redis_cluster_replicas differs", "2 on h1", "1 on h2"]),
        (six(h2={"instances": [node("192.0.2.1:7000")]}), ["h1/default and h2/default", "192.0.2.1:7000", "redis_server_bind"]),
        (six(h2={"instances": [node("192.0.2.1:17000")]}), ["h1/default and h2/default", "192.0.2.1:17000"]),
        (six(h2={"instances": [node("127.0.0.1:7000")]}), ["redis_server_bind of h2", "loopback"]),
        (six(h6={"is_retired": True}), ["5 nodes are too few", "3 shards with 1 replicas each need 6"]),
        (six(h6={"weight": 0}), ["weight is 0"]),
        ({name: {**host, "replicas": 3} for name, host in six().items()}, ["3 replicas each need 12"]),
        ({name: {**host, "shards": 2} for name, host in six().items()}, ["shards is 2", "3 or more"]),
        ({name: {**host, "batch_keys": 0} for name, host in six().items()}, ["batch_keys is 0"]),
    ],
)
def test_what_hosts_cannot_be(hosts: dict[str, dict[str, Any]], words: list[str]) -> None:
    """One sentence, which names the variable or the nodes."""
    (problem,) = inventory_problems("redis", hosts)
    assert [] == [word for word in words if word not in problem], problem


def test_one_machine_may_have_all_nodes() -> None:
    """With ports of their own, on loopback."""
    instances = [node(f"127.0.0.1:{port}", f"n{port}") for port in range(7000, 7006)]
    assert [] == inventory_problems("redis", {"here": {**COMMON, "instances": instances}})
