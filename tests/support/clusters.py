# SPDX-License-Identifier: MIT
"""Clusters that the playbooks deploy on loopback: each host has an address of its own, 127.0.0.x."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from keyfleet.core.acl.model import ADMIN
from keyfleet.core.cluster.carry_out import disagreement
from keyfleet.core.cluster.observe import connect_nodes, read_state
from keyfleet.core.cluster.validation import parse_desired
from keyfleet.core.connect.client import close, connect
from keyfleet.core.connect.settings import Settings
from keyfleet.core.connect.values import split_address
from keyfleet.core.errors import ServerError
from keyfleet.testing._server import free_port, wait_until

from support.playbooks import Deployment

MOST_HOSTS = 8


def describe_cluster(deployment: Deployment, count: int = 6, each: int = 1, **variables: Any) -> None:
    """Let an inventory describe a cluster of *count* hosts with *each* nodes, which have the same ports on all hosts."""
    ports: dict[int, str] = {}
    while len(ports) < each:
        port = free_port(*[f"127.0.0.{number}" for number in range(1, MOST_HOSTS + 1)], bus=True)
        ports.setdefault(port, "default" if not ports else f"node{len(ports) + 1}")
    deployment.variables = {"redis_topology": "cluster", **variables}
    for number in range(1, MOST_HOSTS + 1):
        own = f"127.0.0.{number}"
        # Without it all nodes would reach each other from 127.0.0.1, and take themselves for one.
        directives = {"bind-source-addr": own, "cluster-node-timeout": 5000, "repl-diskless-sync-delay": 0}
        instances = [{"name": name, "port": port, "directives": dict(directives)} for port, name in ports.items()]
        deployment.host_variables[f"node{number}"] = {"ansible_host": own, "redis_server_bind": [own], "redis_server_instances": instances}
    deployment.hosts = [f"node{number}" for number in range(1, count + 1)]


def port_of(deployment: Deployment) -> int:
    """Return the port of all nodes."""
    return int(deployment.host_variables["node1"]["redis_server_instances"][0]["port"])


def admin_settings(deployment: Deployment) -> Settings:
    """Return how keyfleet itself logs in."""
    folder = deployment.inventory / ".keyfleet" / name_of(deployment)
    secret = (folder / "redis_server_admin_password").read_text(encoding="utf-8").strip()
    return Settings(username=ADMIN, password=secret, timeout_seconds=5.0)


def name_of(deployment: Deployment) -> str:
    """Return the name of the deployment."""
    return str(deployment.variables.get("redis_deployment", "redis"))


def addresses(deployment: Deployment) -> list[str]:
    """Return the addresses of all nodes of the inventory."""
    return [f"{deployment.host_variables[host]['ansible_host']}:{port_of(deployment)}" for host in deployment.hosts]


def shape(deployment: Deployment) -> dict[str, tuple[int, int]]:
    """Return the number of slots and of replicas of each primary, by its address."""
    desired = parse_desired([{"address": address} for address in addresses(deployment)])
    observed = connect_nodes(admin_settings(deployment), desired)
    try:
        state = read_state(observed, desired)
    finally:
        observed.close()
    replicas = Counter(node.primary for node in state.members.values())
    slots = Counter(owner for owner in state.owners if owner is not None)
    return {state.members[owner].address: (count, replicas[owner]) for owner, count in slots.items()}


def client_settings(deployment: Deployment) -> Settings:
    """Return the settings of an application."""
    nodes = tuple(map(split_address, addresses(deployment)))
    return Settings(cluster_nodes=nodes, password=deployment.password(name_of(deployment)), timeout_seconds=10.0)


def wait_until_whole(deployment: Deployment) -> None:
    """Wait until all nodes of the inventory are one cluster, and agree."""
    desired = parse_desired([{"address": address} for address in addresses(deployment)])

    def is_whole() -> bool:
        try:
            observed = connect_nodes(admin_settings(deployment), desired)
        except ServerError:
            return False
        try:
            return disagreement(list(observed.nodes.values())) == ""
        finally:
            observed.close()

    wait_until(is_whole, "the cluster to be whole", 60)


def run_on(deployment: Deployment, address: str, *command: Any) -> Any:
    """Run a command on a node, as the administrator."""
    host, port = split_address(address)
    client = connect(replace(admin_settings(deployment), host=host, port=port))
    try:
        return client.execute_command(*command)
    finally:
        close(client)


def pids(deployment: Deployment) -> dict[str, int]:
    """Return the process of the server on each host."""
    found = {}
    for path in deployment.folder.glob("*/run/keyfleet/default/status.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("server_pid"):
            found[path.parts[-5]] = int(record["server_pid"])
    return found
