# SPDX-License-Identifier: MIT
"""One client, many callers: threads, tasks, event loops; everyone gets the answer to what he asked, over few connections."""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import uvloop
from keyfleet import AsyncClient, Client, Policy, PoolTimeoutError
from keyfleet.core.connect.client import close
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.testing._server import wait_until
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server
from support.clients import OpenClient
from support.load import Load

pytestmark = pytest.mark.slow

KEYS = 50
CANCELS = 10_000
INTERRUPTS = 50

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def raw(redis_server: Server) -> Iterator[AnyClient]:
    """redis-py; each of the keys k0, k1 … holds v0, v1 …"""
    client = redis_server.client()
    client.mset({f"k{number}": f"v{number}" for number in range(KEYS)})
    yield client
    close(client)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine in a new event loop, of the standard library and of uvloop in turn."""

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        loop = request.param()
        try:
            return loop.run_until_complete(asyncio.wait_for(work, 60))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    return run


def connections(raw: AnyClient) -> int:
    """Return how many connections the server has, other than this one."""
    return len(raw.client_list()) - 1


# Tasks


def test_1500_calls_at_once(redis_server: Server, raw: AnyClient, run: Run) -> None:
    """All of them answered, and right, over at most ten connections."""

    async def work() -> int:
        async with AsyncClient.from_settings(redis_server.settings(timeout_seconds=10.0)) as client:
            values = await asyncio.gather(*(client.get(f"k{number % KEYS}") for number in range(1500)))
            assert [f"v{number % KEYS}" for number in range(1500)] == values
            assert 1500 == len(set(await asyncio.gather(*(client.incr("n") for _unused in range(1500)))))
            return connections(raw)

    assert 1 <= run(work()) <= 10
    assert b"1500" == raw.get("n")


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_second_event_loop(redis_server: Server, raw: AnyClient) -> None:
    """The same client works in the next loop, although the connection of the first loop was never closed, of which Python warns."""
    client = AsyncClient.from_settings(redis_server.settings())

    async def count() -> int:
        return await client.incr("n")

    async def count_and_close() -> int:
        number = await client.incr("n")
        await client.close()
        return number

    assert [1, 2] == [asyncio.run(count()), asyncio.run(count_and_close())]
    gc.collect()
    wait_until(lambda: connections(raw) == 0, "the connections of both loops to end")


def test_two_event_loops_at_the_same_time(redis_server: Server, raw: AnyClient, run: Run) -> None:
    """Two threads, a loop in each: both use one client, with connections of their own."""
    client = AsyncClient.from_settings(redis_server.settings())
    both = threading.Barrier(2)

    async def work() -> set[int]:
        await client.ping()
        both.wait(10)
        numbers = {await client.incr("n") for _unused in range(200)}
        numbers |= set(await asyncio.gather(*(client.incr("n") for _unused in range(200))))
        await close_own(client)
        return numbers

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _unused: run(work()), range(2))
    assert set(range(1, 801)) == first | second
    assert first.isdisjoint(second)


async def close_own(client: AsyncClient) -> None:
    """Close the connections of this loop, and leave the client open for others."""
    engine: Any = client._engines.current()
    await engine.close()


def test_cancelled_calls_shift_no_reply(redis_server: Server, raw: AnyClient, run: Run) -> None:
    """
    Ten thousand calls are cancelled at random moments, replies come late; each of the others has the value of its own key.

    Some of them are alone on a connection, as transactions are.
    """
    del raw
    draws = random.Random(7)  # noqa: S311
    done = cancelled = 0

    async def get(client: AsyncClient, number: int) -> None:
        assert f"v{number}" == await client.get(f"k{number}")

    async def get_in_transaction(client: AsyncClient, number: int) -> None:
        pipe = client.pipeline(transaction=True)
        pipe.get(f"k{number}")
        assert [f"v{number}"] == await pipe.execute()

    async def work(proxy: FaultProxy) -> None:
        nonlocal done, cancelled
        async with AsyncClient.from_settings(proxy.settings(timeout_seconds=20.0)) as client:
            await client.ping()
            proxy.delay_replies(0.0, 0.004, seed=7)
            while cancelled < CANCELS:
                kinds = draws.choices([get, get_in_transaction], [50, 1], k=500)
                tasks = [asyncio.create_task(kind(client, draws.randrange(KEYS))) for kind in kinds]
                for task in draws.sample(tasks, len(tasks)):
                    if draws.random() < 0.05:
                        await asyncio.sleep(draws.random() * 0.002)
                    if draws.random() < 0.8:
                        task.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                cancelled += sum(isinstance(result, asyncio.CancelledError) for result in results)
                assert [] == [result for result in results if result is not None and not isinstance(result, asyncio.CancelledError)]
                done += results.count(None)

    with FaultProxy(redis_server) as proxy:
        run(work(proxy))
        assert proxy.total_connections < 1000  # only what was alone on a connection takes it along
    assert done > 1000
    assert cancelled >= CANCELS


# Threads


def test_threads_share_a_client(redis_server: Server, raw: AnyClient, open_client: OpenClient) -> None:
    """Every increment counts once, and every thread reads its own key."""
    client = open_client(redis_server.settings(timeout_seconds=10.0))
    own = [f"k{number}" for number in range(16)]

    def work(key: str) -> Callable[[int], object]:
        return lambda _number: (client.incr("n"), client.get(key) == f"v{key[1:]}")[1]

    with Load([work(key) for key in own]) as load:
        load.go_on(50)
    assert [] == load.errors
    assert {True} == {result for worker in load.workers for result in worker.results}
    assert sum(load.counts) == int(raw.get("n"))
    assert connections(raw) <= 10


def test_fifty_threads_wait_for_two_connections(redis_server: Server, raw: AnyClient) -> None:
    """No caller fails or starves, since the queue is served in order; the waits are counted, and there are never more connections."""
    with FaultProxy(redis_server) as proxy:
        with Client.from_settings(proxy.settings(timeout_seconds=20.0), policy=Policy(max_connections=2)) as client:
            with Load([lambda _number: client.incr("n")] * 50) as load:
                load.go_on(10)
            assert [] == load.errors
            assert client.stats.waits > 0
        assert 2 == proxy.peak_connections
    assert sum(load.counts) == int(raw.get("n"))


def test_a_pool_that_stays_empty_has_an_error_of_its_own(redis_server: Server, raw: AnyClient, open_client: OpenClient) -> None:
    """Blocking calls hold all of theirs; a further one was not sent within its budget, and the breaker stays closed."""
    client = open_client(redis_server.settings(timeout_seconds=0.5), Policy(max_blocking_connections=2, breaker_failures=1))
    client.ping()
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(client.blpop, f"list{number}", timeout_seconds=20) for number in range(2)]
        wait_until(lambda: raw.info("clients")["blocked_clients"] == 2 or any(call.done() for call in held), "calls that block")
        with pytest.raises(PoolTimeoutError, match="max_blocking_connections"):
            client.blpop("other", timeout_seconds=20)
        for number in range(2):
            raw.rpush(f"list{number}", "end")
        assert {type(None)} == {type(call.exception(10)) for call in held}
    assert (0, True) == (client.stats.open_breakers, client.ping())


def test_waiting_for_a_connection_may_take_the_whole_budget(redis_server: Server, raw: AnyClient) -> None:
    """Also for repeatable calls, which check much sooner whether their server answers."""
    del raw
    with FaultProxy(redis_server) as proxy:
        policy = Policy(max_connections=1, breaker_failures=0)
        with Client.from_settings(proxy.settings(timeout_seconds=8.0), policy=policy) as client, ThreadPoolExecutor(8) as pool:
            client.ping()
            proxy.delay_replies(0.8)
            begun = time.monotonic()
            values = list(pool.map(lambda number: client.get(f"k{number}"), range(8)))
            assert time.monotonic() - begun > 4.0
    assert [f"v{number}" for number in range(8)] == values


def test_ctrl_c_in_a_call_shifts_no_reply(redis_server: Server, raw: AnyClient) -> None:
    """The interrupted call's reply is thrown away with its connection; the next call gets its own."""
    del raw
    interrupted = 0

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    draws = random.Random(7)  # noqa: S311
    try:
        with FaultProxy(redis_server) as proxy, Client.from_settings(proxy.settings(timeout_seconds=20.0)) as client:
            client.ping()
            proxy.delay_replies(0.0, 0.01, seed=7)
            for number in range(INTERRUPTS):
                try:
                    signal.setitimer(signal.ITIMER_REAL, draws.uniform(0.001, 0.01))
                    for _unused in range(20):
                        assert f"v{number % KEYS}" == client.get(f"k{number % KEYS}")
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    interrupted += 1
                other = (number + 1) % KEYS
                assert f"v{other}" == client.get(f"k{other}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > INTERRUPTS / 2
