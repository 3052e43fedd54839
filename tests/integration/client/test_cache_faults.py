# SPDX-License-Identifier: MIT
"""The cache when servers fail: callers get their values, and nothing old is served afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from keyfleet import Client, CredentialsError, DeniedError, OutcomeUnknown, Policy, ServerError, UnreachableError, WrongTypeError
from keyfleet.core.connect.client import close
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server
from support.caches import Loader, at_once
from support.capabilities import full, modest_user, replicated
from support.clients import OpenBoth, OpenClient
from support.targets import Target

ON_EVERY_SERVER = True
HOUR = 3600


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[FaultProxy]:
    """A proxy in front of the session's server."""
    with FaultProxy(redis_server) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy, open_client: OpenClient) -> Client:
    """A client through the proxy whose connection stands, and whose scripts the server knows."""
    client = open_client(proxy.settings(timeout_seconds=0.4, retry_delay_ms=10), Policy(breaker_failures=3))
    client.cache.get_or_set("warm", Loader(client), HOUR, tags=["warm"])
    return client


@pytest.mark.parametrize("command", ["GET", "PTTL", "EVALSHA"])
@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("silent", [False, True], ids=["closed", "unresponsive"])
def test_a_lost_reply_costs_no_second_load(open_client: OpenClient, proxy: FaultProxy, command: str, nth: int, silent: bool) -> None:
    """Of the read, of the lease, of the version of the tag or of the store: each is sent again, and knows its earlier attempt."""
    client = open_client(proxy.settings(timeout_seconds=2.0, retry_delay_ms=10))
    client.cache.get_or_set("warm", Loader(client), HOUR, tags=["warm"])
    fault = proxy.lose_reply(command, nth=nth, silent=silent)
    loader = Loader(client)
    assert [1, 1] == [client.cache.get_or_set("k", loader, HOUR, tags=["t"]) for _unused in range(2)]
    assert (1, 1) == (fault.hits, loader.runs)
    assert (0, 0) == (client.cache.stats.discarded, client.cache.stats.outages)


def test_a_server_that_is_down_is_loaded_without(client: Client, proxy: FaultProxy) -> None:
    """Callers that miss together still share a load; nothing else than the cache raises, and afterwards it works again."""
    proxy.refuse()
    proxy.close_connections()
    loader = Loader(client, seconds=1.0)  # longer than the slowest caller needs to give the server up
    assert [1] * 30 == at_once(30, lambda _number: client.cache.get_or_set("k", loader, HOUR))
    assert 2 == client.cache.get_or_set("k", loader, HOUR), "nothing was stored"
    with pytest.raises(UnreachableError):
        client.cache.get("k")
    with pytest.raises((UnreachableError, OutcomeUnknown)):
        client.cache.set("k", 1, HOUR)
    proxy.heal()
    client.wait_until_ready(10)
    assert [3, 3] == [client.cache.get_or_set("k", loader, HOUR) for _unused in range(2)]


def test_a_server_that_fails_while_a_value_is_loaded(client: Client, proxy: FaultProxy) -> None:
    """The caller gets the value; it is not stored."""

    def load(_run: int) -> str:
        proxy.refuse()
        proxy.close_connections()
        return "loaded"

    assert "loaded" == client.cache.get_or_set("k", Loader(client, load), HOUR)
    assert 1 == client.cache.stats.outages


def test_a_lease_whose_reply_never_came_is_given_back(client: Client, proxy: FaultProxy) -> None:
    """The caller loads without it, and no caller waits until it is over."""
    proxy.lose_reply("EVALSHA", times=2, silent=True)

    def load(_run: int) -> str:
        proxy.heal()
        proxy.close_connections()
        return "loaded"

    assert "loaded" == client.cache.get_or_set("k", Loader(client, load), HOUR)
    assert 2 == client.cache.get_or_set("k", Loader(client, lambda _run: 2), HOUR)
    assert 0 == client.cache.stats.waits


def test_a_full_server_serves_what_it_has(redis_server: Server, open_client: OpenClient) -> None:
    """Misses are loaded, once for the callers of one process, and not stored; an invalidation still works."""
    client = open_client(redis_server.settings())
    cache = client.cache
    cache.set("kept", 1, HOUR, tags=["t"])
    with full(redis_server):
        assert 1 == cache.get_or_set("kept", Loader(client, lambda _run: 2), HOUR, tags=["t"])
        loader = Loader(client, seconds=0.2)
        assert [1] * 20 == at_once(20, lambda _number: cache.get_or_set("k", loader, HOUR))
        with pytest.raises(ServerError, match="OOM"):
            cache.set("k", 1, HOUR)
        assert 1 == client.delete("kept")
        assert 3 == cache.get_or_set("kept", Loader(client, lambda _run: 3), HOUR)
    assert [2, 2] == [cache.get_or_set("k", loader, HOUR) for _unused in range(2)]


def test_mistakes_are_errors(password_server: Server, open_client: OpenClient) -> None:
    """A key of another type, a wrong password, a missing right: the loader would hide them."""
    raw = password_server.client()
    raw.lpush("list", 1)
    raw.execute_command("ACL", "SETUSER", "reader", "on", ">r", "~*", "+@read")
    client, loader = open_client(password_server.settings()), None
    loader = Loader(client)
    with pytest.raises(WrongTypeError):
        client.cache.get_or_set("list", loader, HOUR)
    for credentials, error in (({"password": "wrong"}, CredentialsError), ({"username": "reader", "password": "r"}, DeniedError)):
        with pytest.raises(error):
            open_client(password_server.settings(**credentials)).cache.get_or_set("k", loader, HOUR)
    assert 0 == loader.runs
    close(raw)


def test_a_user_with_few_rights_is_enough(target: Target, open_client: OpenClient) -> None:
    """On every topology."""
    with modest_user(target) as rights:
        client = open_client(target.settings(**rights))
        client.wait_until_ready(5.0)
        loader = Loader(client)
        assert [1, 1] == [client.cache.get_or_set("k", loader, HOUR, tags=["t", "u"]) for _unused in range(2)]
        client.cache.set("k", 5, HOUR, tags=["t"])
        assert 5 == client.cache.get("k")


def test_a_server_that_forgot_the_scripts_gets_them_again(redis_server: Server, open_client: OpenClient) -> None:
    """SCRIPT FLUSH or a restart costs one more round trip."""
    client, raw = open_client(redis_server.settings()), redis_server.client()
    for number in range(3):
        raw.script_flush()
        loader = Loader(client)
        assert [1, 1] == [client.cache.get_or_set(f"k{number}", loader, HOUR, tags=["t"]) for _unused in range(2)]
    close(raw)


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["sentinel", "cluster"])
def test_a_failover_raises_nothing(redis_factory: RedisFactory, open_both: OpenBoth, topology: Any) -> None:
    """What was replicated is served by the new primary, everything else is loaded."""
    target = replicated(redis_factory, topology)
    clients = open_both(target.settings(timeout_seconds=15.0, retry_delay_ms=10))
    for client in clients:
        client.cache.set("k", 1, HOUR, tags=["t"])
    target.wait_until_in_sync()
    target.kill_primary(*(["k"] if topology == "cluster" else []))
    for client in clients:
        loader = Loader(client, lambda _run: 2)
        assert [1] * 5 == [client.cache.get_or_set("k", loader, HOUR, tags=["t"]) for _unused in range(5)]
        assert 2 == client.cache.get_or_set(f"new{id(client)}", loader, HOUR, tags=["t"])
        assert (1, 0) == (loader.runs, client.cache.stats.outages)
