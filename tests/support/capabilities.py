# SPDX-License-Identifier: MIT
"""What every capability is tried with: servers that are full, users with few rights, deployments that fail over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Union

from keyfleet.core.connect.client import close
from keyfleet.testing._replication import clients_of
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.servers import Cluster, SentinelGroup, Server

from .managed import Managed

Deployment = Union[Server, Cluster, SentinelGroup, Managed]
# The user of an application: all keys, no command that walks over all of them or changes the server.
MODEST = ["on", ">modest", "~*", "&*", "+@all", "-@dangerous", "-@admin", "-keys", "-flushdb", "-flushall", "-script|flush", "-config"]


def servers_of(target: Deployment) -> Sequence[Server]:
    """Return the servers that hold the data of *target*."""
    if isinstance(target, Server):
        return [target]
    return target.servers if isinstance(target, SentinelGroup) else target.nodes


def shard_count(target: Deployment) -> int:
    """Return how many primaries hold the data of *target*."""
    return 3 if isinstance(target, Cluster) or (isinstance(target, Managed) and target.shape == "enabled") else 1


@contextmanager
def modest_user(target: Deployment) -> Iterator[dict[str, Any]]:
    """Give the settings of a user without @dangerous, KEYS, FLUSHDB and SCRIPT FLUSH."""
    with clients_of(servers_of(target)) as servers:
        for server in servers:
            server.execute_command("ACL", "SETUSER", "modest", "reset", *MODEST)
        try:
            yield {"username": "modest", "password": "modest"}
        finally:
            for server in servers:
                server.execute_command("ACL", "DELUSER", "modest")


@contextmanager
def full(server: Server) -> Iterator[None]:
    """Let *server* refuse every write, as maxmemory with noeviction does when it is used up."""
    raw = server.client()
    raw.config_set("maxmemory-policy", "noeviction")
    raw.config_set("maxmemory", 1)
    try:
        yield
    finally:
        raw.config_set("maxmemory", 0)
        close(raw)


def replicated(factory: RedisFactory, topology: str) -> Any:
    """Return a deployment of *topology*, ``sentinel`` or ``cluster``, that fails over within a second or two."""
    if topology == "sentinel":
        return factory.sentinel(down_after_ms=500)
    return factory.cluster(shards=3, replicas=1, directives={"cluster-node-timeout": 500})
