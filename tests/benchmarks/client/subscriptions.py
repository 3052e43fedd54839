# SPDX-License-Identifier: MIT
"""How long a subscriber is deaf after its connection was killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

import redis
from keyfleet import AsyncClient, Client
from keyfleet.testing.servers import Server, start_server
from redis.exceptions import RedisError

from .rows import RAW, Report, Row
from .workload import new_folder

CHANNEL = "news"
KILLS = 5
STEADY_SECONDS = 2.1  # between kills: keyfleet waits before it replaces a connection that was lost sooner, to spare the server
LISTEN_SECONDS = 0.005
TIMEOUT_SECONDS = 10.0

Listen = Callable[[float], object]  # takes seconds; what it returns is true for a message


def killed(engine: str, report: Report) -> None:
    """Kill the connection of a subscriber while another client publishes without end."""
    with start_server(new_folder(), engine=engine) as server, redis.Redis(server.host, server.port) as admin:
        with admin.pubsub(ignore_subscribe_messages=True) as raw:
            raw.subscribe(CHANNEL)
            peers = {RAW: median(_deaf_milliseconds(admin, lambda seconds: raw.get_message(timeout=seconds)))}
        report(_row("sync", _sync(server, admin), peers))
        report(_row("async", _async(server, admin), peers))


def _row(kind: str, times: list[float], peers: dict[str, float]) -> Row:
    lower, _middle, upper = quantiles(times, n=4)
    note = f"{KILLS} kills, the longest {max(times):.0f} ms"
    return Row("pubsub", f"deaf after the connection was killed, {kind}", median(times), "ms", None, 200.0, peers, (lower, upper), note)


def _sync(server: Server, admin: Any) -> list[float]:
    with Client.from_settings(server.settings()) as client, client.subscribe(CHANNEL) as subscription:
        return _deaf_milliseconds(admin, lambda seconds: hasattr(subscription.next(seconds), "data"))


def _async(server: Server, admin: Any) -> list[float]:
    client: Any = AsyncClient.from_settings(server.settings())

    async def subscribe() -> Any:
        return await client.subscribe(CHANNEL).__aenter__()

    with asyncio.Runner() as runner:  # type: ignore[attr-defined]
        subscription = runner.run(subscribe())
        times = _deaf_milliseconds(admin, lambda seconds: hasattr(runner.run(subscription.next(seconds)), "data"))
        runner.run(subscription.close())
        runner.run(client.close())
    return times


def _deaf_milliseconds(admin: Any, listen: Listen) -> list[float]:
    """Return the time from each kill until the next message arrived."""
    times = []
    for _unused in range(KILLS):
        time.sleep(STEADY_SECONDS)
        _next_message(admin, listen)
        admin.client_kill_filter(_type="pubsub")
        times.append(1000 * _next_message(admin, listen))
    return times


def _next_message(admin: Any, listen: Listen) -> float:
    """Take what is there, then publish until something arrives; return how many seconds that took."""
    started = time.monotonic()
    while _hears(listen, 0.0):
        pass
    while time.monotonic() - started < TIMEOUT_SECONDS:
        admin.publish(CHANNEL, "m")
        if _hears(listen, LISTEN_SECONDS):
            return time.monotonic() - started
    raise RuntimeError(f"a subscriber heard nothing for {TIMEOUT_SECONDS:g} s")


def _hears(listen: Listen, seconds: float) -> bool:
    try:
        return bool(listen(seconds))
    except RedisError:
        return False
