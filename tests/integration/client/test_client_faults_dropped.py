# SPDX-License-Identifier: MIT
"""Clients that are never closed, or whose closing is interrupted: no socket stays open."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import warnings
from pathlib import Path

import pytest
from keyfleet import AsyncClient, Client
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server

CLIENTS = 20
THREADS = 8


def descriptors() -> int:
    """Return how many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_an_async_client_that_is_dropped(redis_server: Server) -> None:
    """Its sockets are closed in the next turns of the loop, and a ResourceWarning names it."""

    async def work() -> tuple[int, list[str]]:
        gc.collect()
        await asyncio.sleep(0)
        before = descriptors()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _unused in range(CLIENTS):
                client = AsyncClient.from_settings(redis_server.settings())
                await client.ping()
                del client
            gc.collect()
            for _unused in range(5):
                await asyncio.sleep(0)
        return descriptors() - before, [str(warning.message) for warning in caught if warning.category is ResourceWarning]

    left, messages = asyncio.run(work())
    assert 0 == left
    assert [f"<AsyncClient {redis_server.settings().address}> was not closed; use 'async with', or await its close()"] * CLIENTS == messages


def test_a_client_that_is_dropped(redis_server: Server) -> None:
    """Its sockets are closed with it."""
    before = descriptors()
    for _unused in range(CLIENTS):
        Client.from_settings(redis_server.settings()).ping()
    gc.collect()
    assert before == descriptors()


def test_closing_that_is_cancelled(redis_server: Server) -> None:
    """While it waits for a call on its way."""

    async def work(proxy: FaultProxy) -> None:
        client = AsyncClient.from_settings(proxy.settings(timeout_seconds=30.0))
        await client.ping()
        proxy.delay_replies(20.0)
        call = asyncio.create_task(client.incr("n"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([call, closing])
        assert closing.cancelled()
        assert call.exception() is not None
        while proxy.open_connections:  # the loop is still open, and closes none by its end
            await asyncio.sleep(0.01)

    with FaultProxy(redis_server) as proxy:
        asyncio.run(asyncio.wait_for(work(proxy), 20))


def test_a_call_outside_a_loop_says_what_is_needed(redis_server: Server) -> None:
    """Whatever drives the coroutine, as trio would."""
    call = AsyncClient.from_settings(redis_server.settings()).get("k")
    with pytest.raises(RuntimeError, match="needs a running event loop of asyncio"):
        call.send(None)


def test_is_connected_while_others_call(redis_server: Server) -> None:
    """It inspects connections that other threads use, and disturbs none."""
    with Client.from_settings(redis_server.settings()) as client:
        stop = threading.Event()
        errors: list[BaseException] = []

        def work() -> None:
            try:
                while not stop.is_set():
                    client.get("k")
            except BaseException as error:  # noqa: BLE001 - shown by the test
                errors.append(error)

        threads = [threading.Thread(target=work) for _unused in range(THREADS)]
        for thread in threads:
            thread.start()
        client.ping()
        for _unused in range(2000):
            assert client.is_connected
        stop.set()
        for thread in threads:
            thread.join()
        assert [] == errors


def test_loops_of_several_threads(redis_server: Server) -> None:
    """One AsyncClient, a loop in each of several threads, begun and ended all the time: each call is answered in its own."""
    client = AsyncClient.from_settings(redis_server.settings(timeout_seconds=20.0))
    errors: list[BaseException] = []
    begin = threading.Barrier(THREADS)

    async def calls(name: int) -> None:
        for number in range(20):
            await client.set(f"k{name}", number)
            assert str(number) == await client.get(f"k{name}")
        await client._engines.current().close()

    def work(name: int) -> None:
        try:
            begin.wait(20)
            for _unused in range(5):
                asyncio.run(calls(name))
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with contextlib.suppress(RuntimeError):
        asyncio.run(client.close())
    assert [] == errors
