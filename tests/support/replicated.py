# SPDX-License-Identifier: MIT
"""Replications that the playbooks deploy on loopback: each host has an address of its own, 127.0.0.x."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import redis
from keyfleet.core.acl.model import ADMIN
from keyfleet.core.connect.settings import Settings
from keyfleet.testing._server import free_port

from support.playbooks import Deployment

__all__ = ["address", "admin_settings", "answers", "ask", "describe_replication", "pids", "roles"]

MOST_HOSTS = 6


def describe_replication(deployment: Deployment, count: int = 3, **variables: Any) -> int:
    """Let an inventory describe a replication with a server on each of its hosts, and return the port of all."""
    port = free_port(*[f"127.0.0.{number}" for number in range(1, MOST_HOSTS + 1)])
    deployment.variables = {"redis_topology": "replication", **variables}
    for number in range(1, MOST_HOSTS + 1):
        own = f"127.0.0.{number}"
        instance = {
            "name": "default",
            "port": port,
            "directives": {"bind-source-addr": own, "repl-diskless-sync-delay": 0, "appendonly": "yes"},
        }
        deployment.host_variables[f"node{number}"] = {"ansible_host": own, "redis_server_bind": [own], "redis_server_instances": [instance]}
    deployment.hosts = [f"node{number}" for number in range(1, count + 1)]
    return port


def admin_settings(deployment: Deployment, **changes: Any) -> Settings:
    """Return how keyfleet itself logs in."""
    secret = (deployment.inventory / ".keyfleet/redis/redis_server_admin_password").read_text(encoding="utf-8").strip()
    return Settings(**{"username": ADMIN, "password": secret, "timeout_seconds": 5.0, **changes})


def address(deployment: Deployment, host: str) -> str:
    """Return the address of the server of a host."""
    found = deployment.host_variables[host]
    return f"{found['ansible_host']}:{found['redis_server_instances'][0]['port']}"


def ask(deployment: Deployment, host: str, *command: Any, **options: Any) -> Any:
    """Run a command on the server of a host, as the user ``default``; *options* are of redis-py."""
    name, _unused, port = address(deployment, host).partition(":")
    with deployment.client(int(port), host=name, **options) as client:
        return client.execute_command(*command)


def roles(deployment: Deployment) -> dict[str, str]:
    """Return the address that the server of each host follows; empty for a primary, "?" for one that does not answer or is not in sync."""
    found = {}
    for host in deployment.hosts:
        role = ask(deployment, host, "ROLE")
        found[host] = "" if role[0] == "master" else f"{role[1]}:{role[2]}" if role[3] == "connected" else "?"
    return found


def answers(deployment: Deployment, hosts: Iterable[str]) -> bool:
    """Whether the servers of these hosts answer, have loaded their data and are in sync."""
    try:
        return all(ask(deployment, host, "PING") for host in hosts) and "?" not in roles(deployment).values()
    except redis.RedisError:
        return False


def pids(deployment: Deployment, kind: str = "server") -> dict[str, int]:
    """Return the process of the server on each host, or of its supervisor (kind ``runner``)."""
    found = {}
    for path in deployment.folder.glob("*/run/keyfleet/default/status.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get(f"{kind}_pid"):
            found[path.parts[-5]] = int(record[f"{kind}_pid"])
    return found
