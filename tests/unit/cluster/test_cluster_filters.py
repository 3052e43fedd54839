# SPDX-License-Identifier: MIT
"""The filters of the role redis_cluster: each deployment alone, and none judged of which hosts are left out."""

from __future__ import annotations

from typing import Any

from ansible_collections.keyfleet.redis.plugins.filter.cluster import cluster_handovers, cluster_hosts, cluster_module, cluster_problems

SAID = {
    "zone": "",
    "weight": 1.0,
    "is_retired": False,
    "is_partial": False,
    "replicas": 0,
    "shards": None,
    "rebalance": False,
    "assign_lost_slots": False,
    "batch_keys": 1,
    "batch_slots": 1,
    "wait_seconds": 1.0,
}


def said(deployment: str, address: str, **changes: Any) -> dict[str, Any]:
    """Return what a host with one node says."""
    node = {"name": "a", "address": address, "bus_port": 17000, "announced": address}
    return {**SAID, "deployment": deployment, "instances": [node], **changes}


def test_deployments_are_judged_each_alone() -> None:
    """A host that is no node of a cluster has said nothing; too few nodes are no problem where the others are left out."""
    hosts = {f"h{number}": said("orders", f"192.0.2.{number}:7000") for number in range(3)}
    others = {"single": {"skipped": True}, "x": said("cache", "192.0.2.9:7000")}
    assert ["h0", "h1", "h2"] == list(cluster_hosts({**hosts, **others}, "orders"))
    (problem,) = cluster_problems({**hosts, **others})
    assert problem.startswith("the deployment cache cannot be a cluster")
    assert [] == cluster_problems({**hosts, "x": said("cache", "192.0.2.9:7000", is_partial=True)})
    nodes = cluster_module({**hosts, **others}, "orders")["nodes"]
    leaving = {"h0": {**hosts["h0"], "is_retired": True}, **{name: hosts[name] for name in ("h1", "h2")}}
    assert ["h1", "h2", "h0"] == list(cluster_hosts(leaving, "orders")), "one that stays does the work"
    assert [3, 1] == [len(cluster_handovers(nodes, chosen)) for chosen in ([], ["h1"])]
