# SPDX-License-Identifier: MIT
"""What Client and AsyncClient count, exactly, and how calls fall back while a server is away."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import pytest
from keyfleet import BreakerOpenError, Client, CredentialsError, KeyfleetError, OutcomeUnknown, Policy, Stats, UnreachableError
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server
from support.clients import OpenClient
from support.targets import Target

QUICK = {"timeout_seconds": 0.4, "retry_delay_ms": 10}
FALLBACK = Policy(on_error="fallback", while_disconnected="fail", breaker_failures=0)
AT_ONCE = Policy(while_disconnected="fail", breaker_failures=0)


def counts(client: Client) -> dict[str, int]:
    """Return all counters that are not 0."""
    return {name: count for name, count in asdict(client.stats).items() if count}


@pytest.fixture
def proxy(redis_server: Server, redis_factory: RedisFactory) -> FaultProxy:
    """A proxy in front of an empty server."""
    return redis_factory.proxy(redis_server)


@pytest.fixture
def small_switches() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


# Counters


def test_calls_are_what_the_application_made(either: Client, target: Target) -> None:
    """One for each, whatever it sends and to how many servers."""
    assert Stats() == either.stats
    made: list[Any] = [
        either.set("a", 1),
        either.get("a"),
        either.incr("a"),
        either.set_many({f"k{number}": "v" for number in range(2500)}),
        either.get_many([f"k{number}" for number in range(2500)]),
        either.delete("a", "k1", "k2"),
        either.ping(),
        list(either.scan()),
        either.info(),
        either.health(),
        either.slow_log(),
        either.memory_by_prefix(10),
    ]
    assert (len(made), 0, 0, 0, 0) == (
        either.stats.calls,
        either.stats.retries,
        either.stats.failures,
        either.stats.fallbacks,
        either.stats.breaker_opens,
    )


@pytest.mark.usefixtures("small_switches")
def test_no_call_of_many_threads_is_lost(redis_server: Server, open_client: OpenClient) -> None:
    """8 times 500 calls are 4000, and the server has run each of them."""
    client = open_client(redis_server.settings(timeout_seconds=20))
    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(lambda: [client.incr("n") for _unused in range(500)]) for _thread in range(8)]:
            done.result()
    assert (4000, "4000") == (client.stats.calls, client.get("n"))
    assert 0 == client.stats.failures + client.stats.retries
    assert client.stats.connections == client.stats.connections_opened <= 8


@pytest.mark.usefixtures("small_switches")
def test_no_failure_of_many_threads_is_lost(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Each call is one failure and one fallback."""
    server = redis_factory.server()
    client = open_client(server.settings(), FALLBACK)
    server.stop()
    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(lambda: [client.get("k") for _unused in range(50)]) for _thread in range(8)]:
            assert [None] * 50 == done.result()
    assert {"calls": 400, "failures": 400, "fallbacks": 400} == counts(client)


def test_an_error_of_the_server_is_no_failure(redis_server: Server, password_server: Server, open_client: OpenClient) -> None:
    """Nor a fallback, nor retried: the server was reached."""
    client = open_client(redis_server.settings(), FALLBACK)
    client.set("k", "text")
    for _unused in range(3):
        with pytest.raises(KeyfleetError, match="not an integer"):
            client.incr("k")
    assert {"calls": 4, "connections_opened": 1, "connections": 1} == counts(client)
    refused = open_client(password_server.settings(password="wrong"), FALLBACK)
    with pytest.raises(CredentialsError):
        refused.get("k")
    assert {"calls": 1} == counts(refused)


def test_each_further_attempt_is_a_retry(proxy: FaultProxy, open_client: OpenClient) -> None:
    """A lost reply costs one, and a new connection."""
    client = open_client(proxy.settings(timeout_seconds=10, retry_delay_ms=1))
    client.set("k", "v")
    fault = proxy.lose_reply("GET", times=2)
    assert "v" == client.get("k")
    assert 2 == fault.hits
    assert {"calls": 2, "retries": 2, "connections_opened": 3, "connections": 1} == counts(client)


