# SPDX-License-Identifier: MIT
"""Subscriptions on connections that become unresponsive, break, or cannot be made; and tasks that are cancelled."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing

import pytest
from keyfleet import AsyncClient, CredentialsError, Message, Policy, Reconnected, UnreachableError
from keyfleet._transport import asyncio_inbox as inbox_tasks
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server
from support.clients import OpenClient
from support.subscribers import TIMEOUT_SECONDS, connections, expect, kill_connections, reconnection, twenty_with_a_break

pytestmark = pytest.mark.slow

QUICK = {"timeout_seconds": 0.5, "retry_delay_ms": 10}


@pytest.fixture
def proxy(redis_server: Server, redis_factory: RedisFactory) -> FaultProxy:
    """A proxy in front of one server."""
    return redis_factory.proxy(redis_server)


def test_a_black_hole_is_noticed(proxy: FaultProxy, redis_server: Server, open_client: OpenClient) -> None:
    """The connection stays open and nothing arrives: the missing heartbeat reveals it."""
    client = open_client(proxy.settings(**QUICK))
    with open_client(redis_server.settings()).subscribe("other") as other, client.subscribe("a", ping_seconds=0.2) as subscription:
        proxy.black_hole()
        with closing(redis_server.client()) as direct:
            direct.publish("a", "lost")
            healing = threading.Timer(1.5, proxy.heal)
            healing.start()
            gap = reconnection(subscription)
            healing.join()
            assert gap.reason.startswith("the server was silent for ")
            assert 2 == direct.publish("a", "found") + direct.publish("other", "x")
        expect(subscription, "found")
        expect(other, "x")


def test_a_quiet_server_is_kept(proxy: FaultProxy, open_client: OpenClient) -> None:
    """Heartbeats arrive, and no gap is reported."""
    client = open_client(proxy.settings(**QUICK))
    with client.subscribe("a", ping_seconds=0.05) as subscription:
        assert subscription.next(1.0) is None
        assert proxy.commands["PING"] > 3
        assert 1 == proxy.total_connections


def test_who_was_away_for_long_finds_what_came_meanwhile(proxy: FaultProxy, open_client: OpenClient) -> None:
    """No heartbeat was requested in that time, so none is missing."""
    client = open_client(proxy.settings(timeout_seconds=0.2))
    with client.subscribe("a", ping_seconds=0.1) as subscription:
        for _unused in range(3):
            assert subscription.next(0.15) is None
            threading.Event().wait(0.6)
            client.publish("a", 1)
            expect(subscription, "1")


def test_a_restarted_server_is_found_again(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """However long it was away."""
    server = redis_factory.server()
    client = open_client(server.settings(**QUICK))
    with client.subscribe("a") as subscription:
        twenty_with_a_break(client, subscription, "a", server.restart)
        server.kill()
        assert subscription.next(1.0) is None
        with pytest.raises(UnreachableError):
            subscription.add("b")
        subscription.remove("a")  # nothing is left that a reply would confirm
        with pytest.raises(UnreachableError):
            subscription.add("a")
        server.start()
        subscription.add("a")
        server.restart()
        assert ("a",) == reconnection(subscription).channels
        client.publish("a", "back")
        expect(subscription, "back")


def test_giving_up_is_an_error_and_trying_again_is_possible(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Where the caller says after how long."""
    server = redis_factory.server()
    client = open_client(server.settings(**QUICK))
    with client.subscribe("a", give_up_seconds=0.3) as subscription:
        server.kill()
        for _unused in range(2):
            with pytest.raises(UnreachableError):
                subscription.next()
        server.start()
        reconnection(subscription)


def test_a_beginning_without_a_server_is_an_error(proxy: FaultProxy, redis_server: Server, open_client: OpenClient) -> None:
    """Within one budget, with a block and without; nothing stays behind."""
    proxy.refuse()
    client = open_client(proxy.settings(**QUICK))
    with pytest.raises(UnreachableError, match=f"127.0.0.1:{proxy.port}"):
        client.subscribe("a").__enter__()
    with closing(client.subscribe("a")) as subscription:
        with pytest.raises(UnreachableError):
            subscription.next()
        proxy.heal()
        assert (None, 1) == (subscription.next(0), connections(redis_server))


