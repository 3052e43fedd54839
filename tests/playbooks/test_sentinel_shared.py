# SPDX-License-Identifier: MIT
"""One set of Sentinels watches several replications of an inventory that has a single node, too."""

from __future__ import annotations

from keyfleet.core.connect.settings import Settings
from keyfleet.core.replication.sentinels import Sentinel
from support.playbooks import Deployment
from support.replicated import address, ask, describe_replication

MEMBERS = {"orders": ["node1", "node2", "node3"], "carts": ["node4", "node5"], "plain": ["node6"]}  # the first one is the primary
DEPLOYMENTS = {host: name for name, hosts in MEMBERS.items() for host in hosts}
REPLICATIONS = ("orders", "carts")
SENTINELS = MEMBERS["orders"]


def role_of(deployment: Deployment, host: str) -> list[str]:
    """Return what a server says of its role."""
    found: list[str] = ask(deployment, host, "ROLE", password=deployment.password(DEPLOYMENTS[host]))
    return found


def sentinel_of(deployment: Deployment, host: str, port: int) -> Sentinel:
    """Return a connection to the Sentinel of a host."""
    secret = (deployment.inventory / ".keyfleet/orders/redis_sentinel_password").read_text(encoding="utf-8").strip()
    return Sentinel(Settings(password=secret, timeout_seconds=5.0), deployment.host_variables[host]["ansible_host"], port)


def test_several_replications_and_a_single_node(deployment: Deployment) -> None:
    """Each Sentinel watches both replications and no more, and a second run changes nothing."""
    port = describe_replication(deployment, len(DEPLOYMENTS))
    deployment.variables.update(redis_sentinel_port=port + 1)
    for host, name in DEPLOYMENTS.items():
        deployment.host_variables[host]["redis_deployment"] = name
    deployment.host_variables["node6"]["redis_topology"] = "single"
    deployment.sentinels = SENTINELS
    deployment.run().ok()
    assert [] == deployment.run().ok().changed

    for members in MEMBERS.values():
        primary = address(deployment, members[0])
        assert "master" == role_of(deployment, members[0])[0]
        assert all(primary == ":".join(map(str, role_of(deployment, replica)[1:3])) for replica in members[1:])
    for host in SENTINELS:
        sentinel = sentinel_of(deployment, host, port + 1)
        found = {name: sentinel.watched(name) for name in DEPLOYMENTS.values()}
        watched = {name: sorted(f"{one}:{number}" for one, number in view.servers) for name, view in found.items() if view}
        assert {name: [address(deployment, server) for server in MEMBERS[name]] for name in REPLICATIONS} == watched
