# SPDX-License-Identifier: MIT
"""A task is cancelled in every turn of the loop in turn: it ends cancelled, and leaves no socket and no reply behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from keyfleet import AsyncClient, Policy, Settings
from keyfleet.testing.servers import Cluster, SentinelGroup, Server

MOST_TURNS = 400  # more than any of these calls needs
GRACE_SECONDS = 10.0

Work = Callable[[AsyncClient], Awaitable[object]]


class CancellingLoop(asyncio.SelectorEventLoop):
    """An event loop that cancels a task after a number of turns."""

    def __init__(self) -> None:
        super().__init__()
        self.turns_left = -1
        self.target: asyncio.Task[Any] | None = None

    def _run_once(self) -> None:
        super()._run_once()  # type: ignore[misc]
        self.turns_left -= 1
        if self.turns_left == 0 and self.target is not None:
            self.target.cancel()


async def read(client: AsyncClient) -> None:
    """Connect, or learn the topology, and read."""
    assert "mine" == await client.get("{k}mine")


async def wait_for_an_element(client: AsyncClient) -> None:
    """Borrow a connection for a blocking call."""
    assert ("{k}list", "first") == await client.blpop("{k}list", timeout_seconds=0)


async def transact(client: AsyncClient) -> None:
    """Borrow a connection for a transaction."""
    async with client.pipeline(transaction=True) as pipe:
        pipe.get("{k}mine")
        assert ["mine"] == await pipe.execute()


async def subscribe(client: AsyncClient) -> None:
    """Connect for a subscription."""
    async with client.subscribe("news"):
        pass


def run(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any]) -> Any:
    """Return what *work* returns, and close the loop."""
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def descriptors() -> int:
    """Return how many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def cancel_at_every_turn(settings: Settings, work: Work) -> int:
    """Cancel *work* in the first turn, then in the second, and so on until it is done sooner; return in how many it was cancelled."""
    before = descriptors()

    async def once(turns: int) -> bool:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CancellingLoop)
        async with AsyncClient.from_settings(settings, policy=Policy(max_connections=2, max_blocking_connections=1)) as client:
            finished = False

            async def job() -> None:
                nonlocal finished
                await work(client)
                finished = True
                await asyncio.Event().wait()  # what swallowed its cancellation hangs here

            task = asyncio.create_task(job())
            loop.target, loop.turns_left = task, turns
            done, _pending = await asyncio.wait([task], timeout=GRACE_SECONDS)
            assert done, f"the cancellation in turn {turns} was swallowed"
            assert task.cancelled(), task.exception()
            assert "mine" == await client.get("{k}mine")
            assert "other" == await client.get("{k}other")
        return finished

    for turns in range(1, MOST_TURNS):
        if run(CancellingLoop(), once(turns)):
            assert before == descriptors()
            return turns
        assert before == descriptors(), f"a socket is left of turn {turns}"
    raise AssertionError("the work never ended")


def prepared(settings: Settings, elements: int = 0) -> Settings:
    """Return *settings* with a long budget, after the keys were written."""

    async def write() -> None:
        async with AsyncClient.from_settings(settings) as client:
            await client.wait_until_ready(10.0)
            await client.set("{k}mine", "mine")
            await client.set("{k}other", "other")
            for _unused in range(elements):
                await client.rpush("{k}list", "first")

    asyncio.run(write())
    return settings


@pytest.mark.parametrize("work", [read, wait_for_an_element, transact, subscribe])
def test_on_one_server(redis_server: Server, work: Work) -> None:
    """Connecting, borrowing, subscribing."""
    elements = MOST_TURNS if work is wait_for_an_element else 0
    assert cancel_at_every_turn(prepared(redis_server.settings(timeout_seconds=5.0), elements), work) > 3


def test_with_tls_and_a_password(redis_factory: Any) -> None:
    """The handshake and the greeting have turns of their own."""
    server = redis_factory.server(tls=True, password="secret")
    assert cancel_at_every_turn(prepared(server.settings(timeout_seconds=5.0)), read) > 5


def test_on_a_cluster(redis_cluster: Cluster) -> None:
    """Learning the slots."""
    assert cancel_at_every_turn(prepared(redis_cluster.settings(timeout_seconds=5.0)), read) > 5


def test_behind_sentinel(redis_sentinel: SentinelGroup) -> None:
    """Asking who the primary is."""
    assert cancel_at_every_turn(prepared(redis_sentinel.settings(timeout_seconds=5.0)), read) > 5


@pytest.mark.parametrize("freed_first", [True, False])
def test_in_line_for_a_connection(redis_server: Server, freed_first: bool) -> None:
    """A connection that becomes free in the turn of the cancellation, before or after it, goes to the next in line."""

    async def work() -> None:
        policy = Policy(max_blocking_connections=1)
        async with AsyncClient.from_settings(redis_server.settings(timeout_seconds=5.0), policy=policy) as client:
            for number in range(1, 21):
                holder, waiter, last = (asyncio.create_task(client.blpop(name, timeout_seconds=0)) for name in ("a", "b", "c"))
                while client.stats.waits < 2 * number:
                    await asyncio.sleep(0)
                if freed_first:
                    holder.cancel()
                    waiter.cancel()
                else:
                    waiter.cancel()
                    holder.cancel()
                await client.rpush("c", "element")
                assert ("c", "element") == await asyncio.wait_for(last, GRACE_SECONDS)
                await asyncio.wait([holder, waiter])
                assert holder.cancelled()
                assert waiter.cancelled()

    asyncio.run(work())