def test_what_may_have_run_is_a_failure_without_a_retry(proxy: FaultProxy, open_client: OpenClient) -> None:
    """The reply of incr is lost: it is not sent again."""
    client = open_client(proxy.settings())
    client.ping()
    proxy.lose_reply("INCRBY")
    with pytest.raises(OutcomeUnknown):
        client.incr("n")
    assert {"calls": 2, "failures": 1, "connections_opened": 1} == counts(client)


def test_the_breaker_opens_once_for_an_outage(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Calls that it refuses are failures, and no attempts; it is closed by the first call that succeeds."""
    server = redis_factory.server()
    policy = Policy(while_disconnected="fail", breaker_failures=3, breaker_seconds=2.0)
    client = open_client(server.settings(**QUICK), policy)
    server.stop()
    errors = []
    for _unused in range(10):
        with pytest.raises(UnreachableError) as caught:
            client.get("k")
        errors.append(type(caught.value))
    assert [UnreachableError] * 3 + [BreakerOpenError] * 7 == errors
    assert {"calls": 10, "failures": 10, "breaker_opens": 1, "open_breakers": 1} == counts(client)
    server.start()

    def answers() -> bool:
        try:
            return client.get("k") is None
        except BreakerOpenError:
            return False

    wait_until(answers, "the pause to end")
    assert (1, 0) == (client.stats.breaker_opens, client.stats.open_breakers)


def test_each_wait_for_a_connection_is_counted(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """One connection is in use, three calls that need one wait, each once."""
    server = redis_factory.server()
    client = open_client(server.settings(timeout_seconds=30), Policy(max_blocking_connections=1))
    with ThreadPoolExecutor(4) as threads, Client.from_settings(server.settings()) as other:
        popped = [threads.submit(client.blpop, "queue", timeout_seconds=60) for _unused in range(4)]
        wait_until(lambda: client.stats.waits == 3, "three calls to wait")
        for number in range(4):
            other.rpush("queue", number)
        assert {("queue", str(number)) for number in range(4)} == {done.result() for done in popped}
    assert (4, 0, 1) == (client.stats.calls, client.stats.failures, client.stats.connections_opened)
    assert 3 <= client.stats.waits


def test_a_client_with_another_budget_counts_with_the_first(proxy: FaultProxy, open_client: OpenClient) -> None:
    """Counters belong to what was opened."""
    client = open_client(proxy.settings(), AT_ONCE)
    client.within(5).set("k", "v")
    proxy.refuse()
    proxy.close_connections()
    with pytest.raises(UnreachableError):
        client.within(0.5).incr("n")
    assert (2, 1) == (client.stats.calls, client.stats.failures)
    assert asdict(client.stats) == asdict(client.within(1).stats)


# Falling back


def fall_back(client: Client) -> dict[str, Any]:
    """Make one call of each kind that falls back and return what they answer."""
    return {
        "get": client.get("k"),
        "set": client.set("k", "v"),
        "delete": client.delete("k"),
        "delete many": client.delete("k", "l"),
        "exists": client.exists("k"),
        "get_json": client.get_json("k", default="d"),
        "set_json": client.set_json("k", 1),
        "get_many": client.get_many(["k", "l"]),
        "set_many": client.set_many({"k": 1, "l": 2}),
        "expire": client.expire("k", 10),
        "ttl": client.ttl("k"),
        "hgetall": client.hgetall("h"),
        "hget": client.hget("h", "f"),
        "hset": client.hset("h", {"f": 1}),
        "hdel": client.hdel("h", "f"),
    }


EMPTY = {
    "get": None,
    "set": False,
    "delete": 0,
    "delete many": 0,
    "exists": 0,
    "get_json": "d",
    "set_json": False,
    "get_many": {"k": None, "l": None},
    "set_many": False,
    "expire": False,
    "ttl": None,
    "hgetall": {},
    "hget": None,
    "hset": 0,
    "hdel": 0,
}


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what keyfleet has logged."""
    assert {logging.WARNING} >= {record.levelno for record in caplog.records}
    return [record.getMessage() for record in caplog.records if record.name == "keyfleet"]


def test_calls_fall_back_to_the_answers_of_an_empty_server(
    redis_factory: RedisFactory, open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Counted each time, logged once for an outage, and once when it is over; the next outage is another one."""
    server = redis_factory.server()
    client = open_client(server.settings(), FALLBACK)
    for outage in (1, 2):
        client.set("k", "before")
        server.stop()
        caplog.clear()
        assert EMPTY == fall_back(client)
        assert outage * len(EMPTY) == client.stats.fallbacks == client.stats.failures
        (begun,) = messages(caplog)
        assert "calls fall back until it answers" in begun
        assert f"{server.host}:{server.port}" in begun
        server.start()
        assert client.get("k") is None  # nothing is saved on disk
        client.get("k")
        (_unused, ended) = messages(caplog)
        assert f"answers again; {outage * len(EMPTY)} calls fell back so far" in ended


def test_what_has_no_empty_answer_raises(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """A count that was not counted would be a lie, and so would be a list that was not scanned."""
    server = redis_factory.server()
    client = open_client(server.settings(), FALLBACK)
    server.stop()
    calls: list[Callable[[], object]] = [
        lambda: client.incr("n"),
        lambda: client.hincrby("h", "f"),
        client.ping,
        lambda: list(client.scan()),
        client.info,
        client.slow_log,
        client.memory_by_prefix,
    ]
    for call in calls:
        with pytest.raises(UnreachableError):
            call()
    assert {"calls": len(calls), "failures": len(calls)} == counts(client)


def test_many_threads_log_an_outage_once(
    redis_factory: RedisFactory, open_client: OpenClient, caplog: pytest.LogCaptureFixture, small_switches: None
) -> None:
    """Also with a budget of their own."""
    server = redis_factory.server()
    client = open_client(server.settings(), FALLBACK)
    server.stop()

    def work() -> None:
        for _unused in range(20):
            client.get("k")
            client.within(0.5).get("k")

    threads = [threading.Thread(target=work) for _unused in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (1, 320) == (len(messages(caplog)), client.stats.fallbacks)
    server.start()
    assert [None, None] == [client.within(5).get("k"), client.get("k")]
    assert 2 == len(messages(caplog))


@pytest.mark.parametrize("call", ["get_many", "ping", "pipeline"])
def test_an_outage_ends_with_whatever_call_is_answered(
    redis_factory: RedisFactory, open_client: OpenClient, caplog: pytest.LogCaptureFixture, call: str
) -> None:
    """Not only with a call for a single key."""
    server = redis_factory.server()
    client = open_client(server.settings(), FALLBACK)
    server.stop()
    client.get("k")
    server.start()
    if call == "get_many":
        client.get_many([str(number) for number in range(2000)])
    elif call == "ping":
        client.ping()
    else:
        client.pipeline().get("a").get("b").execute()
    assert 2 == len(messages(caplog))


def test_one_dead_primary_is_one_outage(redis_factory: RedisFactory, open_client: OpenClient, caplog: pytest.LogCaptureFixture) -> None:
    """Calls that other primaries answer in between neither end it nor begin another one."""
    cluster = redis_factory.cluster(directives={"cluster-node-timeout": 60000, "cluster-require-full-coverage": "no"})
    client = open_client(cluster.settings(**QUICK), FALLBACK)
    names = [f"k{number}" for number in range(30)]
    client.set_many(dict.fromkeys(names, "v"))
    dead = cluster.primary_of("k0")
    lost = [name for name in names if cluster.primary_of(name) is dead]
    dead.kill()
    for _unused in range(3):
        assert [None if name in lost else "v" for name in names] == [client.get(name) for name in names]
    assert 1 == len(messages(caplog))
    assert {name: None if name in lost else "v" for name in names} == client.get_many(names)
    assert 3 * len(lost) + 1 == client.stats.fallbacks
    dead.start()
    wait_until(lambda: client.set("k0", "v"), "the primary to serve again")
    client.get("k1")
    assert 2 == len(messages(caplog))
