# SPDX-License-Identifier: MIT
"""Refused credentials are not tried again, and a user who may do little can do what the client offers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from keyfleet import CredentialsError, DeniedError
from keyfleet.core.connect.client import close
from keyfleet.testing._replication import clients_of
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Cluster, Server
from support.capabilities import MODEST, modest_user
from support.clients import OpenClient
from support.targets import Target

pytestmark = [pytest.mark.floor, pytest.mark.slow]

CALLS = 20


@pytest.fixture
def proxy(password_server: Server) -> Iterator[FaultProxy]:
    """A proxy in front of a server with a password."""
    with FaultProxy(password_server) as proxy:
        yield proxy


@pytest.mark.parametrize("password", ["wrong", None])
def test_a_refused_password_is_tried_once(open_client: OpenClient, proxy: FaultProxy, password: str | None) -> None:
    """Trying again would only lock the account; there are seconds left to do so."""
    client = open_client(proxy.settings(password=password, timeout_seconds=5.0, retry_delay_ms=1))
    with pytest.raises(CredentialsError):
        client.get("k")
    assert (1, 0) == (proxy.total_connections, client.stats.retries)
    assert (password is not None) == proxy.commands["AUTH"]


@pytest.mark.parametrize("topology", ["redis_cluster", "redis_sentinel"])
def test_a_refused_password_is_tried_once_on_each_topology(request: pytest.FixtureRequest, open_client: OpenClient, topology: str) -> None:
    """The first node that refuses ends the call; others would refuse as well, and the account would be locked everywhere."""
    target = request.getfixturevalue(topology)
    servers = target.nodes if isinstance(target, Cluster) else target.servers
    with clients_of(servers) as clients:
        for client in clients:
            client.execute_command("ACL", "LOG", "RESET")
        client = open_client(target.settings(username="nobody", password="wrong", timeout_seconds=5.0, retry_delay_ms=1))
        with pytest.raises(CredentialsError):
            client.get("k")
        assert 1 == sum(entry["count"] for client in clients for entry in client.acl_log())


def test_a_password_that_changes_under_a_running_client(open_client: OpenClient, proxy: FaultProxy, password_server: Server) -> None:
    """Each call says so after one attempt; with the old password back, the same client works again."""
    client = open_client(proxy.settings(timeout_seconds=5.0, retry_delay_ms=1))
    client.set("k", "v")
    server = password_server.client()
    server.execute_command("ACL", "SETUSER", "default", "resetpass", ">another")
    assert "v" == client.get("k")  # who is in stays in
    proxy.close_connections()
    proxy.reset_counts()
    for _unused in range(CALLS):
        with pytest.raises(CredentialsError):
            client.get("k")
    assert CALLS == proxy.commands["AUTH"] == proxy.total_connections
    server.execute_command("ACL", "SETUSER", "default", "resetpass", f">{password_server.password}")
    assert "v" == client.get("k")
    close(server)


def test_a_user_without_dangerous_commands_is_enough(target: Target, open_client: OpenClient) -> None:
    """No KEYS, FLUSHDB, CONFIG, SCRIPT FLUSH, ROLE, INFO: calls of all kinds work on every topology."""
    with modest_user(target) as rights:
        client = open_client(target.settings(**rights, key_prefix="app:"))
        client.wait_until_ready(5.0)
        assert client.set("k", "v", ttl_seconds=100)
        assert "v" == client.get("k")
        assert [1, 2] == [client.incr("n", ttl_seconds=100), client.incr("n", ttl_seconds=100)]
        assert client.set_many({f"m{number}": number for number in range(20)})
        assert {"m1": "1", "m2": "2"} == client.get_many(["m1", "m2"])
        client.hset("h", {"f": 1})
        assert 3 == client.hincrby("h", "f", 2)
        assert 23 == len(list(client.scan()))
        assert 20 == client.delete(*[f"m{number}" for number in range(20)])
        assert ["h", "k", "n"] == sorted(client.scan("*"))


def test_a_command_that_the_user_may_not_use_is_named_at_once(open_client: OpenClient, redis_server: Server) -> None:
    """It is an answer: nothing is tried again."""
    with clients_of([redis_server]) as (server,):
        server.execute_command("ACL", "SETUSER", "app", "reset", *MODEST, "-incrby")
        client = open_client(redis_server.settings(username="app", password="modest"))
        with pytest.raises(DeniedError, match="incrby"):
            client.incr("n")
        assert 0 == client.stats.retries
        server.execute_command("ACL", "DELUSER", "app")
