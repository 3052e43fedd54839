# SPDX-License-Identifier: MIT
"""
A name that leads elsewhere later, as the endpoints of managed services do.

The resolver of the machine is not touched: in this process, one name is answered by the test, where redis-py and asyncio ask.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest
from keyfleet import Client
from keyfleet.testing._replication import clients_of, is_in_sync
from keyfleet.testing._server import free_port, wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.servers import Server
from support.clients import OpenClient
from support.load import Load

pytestmark = pytest.mark.slow

NAME = "endpoint.example.com"
ADDRESSES = "127.0.0.1", "127.0.0.2"


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What NAME leads to: a list of one address, which the test changes."""
    answer, resolve = [ADDRESSES[0]], socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: resolve(answer[0] if host == NAME else host, *rest, **more))
    return answer


@pytest.fixture
def servers(redis_factory: RedisFactory) -> list[Server]:
    """A server and its replica, with the same port at two addresses."""
    port = free_port(*ADDRESSES)
    lines: dict[str, Any] = {"repl-diskless-sync-delay": 0, "repl-ping-replica-period": 1, "protected-mode": "no"}
    first = redis_factory.server(host=ADDRESSES[0], port=port, directives=lines)
    follows = {"replicaof": f"{first.host} {port}", "replica-announce-ip": ADDRESSES[1]}
    second = redis_factory.server(host=ADDRESSES[1], port=port, directives={**lines, **follows})
    return [first, second]


def work_through(client: Client, move: Any) -> Load:
    """Count with several callers while *move* does what it does; return the load."""
    with Load([lambda number: client.set("k", number)] * 4) as load:
        load.go_on()
        move()
        load.go_on()
    return load


def test_the_old_server_becomes_a_replica(name: list[str], servers: list[Server], open_client: OpenClient) -> None:
    """Connections to it stay open; its READONLY makes the client ask for the name again."""
    client = open_client(servers[0].settings(host=NAME, timeout_seconds=10.0, retry_delay_ms=10))
    with clients_of(servers) as (old, new):
        wait_until(lambda: is_in_sync([old, new]), "the replica to be in sync")

        def move() -> None:
            old.execute_command("FAILOVER", "TIMEOUT", 5000)
            wait_until(lambda: bool(new.info("replication")["role"] == "master"), "the replica to be promoted")
            name[0] = ADDRESSES[1]

        assert [] == work_through(client, move).errors
        assert new.dbsize() == 1


def test_the_old_server_dies(name: list[str], servers: list[Server], open_client: OpenClient) -> None:
    """Whoever connects anew comes to the new one."""
    client = open_client(servers[0].settings(host=NAME, timeout_seconds=10.0, retry_delay_ms=10))
    with clients_of(servers) as (_old, new):

        def move() -> None:
            servers[0].kill()
            new.execute_command("REPLICAOF", "NO", "ONE")
            name[0] = ADDRESSES[1]

        assert [] == work_through(client, move).errors
        assert new.get("k") is not None
