# SPDX-License-Identifier: MIT
"""Rate limits: checks of one hot subject, beside INCR of redis-py and the limiters of others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from statistics import median

import limits
import redis
from keyfleet import AsyncClient, Client, Limit
from keyfleet.testing.servers import start_server
from limits.aio.storage import RedisStorage as AsyncRedisStorage
from limits.aio.strategies import FixedWindowRateLimiter as AsyncFixedWindow
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter
from redis_kit import TokenBucketLimiter

from .rows import OURS, RAW, Report, Row, take_turns, take_turns_async
from .workload import new_folder

CALLS = 100
ROUNDS = 60
TASKS = 50
MANY = 10_000_000
PEER = "limits"
SEVERAL = [Limit(MANY, 60), Limit(MANY, 3600)]
LOCAL_CALLS = 20_000


def one_after_another(engine: str, report: Report) -> None:
    """Compare checks that are admitted with INCR, and count refusals that need no server."""
    with ExitStack() as stack:
        server = stack.enter_context(start_server(new_folder(), engine=engine))
        ours = stack.enter_context(Client.from_settings(server.settings())).rate_limits
        raw = stack.enter_context(redis.Redis(server.host, server.port))
        storage = RedisStorage(f"redis://{server.host}:{server.port}")
        fixed, sliding = FixedWindowRateLimiter(storage), SlidingWindowCounterRateLimiter(storage)
        item, bucket = limits.RateLimitItemPerMinute(MANY), TokenBucketLimiter(raw, rate=MANY, capacity=MANY)
        peers = {
            RAW: lambda: raw.incr("n"),
            "limits fixed": lambda: fixed.hit(item, "a"),
            "limits sliding": lambda: sliding.hit(item, "a"),
            "redis-py-kit": lambda: bucket.acquire("a"),
        }
        checks = {"a GCRA check": lambda: ours.check("a", MANY, 60), "two limits in one call": lambda: ours.check_all("a", SEVERAL)}
        for what, check in checks.items():
            blocks = {name: _each(call) for name, call in {OURS: check, **peers}.items()}
            report(take_turns(blocks, CALLS, ROUNDS).row("rate limits", f"{what}, beside INCR", 0.83))
        ours.check("used", 1, 3600)
        report(Row("rate limits", "refusals known without asking, a second", median(_local_rates(ours)), "/s", at_least=500_000))


def _local_rates(ours: object) -> list[float]:
    check = ours.check  # type: ignore[attr-defined]
    check("used", 1, 3600)
    rates = []
    for _unused in range(9):
        started = time.perf_counter()
        for _call in range(LOCAL_CALLS):
            check("used", 1, 3600)
        rates.append(LOCAL_CALLS / (time.perf_counter() - started))
    return rates


def many_tasks(engine: str, report: Report) -> None:
    """Compare checks of 50 tasks on one client with those of limits."""

    async def measure(host: str, port: int, client: AsyncClient) -> None:
        async with AsyncExitStack() as stack:
            ours = (await stack.enter_async_context(client)).rate_limits
            raw = await stack.enter_async_context(redis.asyncio.Redis(host=host, port=port))
            theirs = AsyncFixedWindow(AsyncRedisStorage(f"async+redis://{host}:{port}", implementation="redispy"))
            item = limits.RateLimitItemPerMinute(MANY)
            calls = {OURS: lambda: ours.check("a", MANY, 60), RAW: lambda: raw.incr("n"), PEER: lambda: theirs.hit(item, "a")}

            def block(call: Callable[[], object]) -> Callable[[], object]:
                async def task() -> None:
                    for _unused in range(CALLS // 10):
                        await call()  # type: ignore[misc]

                return lambda: asyncio.gather(*(task() for _unused in range(TASKS)))

            blocks = {name: block(call) for name, call in calls.items()}
            rates = await take_turns_async(blocks, TASKS * CALLS // 10, ROUNDS)  # type: ignore[arg-type]
            report(rates.row("rate limits", "a GCRA check, 50 tasks, beside INCR", None))
            report(rates.row_beside(PEER, "rate limits", "a GCRA check, 50 tasks", 3.0))

    with start_server(new_folder(), engine=engine) as server:
        asyncio.run(measure(server.host, server.port, AsyncClient.from_settings(server.settings())))


def _each(call: Callable[[], object]) -> Callable[[], object]:
    def block() -> None:
        for _unused in range(CALLS):
            call()

    return block
