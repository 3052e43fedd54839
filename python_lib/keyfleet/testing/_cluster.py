# SPDX-License-Identifier: MIT
"""A Redis or Valkey Cluster of child processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from ..core.connection import AnyClient, close, connect
from ..core.settings import Settings
from ._server import Directives, Server, free_port, start_server, wait_until

SLOTS = 16384


class Cluster:
    """
    A running cluster; a context manager that stops it.

    Attributes:
        nodes: All servers, the primaries first, as created; a failover changes roles, not this list.
        password: Password of the default user, None without one.
    """

    def __init__(self, nodes: list[Server], password: str | None) -> None:
        self.nodes, self.password = nodes, password

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def settings(self, **changes: Any) -> Settings:
        """Return settings that name all nodes, with *changes* to single fields."""
        nodes = tuple((node.host, node.port) for node in self.nodes)
        return Settings(**{"cluster_nodes": nodes, "password": self.password, **changes})

    def client(self, **changes: Any) -> AnyClient:
        """Return a new redis-py cluster client with replies as bytes; the caller closes it."""
        return connect(self.settings(**changes))

    def stop(self) -> None:
        """Stop all nodes."""
        for node in self.nodes:
            node.kill()


def start_cluster(
    directory: Path | str,
    shards: int = 3,
    replicas: int = 0,
    password: str | None = None,
    *,
    engine: str = "redis",
    directives: Directives | None = None,
) -> Cluster:
    """
    Start a cluster on 127.0.0.1, 127.0.0.2 … with one port, and wait until every node sees all of it.

    Args:
        directory: Folder for the files of all nodes.
        shards, replicas: Number of primaries, and of replicas for each of them.
        password: Password of the default user on every node.
        engine, directives: As for `start_server`.
    Raises:
        ServerStartError: if a binary is missing or the cluster does not form in time.
    """
    hosts = [f"127.0.0.{number}" for number in range(1, shards * (replicas + 1) + 1)]
    port = free_port(*hosts, bus=True)
    with ExitStack() as undo:
        nodes = []
        for host in hosts:
            ours: dict[str, str | int] = {
                "cluster-enabled": "yes",
                "cluster-node-timeout": 2000,
                "bind-source-addr": host,  # without it all bus connections come from 127.0.0.1 and the nodes never meet
                "replica-announce-ip": host,
                "repl-diskless-sync-delay": 0,
                "repl-ping-replica-period": 1,  # a replica is listed once its offset has moved, which this ping does
                "protected-mode": "no",  # takes 127.0.0.2 for a stranger, and nothing else can reach a loopback address
            }
            folder = Path(directory) / host
            node = start_server(folder, engine=engine, password=password, directives={**ours, **(directives or {})}, host=host, port=port)
            nodes.append(undo.enter_context(node))
        cluster = Cluster(nodes, password)
        _form(cluster, shards)
        undo.pop_all()
    return cluster


def _form(cluster: Cluster, shards: int) -> None:
    """Give out the slots, introduce the nodes, attach the replicas, and wait until all agree."""
    with _clients(cluster) as clients:
        for number, client in enumerate(clients[:shards]):
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            slots = range(SLOTS * number // shards, SLOTS * (number + 1) // shards)
            client.execute_command("CLUSTER", "ADDSLOTS", *slots)
        for client in clients:  # everyone to everyone: waiting for gossip takes longer
            for node in cluster.nodes:
                client.execute_command("CLUSTER", "MEET", node.host, node.port)
        wait_until(lambda: all(_knows(client, len(clients)) for client in clients), "the cluster's nodes to meet")
        for number, client in enumerate(clients[shards:]):
            client.execute_command("CLUSTER", "REPLICATE", clients[number % shards].execute_command("CLUSTER", "MYID"))
        everyone = {node.host for node in cluster.nodes}
        wait_until(lambda: all(_agrees(client, everyone) for client in clients), "the cluster's nodes to agree", 30.0)


@contextmanager
def _clients(cluster: Cluster) -> Iterator[list[AnyClient]]:
    clients = [node.client() for node in cluster.nodes]
    try:
        yield clients
    finally:
        for client in clients:
            close(client)


def _lines(client: AnyClient) -> list[list[str]]:
    """Return the words of each line of CLUSTER NODES: id, address, flags, primary, three numbers, link, slots."""
    return [line.split() for line in client.execute_command("CLUSTER", "NODES").decode().splitlines()]


def _knows(client: AnyClient, count: int) -> bool:
    """Say whether the node is connected to *count* nodes, itself included."""
    lines = [words for words in _lines(client) if "handshake" not in words[2] and words[7] == "connected"]
    return len(lines) == count


def _agrees(client: AnyClient, hosts: set[str]) -> bool:
    """Say whether the node sees all slots served, and each host as a primary or as a replica that is in sync."""
    info = client.execute_command("CLUSTER", "INFO").decode()
    listed = {node[0].decode() for shard in client.execute_command("CLUSTER", "SLOTS") for node in shard[2:]}
    return "cluster_state:ok" in info and f"cluster_slots_ok:{SLOTS}" in info and listed == hosts
