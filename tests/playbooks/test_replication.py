# SPDX-License-Identifier: MIT
"""A replication by site.yml on loopback: foreseen, created, proven, unchanged by the next run, healed."""

from __future__ import annotations

import os
import signal

import pytest
from keyfleet.testing._server import wait_until
from support.playbooks import Deployment
from support.replicated import address, answers, ask, describe_replication, pids, roles


@pytest.fixture
def replication(deployment: Deployment) -> int:
    """Return the port of all servers of a replication of three hosts, not deployed yet."""
    return describe_replication(deployment)


def test_created_proven_and_kept(deployment: Deployment, replication: int) -> None:
    """Check mode shows the steps; the run takes them; the next one asks each host once and the replication once, and changes nothing."""
    foreseen = deployment.run("--check", "--diff").ok().result("redis_replication")
    created = deployment.run().ok()
    done = created.result("redis_replication")
    assert sorted(foreseen["steps"]) == sorted(done["steps"]) != []
    assert "ok" == done["health"]["verdict"]
    first = address(deployment, "node1")
    assert {"node1": "", "node2": first, "node3": first} == roles(deployment)
    assert {"min-replicas-to-write": "1"} == ask(deployment, "node1", "CONFIG", "GET", "min-replicas-to-write")
    profile = (deployment.inventory / "redis@node2.env").read_text(encoding="utf-8")
    assert f"REDIS_HOST=127.0.0.1\nREDIS_PORT={replication}\n" in profile
    again = deployment.run().ok()
    assert ([], 4) == (again.changed, len(again.execs))
    verified = deployment.run("--tags", "verify").ok()
    assert (1, "ok") == (len(verified.execs), verified.result("redis_replication")["health"]["verdict"])


def test_what_is_healed_and_kept(deployment: Deployment, replication: int) -> None:
    """A replica that was killed is back by its supervisor; one promoted by hand stays the primary; a handover loses nothing."""
    deployment.run().ok()
    first, second = address(deployment, "node1"), address(deployment, "node2")
    ask(deployment, "node1", "SET", "kept", "1")
    for host in ("node1", "node3"):
        os.kill(pids(deployment)[host], signal.SIGKILL)
    wait_until(lambda: answers(deployment, ["node1", "node3"]), "the supervisors to start the servers again", 30)
    again = deployment.run().ok()
    assert [] == again.changed
    assert {"node1": "", "node2": first, "node3": first} == roles(deployment)
    deployment.run(playbook="playbooks/failover.yml").ok()
    assert {"node1": second, "node2": "", "node3": second} == roles(deployment)
    before = pids(deployment)
    deployment.variables["redis_server_directives"] = {"tcp-backlog": 300}
    deployment.run().ok()
    after, found = pids(deployment), roles(deployment)
    assert [] == [host for host in deployment.hosts if before[host] == after[host]]
    assert "node2" != next(host for host, follows in found.items() if not follows)
    assert [] == deployment.run().ok().changed
    assert found == roles(deployment)
    assert ["1"] * 3 == [ask(deployment, host, "GET", "kept") for host in deployment.hosts]


def test_grown_from_a_single_node_and_back(deployment: Deployment, replication: int) -> None:
    """One change of the inventory each way, and the keys stay; the primary that leaves hands over first."""
    described = dict(deployment.host_variables)
    deployment.hosts = ["node1"]
    deployment.variables["redis_topology"] = "single"
    deployment.run().ok()
    ask(deployment, "node1", "SET", "kept", "1")
    pid = pids(deployment)["node1"]
    deployment.hosts, deployment.variables["redis_topology"] = ["node2", "node1", "node3"], "replication"
    deployment.run().ok()
    first = address(deployment, "node1")
    assert ({"node1": "", "node2": first, "node3": first}, pid) == (roles(deployment), pids(deployment)["node1"])
    assert ["1"] * 3 == [ask(deployment, host, "GET", "kept") for host in deployment.hosts]
    deployment.retired = ["node1", "node3"]
    deployment.run().ok()
    assert {"node2"} == pids(deployment).keys()
    deployment.hosts, deployment.retired = ["node2"], []
    deployment.variables["redis_topology"] = "single"
    deployment.host_variables = described
    deployment.run().ok()
    assert "1" == ask(deployment, "node2", "GET", "kept")
    assert [] == deployment.run().ok().changed


def test_a_primary_that_is_lost_is_replaced_by_hand(deployment: Deployment, replication: int) -> None:
    """Without Sentinels: a replica is promoted, the lost host leaves the inventory, and the next run attaches the others."""
    deployment.run().ok()
    ask(deployment, "node1", "SET", "kept", "1")
    wait_until(lambda: ["1", "1"] == [ask(deployment, host, "GET", "kept") for host in ("node2", "node3")], "the replicas to have the key")
    deployment.lose("node1")
    assert 0 != deployment.run().rc
    ask(deployment, "node2", "REPLICAOF", "NO", "ONE")
    deployment.hosts = ["node2", "node3"]
    deployment.run().ok()
    assert {"node2": "", "node3": address(deployment, "node2")} == roles(deployment)
    assert ["1", "1"] == [ask(deployment, host, "GET", "kept") for host in deployment.hosts]
    assert [] == deployment.run().ok().changed
