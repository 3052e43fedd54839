# SPDX-License-Identifier: MIT
"""Asynchronous calls: one task, and 50 tasks on one client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import glide
import redis.asyncio
from keyfleet import AsyncClient
from keyfleet.testing.servers import Cluster, Server, start_cluster, start_server

from .rows import OURS, RAW, Rates, Report, take_turns_async
from .workload import KEYS, VALUE, encode, new_folder

TASKS = 50
PEER = "valkey-glide"
CALLS = 10  # of each task in a block
ROUNDS = 60

Call = Callable[[str], Awaitable[object]]
Clients = dict[str, Any]


def single_server(engine: str, report: Report) -> None:
    """Compare on one server, with one task and with 50."""

    async def measure() -> None:
        async with AsyncExitStack() as stack:
            clients = await _clients(server, stack)
            for what, calls in _calls(clients).items():
                rates = await _compare(calls, TASKS)
                report(rates.row("async", f"{what}, 50 tasks", 6.0))
                report(rates.row_beside(PEER, "async", f"{what}, 50 tasks", 3.0))
            for what, calls in _calls({name: clients[name] for name in (OURS, RAW)}).items():
                report((await _compare(calls, 1)).row("async", f"{what}, one task", 0.95))

    with start_server(new_folder(), engine=engine) as server:
        asyncio.run(measure())


def cluster(engine: str, report: Report) -> None:
    """Compare on a cluster of three, with 50 tasks."""

    async def measure() -> None:
        async with AsyncExitStack() as stack:
            for what, calls in _calls(await _clients(nodes, stack)).items():
                report((await _compare(calls, TASKS)).row("cluster", f"{what}, 50 tasks, 3 nodes", 3.0))

    with start_cluster(new_folder(), engine=engine) as nodes:
        asyncio.run(measure())


async def _clients(where: Server | Cluster, stack: AsyncExitStack) -> Clients:
    ours = await stack.enter_async_context(AsyncClient.from_settings(where.settings()))
    if isinstance(where, Cluster):
        addresses = [glide.NodeAddress(node.host, node.port) for node in where.nodes]
        peer: Any = await glide.GlideClusterClient.create(glide.GlideClusterClientConfiguration(addresses))
        raw: Any = redis.asyncio.RedisCluster(where.nodes[0].host, where.nodes[0].port)
    else:
        peer = await glide.GlideClient.create(glide.GlideClientConfiguration([glide.NodeAddress(where.host, where.port)]))
        raw = redis.asyncio.Redis(host=where.host, port=where.port)
    stack.push_async_callback(peer.close)
    await stack.enter_async_context(raw)
    return {OURS: ours, RAW: raw, PEER: peer}


def _calls(clients: Clients) -> dict[str, dict[str, Call]]:
    """Return how each client sets and gets one key, by what it is called."""
    sets = {name: _setter(client) for name, client in clients.items() if name != OURS}
    gets = {name: _getter(client) for name, client in clients.items() if name != OURS}
    ours = clients[OURS]
    return {"set_json": {OURS: lambda key: ours.set_json(key, VALUE), **sets}, "get_json": {OURS: ours.get_json, **gets}}


def _setter(client: Any) -> Call:
    async def call(key: str) -> None:
        await client.set(key, encode())

    return call


def _getter(client: Any) -> Call:
    async def call(key: str) -> None:
        json.loads(await client.get(key))

    return call


async def _compare(calls: dict[str, Call], tasks: int) -> Rates:
    blocks = {name: _block(call, tasks) for name, call in calls.items()}
    return await take_turns_async(blocks, len(KEYS) if tasks == 1 else tasks * CALLS, ROUNDS)


def _block(call: Call, tasks: int) -> Callable[[], Awaitable[object]]:
    async def work(number: int) -> None:
        for key in KEYS if tasks == 1 else (KEYS + KEYS)[number : number + CALLS]:
            await call(key)

    async def block() -> None:
        await asyncio.gather(*(work(number) for number in range(tasks)))

    return block
