# SPDX-License-Identifier: MIT
"""A server that fails is given a pause: one call probes, those with time left wait for it, and the rest hear so immediately."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from keyfleet import BreakerOpenError, Client, Policy, RefusedError, Settings, UnreachableError
from keyfleet.testing._server import free_port
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Cluster, Server
from support.clients import OpenClient

pytestmark = pytest.mark.slow

FAILURES = 3
LONG_PAUSE = Policy(breaker_failures=FAILURES, breaker_seconds=2.0)
SHORT_PAUSE = Policy(breaker_failures=FAILURES, breaker_seconds=0.05)
HURRIED = 0.1


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[FaultProxy]:
    """A proxy in front of the session's server, where ``k`` is ``v``."""
    with redis_server.client() as raw:
        raw.set("k", "v")
    with FaultProxy(redis_server) as proxy:
        yield proxy


def open_the_breaker(client: Client, proxy: FaultProxy) -> BreakerOpenError:
    """Fail as often as the policy allows, and return what the next call hears."""
    proxy.black_hole()
    for number in range(FAILURES):
        assert number == client.stats.failures
        with pytest.raises(UnreachableError) as caught:
            client.get("k")
        assert UnreachableError is type(caught.value)
    with pytest.raises(BreakerOpenError) as refused:
        client.within(0.01).get("k")
    return refused.value


def test_calls_are_refused_without_an_attempt(open_client: OpenClient, proxy: FaultProxy) -> None:
    """Not one connection is made for a hundred calls, and the error says when to come again."""
    client = open_client(proxy.settings(timeout_seconds=HURRIED, retry_delay_ms=10), LONG_PAUSE)
    error = open_the_breaker(client, proxy)
    assert 0 < error.retry_after_seconds <= 2.0
    attempts, retries = proxy.total_connections, client.stats.retries
    for _unused in range(100):
        with pytest.raises(BreakerOpenError):
            client.set("k", "w")
    assert (attempts, retries) == (proxy.total_connections, client.stats.retries)
    assert (1, 1) == (client.stats.open_breakers, client.stats.breaker_opens)


def test_one_call_probes_and_heals(open_client: OpenClient, proxy: FaultProxy) -> None:
    """After the pause, the first call goes through."""
    client = open_client(proxy.settings(timeout_seconds=HURRIED, retry_delay_ms=10), SHORT_PAUSE)
    error = open_the_breaker(client, proxy)
    proxy.heal()
    time.sleep(error.retry_after_seconds)
    assert "v" == client.within(5.0).get("k")
    assert (0, 1) == (client.stats.open_breakers, client.stats.breaker_opens)
    assert "v" == client.get("k")


