# SPDX-License-Identifier: MIT
"""Rate limits when servers fail: what is admitted then is what the caller chose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from keyfleet import Client, CredentialsError, Limit, LocalShare, Policy, RateLimitedError, ServerError, UnreachableError, WrongTypeError
from keyfleet.core.connect.client import close
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server
from support.capabilities import full, modest_user, replicated
from support.clients import OpenBoth, OpenClient
from support.targets import Target

ON_EVERY_SERVER = True
DAY = 86400


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[FaultProxy]:
    """A proxy in front of the session's server."""
    with FaultProxy(redis_server) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy, open_client: OpenClient) -> Client:
    """A client through the proxy whose connection stands, and whose script the server knows."""
    client = open_client(proxy.settings(timeout_seconds=0.4, retry_delay_ms=10), Policy(breaker_failures=3))
    client.rate_limits.check("warm", 1, 1)
    return client


@pytest.mark.parametrize("silent", [False, True], ids=["closed", "unresponsive"])
def test_a_check_whose_reply_was_lost_counts_at_most_twice(client: Client, proxy: FaultProxy, silent: bool) -> None:
    """It is sent again, so that the caller gets an answer; never more than the limit is admitted."""
    fault = proxy.lose_reply("EVALSHA", silent=silent)
    result = client.rate_limits.check("a", 10, DAY)
    assert (1, True, 8, "server") == (fault.hits, result.allowed, result.remaining, result.source)
    assert 8 == sum(client.rate_limits.check("a", 10, DAY).allowed for _unused in range(20))


def test_a_server_that_is_down_is_what_the_caller_says(client: Client, proxy: FaultProxy) -> None:
    """The result says that it is not the server's; afterwards the server decides again."""
    limits = client.rate_limits
    proxy.refuse()
    proxy.close_connections()
    with pytest.raises(UnreachableError):
        limits.check("a", 5, DAY)
    assert (True, "policy") == (lambda result: (result.allowed, result.source))(limits.check("a", 5, DAY, on_outage="allow"))
    refused = limits.check_all("a", [Limit(5, DAY), Limit(60, 60)], on_outage="refuse")
    assert (False, "policy", 5, 1.0) == (refused.allowed, refused.source, refused.limit, refused.retry_after_seconds)
    for _unused in range(5):
        limits.check("a", 5, DAY, on_outage="refuse")
    before = proxy.total_connections
    assert "policy" == limits.check("a", 5, DAY, on_outage="allow").source
    assert client.stats.open_breakers == 1
    assert proxy.total_connections - before <= 1
    proxy.heal()
    client.wait_until_ready(10)
    result = client.rate_limits.check("a", 5, DAY, on_outage="refuse")
    assert ("server", True, 4) == (result.source, result.allowed, result.remaining)


def test_each_process_admits_its_share_while_the_server_is_down(proxy: FaultProxy, open_client: OpenClient) -> None:
    """Four clients with a quarter each admit the limit together; afterwards the server, which has not counted, decides again."""
    clients = [open_client(proxy.settings(timeout_seconds=0.4, retry_delay_ms=10), Policy(breaker_failures=1)) for _unused in range(4)]
    several = [Limit(100, DAY), Limit(1000, DAY, "fixed")]
    for client in clients:
        client.rate_limits.check("warm", 1, 1)
    proxy.refuse()
    proxy.close_connections()
    results = [client.rate_limits.check_all("a", several, on_outage=LocalShare(1 / 4)) for client in clients for _unused in range(60)]
    assert (100, {"share"}) == (sum(result.allowed for result in results), {result.source for result in results})
    assert [(25, 35)] * 4 == [(stats.allowed_in_outage, stats.refused_in_outage) for stats in [it.rate_limits.stats for it in clients]]
    assert not clients[0].within(0.2).rate_limits.check_all("a", several, on_outage=LocalShare(1 / 4)), "one budget for all of a client"
    proxy.heal()
    clients[0].wait_until_ready(10)
    result = clients[0].rate_limits.check("a", 100, DAY, on_outage=LocalShare(1 / 4))
    assert ("server", True, 99) == (result.source, result.allowed, result.remaining)


