# SPDX-License-Identifier: MIT
"""A fault proxy in front of each node of a cluster."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any

from ..core.connect.client import connect
from ..core.connect.redis_py import AnyClient
from ..core.connect.settings import Settings
from ._cluster import Cluster
from ._proxy import FaultProxy
from ._replication import clients_of
from ._server import Server, wait_until


class ClusterProxies:
    """
    Proxies that the nodes announce as themselves, so that clients that ask the cluster come to them; a context manager.

        with ClusterProxies(redis_cluster) as proxies, Client.from_settings(proxies.settings()) as client:
            proxies.of(redis_cluster.primary_of("k")).lose_reply("GET k")

    It takes a second to come and one to go. Replicas replicate through the proxies, too; nodes that are added later have none.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._proxies: dict[Server, FaultProxy] = {}
        self._started = ExitStack()

    def __enter__(self) -> ClusterProxies:
        with ExitStack() as undo:
            undo.callback(self._started.close)
            for node in self._cluster.nodes:
                self._proxies[node] = self._started.enter_context(FaultProxy(node, host=node.host))
            self._announce({node: proxy.port for node, proxy in self._proxies.items()})
            self._cluster.wait_until_in_sync()
            undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._started:
            answering = [node for node in self._proxies if node.is_running() and not node.is_paused()]
            self._announce(dict.fromkeys(answering, 0))
            if len(answering) == len(self._proxies):  # else the test may have left shards without a server
                self._cluster.wait_until_in_sync()

    def of(self, node: Server) -> FaultProxy:
        """Return the proxy in front of *node*."""
        return self._proxies[node]

    def settings(self, **changes: Any) -> Settings:
        """Return settings that name all proxies, with *changes* to single fields."""
        return self._cluster.settings(cluster_nodes=tuple((proxy.host, proxy.port) for proxy in self._proxies.values()), **changes)

    def client(self, **changes: Any) -> AnyClient:
        """Return a new redis-py cluster client that talks through the proxies, with replies as bytes; the caller closes it."""
        return connect(self.settings(**changes))

    def _announce(self, ports: dict[Server, int]) -> None:
        """Let each node report this port as its own, 0 for its true one, and wait until all know."""
        reported = {(node.host, port or node.port) for node, port in ports.items()}
        with clients_of(list(ports)) as clients:
            for client, port in zip(clients, ports.values()):
                client.config_set("cluster-announce-port", port)
            wait_until(lambda: all(reported <= _addresses(client) for client in clients), "the nodes to know the new ports", 30.0)


def _addresses(client: AnyClient) -> set[tuple[str, int]]:
    return {(node[0].decode(), node[1]) for shard in client.execute_command("CLUSTER", "SLOTS") for node in shard[2:]}
