# SPDX-License-Identifier: MIT
"""One budget for a whole call, all its attempts together, whatever the server does or does not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from keyfleet import Client, OutcomeUnknown, Policy, ServerError, Settings, UnreachableError
from keyfleet.testing._server import free_port, wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Cluster, SentinelGroup, Server
from support.clients import OpenClient
from support.targets import Target

pytestmark = [pytest.mark.floor, pytest.mark.slow]

BUDGET_SECONDS = 0.4
SLACK_SECONDS = 1.0  # of a busy machine; the exact figures are rows of the bench
NO_BREAKER = Policy(breaker_failures=0)
QUICK: dict[str, Any] = {"timeout_seconds": BUDGET_SECONDS, "retry_delay_ms": 10}

Call = Callable[[Client], object]
READ: Call = lambda client: client.get("k")  # noqa: E731
WRITE: Call = lambda client: client.set("k", "v")  # noqa: E731
COUNT: Call = lambda client: client.incr("n")  # noqa: E731


@contextmanager
def fails_in_time(budget_seconds: float = BUDGET_SECONDS, error: type[ServerError] = UnreachableError) -> Iterator[None]:
    """Assert that the call raises exactly *error*, and does so before the budget is much over."""
    begun = time.monotonic()
    with pytest.raises(error) as caught:
        yield
    assert error is type(caught.value), caught.value
    assert time.monotonic() - begun < budget_seconds + SLACK_SECONDS


class Host:
    """A listener of our own: what it does with a connection is what the test says."""

    def __init__(self, greet: Callable[[socket.socket], None]) -> None:
        self._greet, self.accepted = greet, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            self.accepted += 1
            self._open.append(connection)
            self._greet(connection)

    def close(self) -> None:
        """Close it and its connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._open:
            connection.close()


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[FaultProxy]:
    """A proxy in front of the session's server."""
    with FaultProxy(redis_server) as proxy:
        yield proxy


@pytest.mark.parametrize("call", [READ, WRITE, COUNT], ids=["read", "write", "count"])
def test_nothing_listens(open_client: OpenClient, call: Call) -> None:
    """Connecting is tried until the time is over, for any command: it was surely not run."""
    client = open_client(Settings(port=free_port("127.0.0.1"), **QUICK), NO_BREAKER)
    with fails_in_time():
        call(client)
    assert client.stats.retries > 1


@pytest.mark.parametrize("password", [None, "secret"], ids=["open", "password"])
@pytest.mark.parametrize("call", [READ, WRITE], ids=["read", "write"])
def test_a_server_that_accepts_and_never_answers(open_client: OpenClient, proxy: FaultProxy, call: Call, password: str | None) -> None:
    """A connection that never says welcome gets half of the time, so that another one has a chance; nothing was sent on it."""
    proxy.black_hole()
    client = open_client(proxy.settings(password=password, **QUICK), NO_BREAKER)
    with fails_in_time():
        call(client)
    assert proxy.total_connections > 1
    assert client.stats.retries >= 1


def test_an_unresponsive_connection_is_replaced(open_client: OpenClient, proxy: FaultProxy) -> None:
    """Its black hole swallows the first attempt; the server answers beside it, and the second attempt within the same call."""
    client = open_client(proxy.settings(timeout_seconds=1.0))
    client.set("k", "v")
    proxy.black_hole()
    proxy.heal()  # new connections work, the old one stays unresponsive
    assert "v" == client.get("k")
    assert (3, 1) == (proxy.total_connections, client.stats.retries)


def test_a_reply_that_dribbles(open_client: OpenClient, proxy: FaultProxy) -> None:
    """A reply that arrives byte by byte is waited for, and does not extend the budget."""
    client = open_client(proxy.settings(**QUICK), NO_BREAKER)
    client.set("k", "v" * 1000)
    proxy.dribble_replies(0.05)
    with fails_in_time():
        client.get("k")
    assert 0 == client.stats.retries
    proxy.heal()
    assert "v" * 1000 == client.get("k")


@pytest.mark.parametrize("call", ["get", "set", "pipeline", "transaction"])
def test_a_reply_that_takes_more_than_half_of_the_budget(open_client: OpenClient, proxy: FaultProxy, call: str) -> None:
    """It is waited for, and the server does the work once: on no other connection it answers any sooner."""
    client = open_client(proxy.settings(timeout_seconds=3.0))
    client.set("k", "v")
    client.pipeline(transaction=True).get("k").execute()
    proxy.reset_counts()
    proxy.delay_replies(1.8)
    calls: dict[str, tuple[Call, object, str]] = {
        "get": (READ, "v", "GET"),
        "set": (WRITE, True, "SET"),
        "pipeline": (lambda client: client.pipeline().get("k").exists("l").execute(), ["v", 0], "GET"),
        "transaction": (lambda client: client.pipeline(transaction=True).get("k").exists("l").execute(), ["v", 0], "EXEC"),
    }
    make, answer, name = calls[call]
    assert answer == make(client)
    assert (1, 0) == (proxy.commands[name], client.stats.retries)