def test_a_decorated_function_keeps_to_the_share(redis_server: Server) -> None:
    """And says when to come back."""
    with FaultProxy(redis_server) as proxy, Client.from_settings(proxy.settings(timeout_seconds=0.2)) as client:
        proxy.refuse()

        @client.rate_limits.limited(4, DAY, id="report", on_outage=LocalShare(0.5))
        def report() -> int:
            return 1

        assert [1, 1] == [report(), report()]
        with pytest.raises(RateLimitedError) as caught:
            report()
        assert DAY / 2 - 60 < caught.value.retry_after_seconds <= DAY / 2
        with pytest.raises(ValueError, match="on_outage is 'open'"):
            client.rate_limits.limited(4, DAY, id="report", on_outage="open")  # type: ignore[arg-type]


def test_a_full_server_is_as_one_that_is_down(redis_server: Server, open_client: OpenClient) -> None:
    """It cannot count; a refusal of the limit itself is still known, since that writes nothing."""
    client = open_client(redis_server.settings())
    client.rate_limits.check("used", 1, DAY)
    with full(redis_server):
        with pytest.raises(ServerError, match="OOM"):
            client.rate_limits.check("a", 5, DAY)
        choices: list[Any] = ["allow", "refuse", LocalShare(1)]
        assert ["policy", "policy", "share"] == [client.rate_limits.check("a", 5, DAY, on_outage=what).source for what in choices]
    assert ("server", 4) == (lambda result: (result.source, result.remaining))(client.rate_limits.check("a", 5, DAY))


def test_mistakes_are_errors_whatever_the_policy(password_server: Server, open_client: OpenClient) -> None:
    """A wrong password or a key of another type is no outage."""
    raw = password_server.client()
    raw.lpush(f"ratelimit:{{a}}:gcra:{DAY}000000", 1)
    close(raw)
    client = open_client(password_server.settings())
    with pytest.raises(WrongTypeError):
        client.rate_limits.check("a", 5, DAY, on_outage="allow")
    wrong = open_client(password_server.settings(password="wrong"))
    with pytest.raises(CredentialsError):
        wrong.rate_limits.check("a", 5, DAY, on_outage="allow")


def test_a_user_with_few_rights_is_enough(target: Target, open_client: OpenClient) -> None:
    """On every topology, also when the server has forgotten the script."""
    with modest_user(target) as rights:
        client = open_client(target.settings(**rights))
        client.wait_until_ready(5.0)
        assert client.rate_limits.check("a", 2, DAY)
        assert client.rate_limits.check_all("a", [Limit(2, DAY), Limit(9, DAY, "sliding")])
        assert not client.rate_limits.check("a", 2, DAY)
        assert client.rate_limits.reset("a", 2, DAY)


def test_a_server_that_forgot_the_script_gets_it_again(redis_server: Server, open_client: OpenClient) -> None:
    """SCRIPT FLUSH or a restart costs one more round trip."""
    client, raw = open_client(redis_server.settings()), redis_server.client()
    client.rate_limits.check("a", 5, DAY)
    raw.script_flush()
    close(raw)
    assert [3, 2] == [client.rate_limits.check("a", 5, DAY).remaining for _unused in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["sentinel", "cluster"])
def test_a_failover_raises_nothing_and_admits_no_more(redis_factory: RedisFactory, open_both: OpenBoth, topology: Any) -> None:
    """What was replicated is counted; callers with ten seconds see no error."""
    target = replicated(redis_factory, topology)
    clients = open_both(target.settings(timeout_seconds=15.0, retry_delay_ms=10))
    for client in clients:
        assert client.rate_limits.check("a", 100, DAY, cost=20)
    target.wait_until_in_sync()
    target.kill_primary(*(["ratelimit:{a}:x"] if topology == "cluster" else []))
    admitted = sum(client.rate_limits.check("a", 100, DAY, local_refusals=False).allowed for client in clients for _unused in range(60))
    assert 58 <= admitted <= 60, "a lost reply counts twice"
