# SPDX-License-Identifier: MIT
"""Clients of several servers, and whether replicas hold what their primaries hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from ..core.connect.client import close
from ..core.connect.redis_py import AnyClient
from ._server import Server


@contextmanager
def clients_of(servers: Sequence[Server]) -> Iterator[list[AnyClient]]:
    """Give a client for each of the *servers*, closed at the end."""
    with ExitStack() as opened:
        clients = []
        for server in servers:
            client = server.client(retry_attempts=0)
            opened.callback(close, client)
            clients.append(client)
        yield clients


def is_in_sync(clients: Sequence[AnyClient]) -> bool:
    """Say whether each replica among *clients* is connected to its primary among them and holds all that this held when asked."""
    infos = [client.info("replication") for client in clients]
    held = {info["master_replid"]: info["master_repl_offset"] for info in infos if info["role"] == "master"}
    replicas = [client.info("replication") for client, info in zip(clients, infos) if info["role"] != "master"]
    return all(
        info["role"] != "master"
        and info["master_link_status"] == "up"
        and info["master_replid"] in held
        and info["slave_repl_offset"] >= held[info["master_replid"]]
        for info in replicas
    )
