"""A cluster by site.yml on loopback: foreseen, created, proven, and left alone by the next run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clusters import describe_cluster, port_of, shape
from support.playbooks import Deployment, deployments


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    """Yield the inventory of a cluster of six hosts, not deployed yet."""
    for found in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
        describe_cluster(found)
        yield found


def test_created_proven_and_left_alone(deployment: Deployment) -> None:
    """Check mode shows the plan; the run carries it out; the next one asks each host once and the cluster once, and changes nothing."""
    foreseen = deployment.run("--check", "--diff").ok().result("redis_cluster")
    created = deployment.run().ok()
    assert foreseen["steps"] == created.result("redis_cluster")["steps"] != []
    assert "ok" == created.result("redis_cluster")["health"]["verdict"]
    assert [1, 1, 1] == [replicas for _slots, replicas in shape(deployment).values()]
    port = port_of(deployment)
    profile = deployment.inventory / "redis@node2.env"
    assert f"REDIS_CLUSTER_NODES=127.0.0.2:{port},127.0.0.1:{port}," in profile.read_text(encoding="utf-8")
    again = deployment.run().ok()
    assert ([], 7) == (again.changed, len(again.execs))
    verified = deployment.run("--tags", "verify").ok()
    assert (1, "ok") == (len(verified.execs), verified.result("redis_cluster")["health"]["verdict"])
