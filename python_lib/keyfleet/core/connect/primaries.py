# SPDX-License-Identifier: MIT
"""Which servers stand behind a client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .redis_py import AnyClient


@dataclass(frozen=True)
class Primary:
    """
    One server.

    Attributes:
        address: ``host:port`` or ``unix:path``.
        client: A redis-py client that talks to this server only; it belongs to the client it came from, do not close it.
    """

    address: str
    client: Any = field(repr=False)


def primaries(client: AnyClient) -> list[Primary]:
    """
    Return the servers that together hold all keys: each primary of a cluster, else the one server.

    The primaries of a cluster are those that the client knows; it learns of changes when a command is redirected or fails.
    """
    if hasattr(client, "nodes_manager"):
        # By slots, not by get_primaries(): redis-py 4.3 keeps a node's old role after a failover.
        serving = {nodes[0].name: nodes[0] for nodes in client.nodes_manager.slots_cache.values()}
        return [Primary(name, client.get_redis_connection(serving[name])) for name in sorted(serving)]
    return [Primary(_address(client), client)]


def _address(client: Any) -> str:
    """Return where *client* connects to; behind Sentinel, the primary that was found last."""
    pool = client.connection_pool
    where = pool.connection_kwargs
    if "path" in where:
        return f"unix:{where['path']}"
    host, port = getattr(pool, "master_address", None) or (where.get("host"), where.get("port"))
    if host is None:
        host, port = pool.get_master_address()
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
