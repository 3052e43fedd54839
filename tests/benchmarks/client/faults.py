# SPDX-License-Identifier: MIT
"""What callers see when servers change or die under load: keyfleet and its peers write side by side, through the same event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from typing import Any

import glide
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from keyfleet import AsyncClient, Client, Settings
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import start_cluster, start_sentinel, start_server

from .load import KEYS, AsyncOpening, Load, Opening, Seen
from .rows import OURS, RAW, Report, Row
from .workload import new_folder

BUDGET_SECONDS = 10.0
BEFORE_SECONDS, AFTER_SECONDS = 1.0, 2.0
AT_ONCE = 1500
GLIDE = "valkey-glide"


def cluster_primary_killed(engine: str, report: Report) -> None:
    """Kill one of three primaries, each with a replica; the nodes notice after 2 s."""
    with start_cluster(new_folder(), replicas=1, engine=engine) as cluster:
        seed = cluster.nodes[0]
        addresses = [glide.NodeAddress(node.host, node.port) for node in cluster.nodes]
        config = glide.GlideClusterClientConfiguration(addresses, request_timeout=int(1000 * BUDGET_SECONDS))

        def event() -> None:
            cluster.kill_primary(KEYS[0])
            cluster.wait_until_in_sync()

        openings: dict[str, Opening] = {
            OURS: _ours(cluster.settings(timeout_seconds=BUDGET_SECONDS)),
            RAW: lambda: _closing(redis.RedisCluster(seed.host, seed.port)),
        }
        async_openings: dict[str, AsyncOpening] = {
            OURS: _ours_async(cluster.settings(timeout_seconds=BUDGET_SECONDS)),
            RAW: lambda: _closing_async(redis.asyncio.RedisCluster(seed.host, seed.port)),
            GLIDE: lambda: _glide(glide.GlideClusterClient.create(config)),
        }
        _meet("cluster primary killed", event, openings, async_openings, report)


def sentinel_primary_killed(engine: str, report: Report) -> None:
    """Kill the primary that three Sentinels watch; they notice after 1 s."""
    sentinel: Any = redis.sentinel.Sentinel  # has no types
    async_sentinel: Any = redis.asyncio.sentinel.Sentinel
    with start_sentinel(new_folder(), engine=engine) as group:
        nodes = [(node.host, node.port) for node in group.sentinels]

        def event() -> None:
            group.kill_primary()
            group.wait_until_in_sync()

        openings: dict[str, Opening] = {
            OURS: _ours(group.settings(timeout_seconds=BUDGET_SECONDS)),
            RAW: lambda: _closing(sentinel(nodes).master_for(group.service)),
        }
        async_openings: dict[str, AsyncOpening] = {
            OURS: _ours_async(group.settings(timeout_seconds=BUDGET_SECONDS)),
            RAW: lambda: _closing_async(async_sentinel(nodes).master_for(group.service)),
        }
        _meet("Sentinel's primary killed", event, openings, async_openings, report)


def role_flip(engine: str, report: Report) -> None:
    """Let primary and replica change roles behind one address; connections to the old primary stay open, as with a name in DNS."""
    with start_server(new_folder(), engine=engine) as primary:
        directives: dict[str, str | int] = {"replicaof": f"{primary.host} {primary.port}", "repl-diskless-sync-delay": 0}
        with start_server(new_folder(), engine=engine, directives=directives) as replica, FaultProxy(primary) as proxy:
            config = glide.GlideClientConfiguration([glide.NodeAddress(proxy.host, proxy.port)], request_timeout=int(1000 * BUDGET_SECONDS))

            def event() -> None:
                with closing(primary.client()) as old, closing(replica.client()) as new:
                    new.execute_command("REPLICAOF", "NO", "ONE")
                    old.execute_command("REPLICAOF", replica.host, replica.port)
                proxy.switch_to(replica)

            openings: dict[str, Opening] = {
                OURS: _ours(proxy.settings(timeout_seconds=BUDGET_SECONDS)),
                RAW: lambda: _closing(redis.Redis(proxy.host, proxy.port)),
            }
            async_openings: dict[str, AsyncOpening] = {
                OURS: _ours_async(proxy.settings(timeout_seconds=BUDGET_SECONDS)),
                RAW: lambda: _closing_async(redis.asyncio.Redis(host=proxy.host, port=proxy.port)),
                GLIDE: lambda: _glide(glide.GlideClient.create(config)),
            }
            _meet("role flip behind one address", event, openings, async_openings, report)


def many_at_once(engine: str, report: Report) -> None:
    """Start more concurrent calls than any pool has connections."""

    async def measure() -> Row:
        async with AsyncExitStack() as stack:
            ours = await stack.enter_async_context(AsyncClient.from_settings(server.settings(timeout_seconds=BUDGET_SECONDS)))
            raw = await stack.enter_async_context(redis.asyncio.Redis(host=server.host, port=server.port))
            config = glide.GlideClientConfiguration([glide.NodeAddress(server.host, server.port)])
            peer = await stack.enter_async_context(_glide(glide.GlideClient.create(config)))
            errors = await _errors_at_once(lambda key: ours.set(key, "v"))
            peers = {RAW: await _errors_at_once(lambda key: raw.set(key, "v")), GLIDE: await _errors_at_once(peer)}
            note = f"{ours.stats.connections} connection(s); redis-py {peers[RAW]:.0f} errors"
            return Row("faults", f"{AT_ONCE} concurrent calls, async", errors, "errors", at_most=0, peers=peers, note=note)

    with start_server(new_folder(), engine=engine) as server:
        report(asyncio.run(measure()))


async def _errors_at_once(write: Callable[[str], Awaitable[object]]) -> int:
    outcomes = await asyncio.gather(*(write(f"k{number}") for number in range(AT_ONCE)), return_exceptions=True)
    return sum(isinstance(outcome, Exception) for outcome in outcomes)


def _meet(
    what: str, event: Callable[[], None], openings: dict[str, Opening], async_openings: dict[str, AsyncOpening], report: Report
) -> None:
    """Report what the callers of all clients see while *event* happens, of threads and of tasks."""
    loads = {"sync": Load(), "async": Load()}
    for name, opening in openings.items():
        loads["sync"].add_threads(name, opening)
    for name, async_opening in async_openings.items():
        loads["async"].add_tasks(name, async_opening)
    time.sleep(BEFORE_SECONDS)
    event()
    time.sleep(AFTER_SECONDS)
    for load in loads.values():
        load.end()
    for kind, load in loads.items():
        report(_row(f"{what}, {kind}", load.seen))


def _row(what: str, seen: dict[str, Seen]) -> Row:
    peers = {name: float(its.errors) for name, its in seen.items() if name != OURS}
    summary = "; ".join(f"{name} {its.errors} errors, {its.outage_seconds:.1f} s" for name, its in seen.items() if name != OURS)
    note = f"outage {seen[OURS].outage_seconds:.1f} s, {seen[OURS].answered:,} writes; {summary}"
    return Row("faults", what, seen[OURS].errors, "errors", at_most=0, peers=peers, note=note)


def _ours(settings: Settings) -> Opening:
    @contextmanager
    def opening() -> Iterator[Callable[[str], object]]:
        with Client.from_settings(settings) as client:
            yield lambda key: client.set(key, "v")

    return opening


def _ours_async(settings: Settings) -> AsyncOpening:
    @asynccontextmanager
    async def opening() -> AsyncIterator[Callable[[str], Awaitable[object]]]:
        async with AsyncClient.from_settings(settings) as client:
            yield lambda key: client.set(key, "v")

    return opening


@contextmanager
def _closing(client: Any) -> Iterator[Callable[[str], object]]:
    with client:
        yield lambda key: client.set(key, "v")


@asynccontextmanager
async def _closing_async(client: Any) -> AsyncIterator[Callable[[str], Awaitable[object]]]:
    async with client:
        yield lambda key: client.set(key, "v")


@asynccontextmanager
async def _glide(creation: Awaitable[Any]) -> AsyncIterator[Callable[[str], Awaitable[object]]]:
    client = await creation
    try:
        yield lambda key: client.set(key, "v")
    finally:
        await client.close()
