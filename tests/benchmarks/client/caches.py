# SPDX-License-Identifier: MIT
"""The cache: stampedes, hits in memory, tags, and deleting by prefix beside another client."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import redis
import redis.asyncio
from aiocache import Cache as AioCache
from aiocache.decorators import cached_stampede
from aiocache.serializers import JsonSerializer
from cashews import Cache as CashewsCache
from keyfleet import AsyncClient, Client
from keyfleet.testing.servers import Server, start_server
from redis_kit.cache.async_cache import AsyncCache as KitCache
from redis_kit.cache.async_tiered import AsyncTieredCache as KitTieredCache

from .rows import OURS, Report, Row
from .workload import VALUE, new_folder

CALLERS, LOAD_SECONDS = 200, 0.1
HITS = 20_000
KEYS, DOOMED = 1_000_000, 200_000
MEMBERS = 20_000
KIT, CASHEWS, AIOCACHE = "redis-py-kit", "cashews", "aiocache"

FORK = multiprocessing.get_context("fork")

Load = Callable[[], Awaitable[Any]]
Wrap = Callable[[Load], Load]  # returns a function that asks the cache first


def stampede(engine: str, report: Report) -> None:
    """Let 200 tasks ask for one missing value, the first time while connections are opened, and then cancel the first of 20."""

    async def measure() -> None:
        async with AsyncClient.from_settings(server.settings()) as ours:
            wraps = {OURS: _ours(ours), **_peers(server)}
            runs, first, seconds, answered = {}, {}, {}, {}
            for name, wrap in wraps.items():
                await ours.execute("FLUSHDB")
                first_runs, first[name] = await _wave(wrap)
                await ours.execute("FLUSHDB")
                runs[name], seconds[name] = await _wave(wrap)
                runs[name] = max(runs[name], first_runs)
                await ours.execute("FLUSHDB")
                answered[name] = await _cancelled(wrap)
        peers = {name: float(count) for name, count in runs.items() if name != OURS}
        report(Row("cache", "stampede of 200: runs", runs[OURS], "runs", at_most=1, peers=peers))
        for what, found, most in (("stampede of 200, 100 ms function", seconds, 125), ("the same: first one of a process", first, None)):
            milliseconds = {name: 1000 * value for name, value in found.items()}
            ours_ms = milliseconds.pop(OURS)
            report(Row("cache", what, ours_ms, "ms", at_most=most, peers=milliseconds))
        others = {name: float(count) for name, count in answered.items() if name != OURS}
        report(Row("cache", "first of 20 cancelled: others answered", answered[OURS], "answers", at_least=19, peers=others))

    with start_server(new_folder(), engine=engine) as server:
        asyncio.run(measure())


def _ours(client: AsyncClient) -> Wrap:
    return lambda load: lambda: client.cache.get_or_set("k", load, 3600)


def _peers(server: Server) -> dict[str, Wrap]:
    """Return how the others do the same, with what they have against stampedes."""
    cashews = CashewsCache()
    cashews.setup(f"redis://{server.host}:{server.port}")
    kit = KitCache(redis.asyncio.Redis(host=server.host, port=server.port, max_connections=300))

    def with_cashews(load: Load) -> Load:
        return cashews(ttl=3600, key="c", lock=True)(load)  # type: ignore[no-any-return]

    def with_aiocache(load: Load) -> Load:
        options = {"endpoint": server.host, "port": server.port, "serializer": JsonSerializer(), "pool_max_size": 300}
        return cached_stampede(lease=10, ttl=3600, cache=AioCache.REDIS, key_builder=lambda *_args: "a", **options)(load)  # type: ignore[no-any-return]

    return {CASHEWS: with_cashews, AIOCACHE: with_aiocache, KIT: lambda load: lambda: kit.remember("kit", load, 3600)}


async def _wave(wrap: Wrap) -> tuple[int, float]:
    runs = 0

    async def load() -> dict[str, Any]:
        nonlocal runs
        runs += 1
        await asyncio.sleep(LOAD_SECONDS)
        return VALUE

    ask, started = wrap(load), time.perf_counter()
    await asyncio.gather(*(ask() for _unused in range(CALLERS)), return_exceptions=True)
    return runs, time.perf_counter() - started


async def _cancelled(wrap: Wrap) -> int:
    is_loading = asyncio.Event()

    async def load() -> dict[str, Any]:
        is_loading.set()
        await asyncio.sleep(LOAD_SECONDS)
        return VALUE

    ask = wrap(load)
    tasks = [asyncio.ensure_future(ask()) for _unused in range(20)]
    await asyncio.wait_for(is_loading.wait(), 10)
    tasks[0].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return sum(item == VALUE for item in found)


def local_hits(engine: str, report: Report) -> None:
    """Read one entry from memory; by processor time, which a busy machine changes least."""
    with start_server(new_folder(), engine=engine) as server:
        with Client.from_settings(server.settings()) as client:
            cache = client.cache.local()
            cache.set("k", VALUE, 3600)
            while not cache.stats.local_hits:
                cache.get("k")
                time.sleep(0.01)
            report(Row("cache", "local hit, sync", _thousands(lambda: cache.get_or_set("k", _never, 3600)), "k/s", at_least=400))
        asyncio.run(_async_hits(server, report))


def _never() -> Any:
    raise AssertionError("the value is there")


def _thousands(call: Callable[[], object]) -> float:
    best = float("inf")
    for _unused in range(10):
        started = time.process_time()
        for _hit in range(HITS):
            call()
        best = min(best, time.process_time() - started)
    return HITS / best / 1000


async def _async_hits(server: Server, report: Report) -> None:
    async def rate(call: Callable[[], Awaitable[object]]) -> float:
        best = float("inf")
        for _unused in range(10):
            started = time.process_time()
            for _hit in range(HITS):
                await call()
            best = min(best, time.process_time() - started)
        return HITS / best / 1000

    cashews = CashewsCache()
    cashews.setup(f"redis://{server.host}:{server.port}", client_side=True)
    await cashews.set("c", VALUE)
    tiered = KitTieredCache(KitCache(redis.asyncio.Redis(host=server.host, port=server.port)))
    await tiered.set("t", VALUE, 3600)
    async with AsyncClient.from_settings(server.settings()) as client:
        cache = client.cache.local()
        await cache.set("k", VALUE, 3600)
        while not cache.stats.local_hits:
            await cache.get("k")
            await asyncio.sleep(0.01)
        peers = {CASHEWS: await rate(lambda: cashews.get("c")), KIT: await rate(lambda: tiered.get("t"))}
        ours = await rate(lambda: cache.get_or_set("k", _never, 3600))
        note = f"{CASHEWS} and {KIT} return one object to all callers; {KIT} is not notified of changes"
        report(Row("cache", "local hit, async", ours, "k/s", at_least=270, peers=peers, note=note))
    await cashews.close()


def tags(engine: str, report: Report) -> None:
    """Invalidate a tag with 20,000 members, and store entries with a tag and without."""

    async def measure() -> None:
        cashews = CashewsCache()
        cashews.setup(f"redis://{server.host}:{server.port}")
        cashews.register_tag("t", "c:{number}")
        async with AsyncClient.from_settings(server.settings()) as client:
            for start in range(0, MEMBERS, 100):
                numbers = range(start, start + 100)
                await asyncio.gather(*(client.cache.set(f"k{number}", number, 3600, tags=["t"]) for number in numbers))
                await asyncio.gather(*(cashews.set(f"c:{number}", number, expire=3600, tags=["t"]) for number in numbers))
            ours = await _milliseconds(lambda: client.cache.invalidate_tags("t"))
            peer = await _milliseconds(lambda: cashews.delete_tags("t"))
            report(Row("cache", "invalidate a tag of 20,000", ours, "ms", peers={CASHEWS: peer}))
            plain, tagged = [], []
            for number in range(20):
                plain.append(await _milliseconds(lambda number=number: _fill(client, f"p{number}", [])))  # type: ignore[misc]
                tagged.append(await _milliseconds(lambda number=number: _fill(client, f"t{number}", ["t"])))  # type: ignore[misc]
            ratio = min(plain) / min(tagged)
            report(Row("cache", "fill with a tag, beside one without", ratio, "x", note="round trips are the same"))
        await cashews.close()

    with start_server(new_folder(), engine=engine) as server:
        asyncio.run(measure())


async def _milliseconds(call: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await call()
    return 1000 * (time.perf_counter() - started)


async def _fill(client: AsyncClient, prefix: str, wanted: list[str]) -> None:
    await asyncio.gather(*(client.cache.get_or_set(f"{prefix}:{number}", lambda: VALUE, 3600, tags=wanted) for number in range(50)))


def delete_prefix(engine: str, report: Report) -> None:
    """Delete 200,000 of 1,000,000 keys while another client reads, beside a bare SCAN of them all."""
    with start_server(new_folder(), engine=engine) as server, Client.from_settings(server.settings(timeout_seconds=30)) as client:
        for start in range(0, KEYS, 10_000):
            names = (f"{'doomed' if number % (KEYS // DOOMED) == 0 else 'kept'}:{number}" for number in range(start, start + 10_000))
            client.set_many(dict.fromkeys(names, "v"))
        raw = redis.Redis(server.host, server.port)
        started = time.perf_counter()
        cursor: Any = 0
        while True:
            cursor, _names = raw.scan(cursor, count=10_000)
            if not cursor:
                break
        floor = time.perf_counter() - started
        ours, theirs = FORK.Pipe()
        reader = FORK.Process(target=_read, args=(server.host, server.port, theirs))
        reader.start()
        ours.recv()
        started = time.perf_counter()
        outcome = client.cache.invalidate_prefix("doomed:")
        seconds = time.perf_counter() - started
        ours.send("over")
        worst = ours.recv()
        reader.join()
        note = f"{outcome.deleted:,} of {DOOMED:,} in {seconds:.2f} s, bare SCAN {floor:.2f} s"
        report(Row("cache", "delete 200,000 of 1,000,000, beside a bare SCAN", seconds / floor, "times", at_most=1.5, note=note))
        report(Row("cache", "the same: another client's worst GET", 1000 * worst, "ms", at_most=10))
        client.set_many({f"doomed:{number}": 1 for number in range(50_000)})
        tracemalloc.start()
        client.cache.invalidate_prefix("doomed:")
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        report(Row("cache", "the same: memory of the client", peak / 2**20, "MiB", at_most=5))


def _read(host: str, port: int, other: Any) -> None:
    """Be another process that reads one key until it is stopped, and report its longest wait."""
    worst = 0.0
    with redis.Redis(host, port) as raw:
        raw.ping()
        other.send("ready")
        while not other.poll():
            started = time.perf_counter()
            raw.get("kept:1")
            worst = max(worst, time.perf_counter() - started)
    other.send(worst)
