# SPDX-License-Identifier: MIT
"""A process that forks with a client in use, as preloading servers do: parent and child both work, each with its own connections."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import pytest
from keyfleet import AsyncClient, Client
from keyfleet.core.connect.client import close
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.testing.servers import Server
from support.load import Load

pytestmark = pytest.mark.slow

CALLS = 100
TIMEOUT_SECONDS = 20.0


@pytest.fixture
def raw(redis_server: Server) -> Iterator[AnyClient]:
    """redis-py."""
    client = redis_server.client()
    yield client
    close(client)


def own_ids(client: Client) -> set[int]:
    """Return the ids that the server gave to the connection that answers, for some calls."""
    return {int(client.execute("CLIENT", "ID")) for _unused in range(5)}


def count(client: Client) -> set[int]:
    """Count CALLS times; return the ids of the connections used."""
    for _unused in range(CALLS):
        client.incr("n")
    return own_ids(client)


def by_os_fork(work: Callable[[], set[int]]) -> Callable[[], set[int]]:
    """Do *work* in a child made by os.fork; the function returned waits for what it returned."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, repr(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)

    def outcome() -> set[int]:
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        os.waitpid(child, 0)
        assert text, "the child failed"
        return set(map(int, text.strip("{}").split(",")))

    return outcome


def by_multiprocessing(work: Callable[[], set[int]]) -> Callable[[], set[int]]:
    """Do *work* in a child of multiprocessing that is forked; the function returned waits for what it returned."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)

    def send(pipe: Connection) -> None:
        pipe.send(work())

    child = context.Process(target=send, args=(there,))
    child.start()

    def outcome() -> set[int]:
        assert here.poll(TIMEOUT_SECONDS), "the child hangs"
        ids: set[int] = here.recv()
        child.join(TIMEOUT_SECONDS)
        here.close()
        there.close()
        return ids

    return outcome


@pytest.mark.parametrize("forked", [by_os_fork, by_multiprocessing])
def test_a_fork_with_a_warm_pool(redis_server: Server, raw: AnyClient, forked: Any) -> None:
    """Both count at the same time; the parent keeps its connection, the child makes one."""
    with Client.from_settings(redis_server.settings(timeout_seconds=10.0)) as client:
        before = own_ids(client)
        child = forked(lambda: count(client))
        after, children = count(client), child()
        assert before == after
        assert before.isdisjoint(children)
        assert 1 == client.stats.connections_opened
    assert 2 * CALLS == int(raw.get("n"))


@pytest.mark.parametrize("forked", [by_os_fork, by_multiprocessing])
def test_a_fork_while_threads_are_in_the_middle_of_calls(redis_server: Server, raw: AnyClient, forked: Any) -> None:
    """Locks and half-read replies of other threads stay with the parent."""
    with Client.from_settings(redis_server.settings(timeout_seconds=10.0)) as client:
        with Load([lambda _number: client.incr("n")] * 8) as load:
            for _unused in range(5):
                load.go_on(5)
                child = forked(lambda: count(client))
                load.go_on(5)
                child()
        assert [] == load.errors
    assert sum(load.counts) + 5 * CALLS == int(raw.get("n"))


def test_children_of_children(redis_server: Server, raw: AnyClient) -> None:
    """Each generation starts anew."""
    with Client.from_settings(redis_server.settings(timeout_seconds=10.0)) as client:
        client.ping()
        assert by_os_fork(lambda: count(client) | by_os_fork(lambda: count(client))())().isdisjoint(count(client))
    assert 3 * CALLS == int(raw.get("n"))


def test_an_asyncio_client_goes_on_in_a_child(redis_server: Server, raw: AnyClient) -> None:
    """Used before the fork in one loop, then in loops of both processes."""
    client = AsyncClient.from_settings(redis_server.settings(timeout_seconds=10.0))

    async def count() -> set[int]:
        client._engines.reopen()
        await asyncio.gather(*(client.incr("n") for _unused in range(CALLS)))
        own = {int(await client.execute("CLIENT", "ID"))}
        await client.close()
        return own

    before = asyncio.run(count())
    child = by_os_fork(lambda: asyncio.run(count()))
    after, children = asyncio.run(count()), child()
    assert 3 == len(before | after | children)
    assert 3 * CALLS == int(raw.get("n"))
