# SPDX-License-Identifier: MIT
"""redis-py's own asyncio client, for what keyfleet does not offer."""

from __future__ import annotations

from typing import Any

import redis
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import Sentinel

from ..core.connect.client import connection_options, sentinel_options
from ..core.connect.redis_py import AnyClient
from ..core.connect.settings import Settings
from ..core.connect.sources import Votes
from ..core.connect.tls import check_files


class _NewestSentinel(Sentinel):
    """Believes the newest epoch of what most Sentinels say, and not the first that answers."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        votes = Votes(service_name, len(self.sentinels))
        for sentinel in self.sentinels:
            try:
                known: Any = await sentinel.sentinel_masters()
                state = known.get(service_name)
            except (redis.ConnectionError, redis.TimeoutError):
                continue
            if votes.add(state, state is not None and self.check_master_state(state, service_name)):
                break
        return votes.winner()


def _named(settings: Settings) -> type[SSLConnection]:
    """Return the connections of redis-py that verify the name of the settings in place of the host, if there is one."""
    name = settings.tls_server_name
    if not name:
        return SSLConnection

    class Named(SSLConnection):
        def _connection_arguments(self) -> Any:
            return {**super()._connection_arguments(), "server_hostname": name}

    return Named


def connect_asyncio(settings: Settings) -> AnyClient:
    """Return a redis-py client for asyncio; replies are bytes, and it connects when it is first used."""
    check_files(settings)
    options: dict[str, Any] = {**connection_options(settings), "username": settings.username, "password": settings.password}
    if settings.tls:
        options.update(ssl=True, ssl_check_hostname=settings.tls_verify)
    connections = _named(settings)
    if settings.cluster_nodes:
        nodes = [ClusterNode(host, port) for host, port in settings.cluster_nodes]
        cluster: Any = RedisCluster(startup_nodes=nodes, require_full_coverage=False, **options)
        if settings.tls:  # nodes that are discovered are made from these options, those that are named were
            cluster.connection_kwargs["connection_class"] = connections
            for node in cluster.nodes_manager.startup_nodes.values():
                node.connection_class = connections
        return cluster
    options["db"] = settings.db
    if settings.sentinels:
        sentinel: Any = _NewestSentinel(list(settings.sentinels), sentinel_kwargs=sentinel_options(settings))  # type: ignore[no-untyped-call]
        primary: Any = sentinel.master_for(settings.sentinel_service, **options)
        if settings.tls and settings.tls_server_name:
            for one in sentinel.sentinels:
                one.connection_pool.connection_class = connections
            managed = primary.connection_pool.connection_class
            primary.connection_pool.connection_class = type("NamedManaged", (managed, connections), {})
        return primary
    if settings.unix_socket:
        return Redis(unix_socket_path=settings.unix_socket, **options)
    client = Redis(host=settings.host, port=settings.port, **options)
    if settings.tls:
        client.connection_pool.connection_class = connections
    return client