def test_only_one_of_many_probes(open_client: OpenClient, proxy: FaultProxy) -> None:
    """The server is still unresponsive: one caller of twenty waits for it, nineteen fail immediately."""
    policy = Policy(breaker_failures=FAILURES, breaker_seconds=0.5)
    client = open_client(proxy.settings(timeout_seconds=HURRIED, retry_delay_ms=10), policy)
    time.sleep(open_the_breaker(client, proxy).retry_after_seconds)
    heard: list[type[Exception]] = []

    def call() -> None:
        try:
            client.get("k")
        except UnreachableError as error:
            heard.append(type(error))

    threads = [threading.Thread(target=call) for _unused in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (1, 19) == (heard.count(UnreachableError), heard.count(BreakerOpenError))


def test_errors_of_the_server_open_nothing(open_client: OpenClient, proxy: FaultProxy) -> None:
    """An answer is an answer."""
    client = open_client(proxy.settings(), LONG_PAUSE)
    for _unused in range(2 * FAILURES):
        with pytest.raises(Exception, match="not an integer"):
            client.incr("k")
    assert (0, "v") == (client.stats.open_breakers, client.get("k"))


def test_it_can_be_switched_off(open_client: OpenClient, proxy: FaultProxy) -> None:
    """Then each call tries the server."""
    client = open_client(proxy.settings(timeout_seconds=HURRIED, retry_delay_ms=10), Policy(breaker_failures=0))
    proxy.black_hole()
    for number in range(10):
        with pytest.raises(UnreachableError) as caught:
            client.get("k")
        assert UnreachableError is type(caught.value), number
    assert proxy.total_connections > 2  # tasks share attempts to connect, and ten such calls last for several
    assert 0 == client.stats.open_breakers


def test_a_call_need_not_wait_for_a_connection(open_client: OpenClient) -> None:
    """With while_disconnected="fail" the first attempt is the only one, whatever time is left."""
    client = open_client(Settings(port=free_port("127.0.0.1"), timeout_seconds=20.0), Policy(while_disconnected="fail"))
    begun = time.monotonic()
    with pytest.raises(UnreachableError):
        client.get("k")
    assert time.monotonic() - begun < 10
    assert 0 == client.stats.retries


def test_a_connected_call_repeats_even_then(open_client: OpenClient, proxy: FaultProxy) -> None:
    """A connection that breaks is no lack of one, as long as the next can be made."""
    client = open_client(proxy.settings(), Policy(while_disconnected="fail"))
    fault = proxy.lose_reply("GET")
    assert "v" == client.get("k")
    assert 1 == fault.hits


def test_calls_with_little_time_say_nothing_about_the_server(open_client: OpenClient, redis_server: Server) -> None:
    """However many of them fail: the next call with its whole budget is answered."""
    client = open_client(redis_server.settings(timeout_seconds=2.0))
    client.set("k", "v")
    for _unused in range(20):
        with pytest.raises(UnreachableError):
            client.within(1e-6).get("k")
    assert ("v", 0) == (client.get("k"), client.stats.breaker_opens)


def test_a_short_stall_costs_no_call_that_has_time(open_client: OpenClient, redis_server: Server) -> None:
    """Twenty hurried calls fail in it, all others are answered, during and after it."""
    client = open_client(redis_server.settings(timeout_seconds=5.0))
    client.set("k", "v")
    redis_server.pause()
    with ThreadPoolExecutor(24) as pool:
        try:
            hurried = [pool.submit(client.within(0.03).get, "k") for _unused in range(20)]
            assert {UnreachableError} <= {type(call.exception(10)) for call in hurried}
            unhurried = [pool.submit(client.get, "k") for _unused in range(4)]
        finally:
            redis_server.resume()
        assert ["v"] * 4 == [call.result(10) for call in unhurried]
    assert ["v"] * 50 == [client.get("k") for _unused in range(50)]
    assert 0 == client.stats.breaker_opens


def test_calls_with_time_left_wait_for_the_probe(open_client: OpenClient, proxy: FaultProxy) -> None:
    """The breaker is open and the server is back: no caller hears of a pause that ends within the budget."""
    client = open_client(proxy.settings(timeout_seconds=HURRIED, retry_delay_ms=10), Policy(breaker_failures=FAILURES, breaker_seconds=0.5))
    open_the_breaker(client, proxy)
    proxy.heal()
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(client.within(20.0).get, "k") for _unused in range(20)]
        assert ["v"] * 20 == [call.result(30) for call in waiting]
    assert (0, 1) == (client.stats.open_breakers, client.stats.breaker_opens)


def test_a_pipeline_probes_as_one(open_client: OpenClient, proxy: FaultProxy) -> None:
    """All of its calls are sent, and not the first alone."""
    client = open_client(proxy.settings(timeout_seconds=HURRIED, retry_delay_ms=10), SHORT_PAUSE)
    open_the_breaker(client, proxy)
    proxy.heal()
    assert ["v", True, "w"] == client.within(20.0).pipeline().get("k").set("k", "w").get("k").execute()


def test_execute_without_a_key_on_a_cluster_is_one_clear_error(open_client: OpenClient, redis_cluster: Cluster) -> None:
    """Another node may serve the key; whatever the command is, later calls work."""
    client = open_client(redis_cluster.settings(timeout_seconds=20.0))
    client.ping()
    attempts = [f"k{number}" for number in range(20)]
    refused = 0
    for key in attempts:
        begun = time.monotonic()
        try:
            client.execute("SET", key, "v")
        except RefusedError as error:
            refused += 1
            assert "SET has a key, and none of its arguments is a Key" in str(error)
        assert time.monotonic() - begun < 10
    assert 0 < refused < len(attempts)
    assert (0, 0) == (client.stats.retries, client.stats.breaker_opens)
    assert None is client.get("other")