def test_a_large_reply_that_arrives_slowly(open_client: OpenClient, proxy: FaultProxy) -> None:
    """Bytes keep arriving for more than half of the budget: the call opens no second connection."""
    client = open_client(proxy.settings(timeout_seconds=5.0))
    client.set("k", "v" * 60)
    proxy.reset_counts()
    proxy.dribble_replies(0.04)
    assert "v" * 60 == client.get("k")
    assert (1, 0) == (proxy.commands["GET"], client.stats.retries)


def test_a_command_that_keeps_the_server_busy(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """The server answers no client meanwhile: the work is done once."""
    server = redis_factory.server(directives={"enable-debug-command": "yes"})
    client = open_client(server.settings(timeout_seconds=3.0))
    assert b"OK" == client.execute("DEBUG", "SLEEP", "1.8", repeatable=True)
    assert 0 == client.stats.retries


def test_a_pipeline_of_a_hundred_thousand_to_an_unresponsive_server(open_client: OpenClient, proxy: FaultProxy) -> None:
    """It ends within the budget, each call with an error of its own; a part of the budget is kept for making them."""
    client = open_client(proxy.settings(timeout_seconds=30.0), NO_BREAKER)
    client.pipeline().exists("k").execute()
    proxy.black_hole()
    pipe = client.within(2.0).pipeline()
    for number in range(100_000):
        pipe.set(f"k{number}", "v")
    begun = time.process_time()  # by the processor: on a busy machine the rest of its time is others'
    results = pipe.execute(raise_on_error=False)
    assert time.process_time() - begun < 2.0 + SLACK_SECONDS
    assert 100_000 == len(results)
    assert {OutcomeUnknown, UnreachableError} >= {type(result) for result in results}
    assert client.stats.retries <= 100_000


def test_a_half_closed_connection(open_client: OpenClient) -> None:
    """The server's end is closed, ours is open: each attempt ends immediately, and the next one waits a little longer."""
    host = Host(lambda connection: connection.shutdown(socket.SHUT_WR))
    try:
        client = open_client(Settings(port=host.port, **QUICK), NO_BREAKER)
        with fails_in_time():
            client.get("k")
        assert 1 < host.accepted < 50
    finally:
        host.close()


def test_within_gives_one_call_another_budget(open_client: OpenClient, proxy: FaultProxy) -> None:
    """Shorter or longer than the client's own, with the same connections and counters."""
    client = open_client(proxy.settings(timeout_seconds=20.0), NO_BREAKER)
    client.set("k", "v")
    proxy.delay_replies(0.8)
    hurried = client.within(0.3)
    with fails_in_time(0.3):
        hurried.get("k")
    assert "v" == client.get("k")
    assert 1 == hurried.stats.failures == client.stats.failures


def test_a_frozen_deployment(target: Target, open_client: OpenClient) -> None:
    """Every process hangs: reads and writes end in time, on every topology; a counter that was sent runs once when it thaws."""
    client = open_client(target.settings(**QUICK), NO_BREAKER)
    client.set("n", 0)
    with ExitStack() as frozen:
        for process in processes(target):
            process.pause()
            frozen.callback(process.resume)
        with fails_in_time(error=OutcomeUnknown):
            client.incr("n")
        with fails_in_time():
            client.get("k")
    wait_until(lambda: client.within(5.0).get("n") == "1", "what was sent to the frozen server to be done")


def test_a_client_that_meets_a_frozen_deployment(target: Target, open_client: OpenClient) -> None:
    """Discovering the topology is part of the budget."""
    client = open_client(target.settings(**QUICK), NO_BREAKER)
    with ExitStack() as frozen:
        for process in processes(target):
            process.pause()
            frozen.callback(process.resume)
        with fails_in_time():
            client.get("k")


def processes(target: Target) -> list[Server]:
    """Return all servers of a deployment, Sentinels among them."""
    if isinstance(target, Cluster):
        return target.nodes
    return [*target.servers, *target.sentinels] if isinstance(target, SentinelGroup) else [target]  # type: ignore[list-item]