def test_a_policy_can_make_the_first_failure_the_last(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """One attempt is made."""
    proxy = redis_factory.proxy(redis_factory.server())
    proxy.cut_connections(after_bytes=1)
    with pytest.raises(UnreachableError):
        open_client(proxy.settings(), Policy(while_disconnected="fail")).subscribe("a").__enter__()
    assert 1 == proxy.total_connections


def test_a_wrong_password_is_reported_immediately(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """It is not tried again."""
    proxy = redis_factory.proxy(redis_factory.server(password="right"))
    client = open_client(proxy.settings(password="wrong"))
    with pytest.raises(CredentialsError):
        client.subscribe("a").__enter__()
    assert 1 == proxy.commands["AUTH"]


def test_a_connection_that_comes_and_goes_is_not_made_without_end(proxy: FaultProxy, redis_server: Server, open_client: OpenClient) -> None:
    """There is a wait between attempts, although each of them succeeds."""
    client = open_client(proxy.settings())
    is_over = threading.Event()

    def publish() -> None:
        with closing(redis_server.client()) as direct:
            while not is_over.wait(0.002):
                direct.publish("a", "x" * 200)

    publisher = threading.Thread(target=publish)
    with client.subscribe("a") as subscription:
        proxy.cut_connections(after_bytes=150)  # greeting and confirmation pass, the message does not
        proxy.close_connections()
        publisher.start()
        end = threading.Timer(1.5, subscription.close)
        end.start()
        gaps = [event for event in subscription if isinstance(event, Reconnected)]
        is_over.set()
        publisher.join()
        end.join()
    assert 3 <= len(gaps) <= 25


def test_a_gap_is_reported_where_it_is(redis_server: Server, open_client: OpenClient) -> None:
    """Numbers jump where a Reconnected stands and nowhere else, although messages come between the confirmations of 3000 channels."""
    client = open_client(redis_server.settings(timeout_seconds=5.0))
    is_over = threading.Event()

    def publish() -> None:
        with closing(redis_server.client()) as direct:
            for number in range(1_000_000):
                direct.publish("a", number)
                if is_over.is_set():
                    return

    publisher = threading.Thread(target=publish)
    with client.subscribe("a", *map(str, range(3000))) as subscription:
        publisher.start()
        before = -1
        for _unused in range(5):
            for _also in range(100):
                event = subscription.next(TIMEOUT_SECONDS)
                assert isinstance(event, Message)
                assert before in (-1, int(event.data) - 1)
                before = int(event.data)
            assert 1 == kill_connections(redis_server)
            while isinstance(event := subscription.next(TIMEOUT_SECONDS), Message):
                assert before == int(event.data) - 1
                before = int(event.data)
            assert isinstance(event, Reconnected)
            before = -1
        is_over.set()
        publisher.join()


def test_a_slow_reader_learns_what_is_missing(
    redis_factory: RedisFactory, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server keeps 1 MB for a subscriber, then it ends the connection; no memory grows without end."""
    monkeypatch.setattr(inbox_tasks, "MOST_WAITING", 10)
    server = redis_factory.server(directives={"client-output-buffer-limit": "pubsub 1mb 1mb 1"})
    client = open_client(server.settings())
    with client.subscribe("a") as subscription:
        for number in range(300):
            client.publish("a", f"{number} {'x' * 100_000}")
        numbers, gaps = [], 0
        client.publish("a", "end")
        while (event := subscription.next(1.0)) is not None:
            if isinstance(event, Message):
                numbers.append(event.data.partition(" ")[0])
            else:
                gaps += 1
        assert [str(number) for number in range(len(numbers))] == numbers
        assert (1, True) == (gaps, 1 <= len(numbers) < 300)
        client.publish("a", "after")
        expect(subscription, "after")


def test_slow_takers_lose_nothing_within_the_limit(redis_server: Server, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading pauses and resumes."""
    monkeypatch.setattr(inbox_tasks, "MOST_WAITING", 10)
    client = open_client(redis_server.settings())
    with client.subscribe("a") as subscription:
        for number in range(500):
            client.publish("a", number)
        expect(subscription, *map(str, range(500)))


# Tasks that are cancelled


def test_a_cancelled_subscriber_leaves_no_connection(redis_server: Server) -> None:
    """While it waits for a message, twenty times over."""

    async def listen(client: AsyncClient, entered: asyncio.Event) -> None:
        async with client.subscribe("a", "b") as subscription:
            entered.set()
            async for _event in subscription:
                pass

    async def main() -> int:
        async with AsyncClient.from_settings(redis_server.settings()) as client:
            for _unused in range(20):
                entered = asyncio.Event()
                task = asyncio.create_task(listen(client, entered))
                await entered.wait()
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            return len(client._engines.current().subscriptions)

    assert 0 == asyncio.run(main())
    wait_until(lambda: connections(redis_server) == 0, "the server to see that the connections were closed")


@pytest.mark.parametrize("steps", range(1, 13))
def test_a_task_cancelled_while_it_subscribes_leaves_no_connection(proxy: FaultProxy, redis_server: Server, steps: int) -> None:
    """At any point of it: the replies come slowly."""
    proxy.dribble_replies(0.001)

    async def main() -> int:
        async with AsyncClient.from_settings(proxy.settings()) as client:
            task = asyncio.create_task(client.subscribe("a", "b").__aenter__())
            await asyncio.sleep(0.012 * steps)
            task.cancel()
            result = (await asyncio.gather(task, return_exceptions=True))[0]
            if not isinstance(result, asyncio.CancelledError):
                await result.close()  # type: ignore[union-attr]
            return len(client._engines.current().subscriptions)

    assert 0 == asyncio.run(main())
    wait_until(lambda: proxy.open_connections == 0, "the proxy to see that the connections were closed")
    assert 0 == connections(redis_server)


def test_a_cancelled_wait_loses_no_message(redis_server: Server) -> None:
    """Whoever waits next gets it."""

    async def main() -> list[str]:
        found: list[str] = []
        async with AsyncClient.from_settings(redis_server.settings()) as client, client.subscribe("a") as subscription:
            for number in range(200):
                task = asyncio.create_task(subscription.next())
                await asyncio.sleep(0)
                await client.publish("a", number)
                for _unused in range(number % 4):
                    await asyncio.sleep(0)
                task.cancel()
                (result,) = await asyncio.gather(task, return_exceptions=True)
                if isinstance(result, asyncio.CancelledError):
                    result = await subscription.next(TIMEOUT_SECONDS)
                assert isinstance(result, Message)
                found.append(result.data)
            await client.publish("a", "the last")
            assert Message("a", "the last") == await subscription.next(TIMEOUT_SECONDS)
        return found

    assert [str(number) for number in range(200)] == asyncio.run(main())
