# SPDX-License-Identifier: MIT
"""Which criteria of a cache redis-py-kit holds: each is tried on keyfleet as well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio
from keyfleet import AsyncClient
from keyfleet.testing.servers import start_server
from redis_kit.cache.async_cache import AsyncCache as KitCache
from redis_kit.cache.async_tiered import AsyncTieredCache as KitTieredCache

from .rows import OURS, Report, Row
from .workload import new_folder

KIT = "redis-py-kit"
GetOrSet = Callable[[str, Callable[[], Awaitable[Any]]], Awaitable[Any]]


class Case:
    """
    A cache, and a plain client of its server.

    Attributes:
        get_or_set: Its call of that kind.
        raw: The plain client.
        runs: How often the loader was called.
    """

    def __init__(self, get_or_set: GetOrSet, raw: redis.asyncio.Redis) -> None:
        self.get_or_set, self.raw, self.runs = get_or_set, raw, 0

    async def load(self, result: Any = 1) -> Any:
        """Be the loader: take a while and return *result*, or raise it."""
        self.runs += 1
        await asyncio.sleep(0.05)
        if isinstance(result, Exception):
            raise result
        return result


async def one_run(case: Case) -> bool:
    """50 callers, one run."""
    await asyncio.gather(*(case.get_or_set("k", case.load) for _unused in range(50)))
    return case.runs == 1


async def one_run_after_cancellation(case: Case) -> bool:
    """The first of 20 is cancelled: the others are answered, by one run."""
    tasks = [asyncio.ensure_future(case.get_or_set("k", case.load)) for _unused in range(20)]
    while not case.runs:
        await asyncio.sleep(0.001)
    tasks[0].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return found[1:] == [1] * 19 and case.runs == 1


async def one_run_that_raises(case: Case) -> bool:
    """20 callers of a loader that raises: one run, all get the error."""
    error = OSError("down")
    calls = (case.get_or_set("k", lambda: case.load(error)) for _unused in range(20))
    found = await asyncio.gather(*calls, return_exceptions=True)
    return found == [error] * 20 and case.runs == 1


async def none_is_a_value(case: Case) -> bool:
    """None is cached: one run of five."""
    found = [await case.get_or_set("k", lambda: case.load(None)) for _unused in range(5)]
    return found == [None] * 5 and case.runs == 1


async def never_the_old_value(case: Case) -> bool:
    """What is loaded while the key is deleted is not served afterwards."""

    async def load() -> str:
        await case.raw.delete("k")
        return "old"

    await case.get_or_set("k", load)
    return bool(await case.get_or_set("k", lambda: case.load("new")) == "new")


async def poison_is_a_miss(case: Case) -> bool:
    """What cannot be read is loaded anew."""
    await case.raw.set("k", b"\xff{")
    return bool(await case.get_or_set("k", case.load) == 1)


CRITERIA = (one_run, one_run_after_cancellation, one_run_that_raises, none_is_a_value, never_the_old_value, poison_is_a_miss)


def caches(engine: str, report: Report) -> None:
    """Try each criterion on both."""

    async def measure() -> None:
        raw = redis.asyncio.Redis(host=server.host, port=server.port, max_connections=200)
        kit = KitCache(raw)
        async with AsyncClient.from_settings(server.settings()) as client:
            ours: GetOrSet = lambda key, load: client.cache.get_or_set(key, load, 60)  # noqa: E731
            theirs: GetOrSet = lambda key, load: kit.remember(key, load, 60)  # noqa: E731
            for criterion in CRITERIA:
                found = {OURS: await _holds(criterion, ours, raw), KIT: await _holds(criterion, theirs, raw)}
                what = str(criterion.__doc__).rstrip(".")
                report(Row("criteria", what, found[OURS], "holds", at_least=1, peers={KIT: found[KIT]}))
            found = {OURS: await _is_notified(client, raw), KIT: await _kit_is_notified(kit, raw)}
            report(
                Row("criteria", "A change by another client is seen in memory", found[OURS], "holds", at_least=1, peers={KIT: found[KIT]})
            )
        await raw.aclose()

    with start_server(new_folder(), engine=engine) as server:
        asyncio.run(measure())


async def _holds(criterion: Callable[[Case], Awaitable[bool]], get_or_set: GetOrSet, raw: redis.asyncio.Redis) -> float:
    await raw.flushdb()
    try:
        return float(await criterion(Case(get_or_set, raw)))
    except Exception:  # noqa: BLE001 - an error of the library is a criterion that is broken
        return 0.0


async def _is_notified(client: AsyncClient, raw: redis.asyncio.Redis) -> float:
    await raw.flushdb()
    cache = client.cache.local()
    await cache.set("k", 1, 60)
    while not cache.stats.local_hits:
        await cache.get("k")
        await asyncio.sleep(0.01)
    await raw.delete("k")
    await asyncio.sleep(0.05)
    return float(await cache.get("k") is None)


async def _kit_is_notified(kit: KitCache, raw: redis.asyncio.Redis) -> float:
    tiered = KitTieredCache(kit)
    await tiered.set("t", 1, 60)
    await raw.delete("t")
    await asyncio.sleep(0.05)
    return float(await tiered.get("t") is None)
