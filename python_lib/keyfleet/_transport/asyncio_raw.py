# SPDX-License-Identifier: MIT
"""redis-py's own asyncio client, for what keyfleet does not offer."""

from __future__ import annotations

from typing import Any

import redis
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
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


def connect_asyncio(settings: Settings) -> AnyClient:
    """Return a redis-py client for asyncio; replies are bytes, and it connects when it is first used."""
    check_files(settings)
    options: dict[str, Any] = {**connection_options(settings), "username": settings.username, "password": settings.password}
    if settings.tls:
        options.update(ssl=True, ssl_check_hostname=settings.tls_verify)
    if settings.cluster_nodes:
        nodes = [ClusterNode(host, port) for host, port in settings.cluster_nodes]
        return RedisCluster(startup_nodes=nodes, require_full_coverage=False, **options)
    options["db"] = settings.db
    if settings.sentinels:
        sentinel: Any = _NewestSentinel(list(settings.sentinels), sentinel_kwargs=sentinel_options(settings))  # type: ignore[no-untyped-call]
        return sentinel.master_for(settings.sentinel_service, **options)
    if settings.unix_socket:
        return Redis(unix_socket_path=settings.unix_socket, **options)
    return Redis(host=settings.host, port=settings.port, **options)
