# SPDX-License-Identifier: MIT
"""Locks: pairs of acquire and release, and the worst wait of eight contenders."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from statistics import median
from typing import Any

import redis
import redis_kit
import redis_lock
from keyfleet import Client
from keyfleet.testing.servers import start_server

from .rows import OURS, RAW, Report, Row, take_turns
from .workload import new_folder

PAIRS = 50
ROUNDS = 60
CONTENDERS, TURNS, WORK_SECONDS = 8, 25, 0.001
CONTESTS = 5
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

Lock = Callable[[], AbstractContextManager[Any]]


def pairs(engine: str, report: Report) -> None:
    """Compare uncontended pairs with a bare SET NX and EVALSHA, which is no lock yet: no line, no number, no renewal."""
    with ExitStack() as stack:
        _server, raw, locks = _contestants(engine, stack)
        release = raw.register_script(RELEASE)

        def bare() -> None:
            for _unused in range(PAIRS):
                raw.set("bare", "token", nx=True, px=30_000)
                release(keys=["bare"], args=["token"])

        blocks = {RAW: bare, **{name: _pairs(make) for name, make in locks.items()}}
        report(take_turns(blocks, PAIRS, ROUNDS).row("locks", "a pair, beside bare SET NX + EVALSHA", 0.83))


def contended(engine: str, report: Report) -> None:
    """Let eight threads take 25 turns of 1 ms each; the total cannot be below 0.2 s."""
    with ExitStack() as stack:
        _server, _raw, locks = _contestants(engine, stack)
        waits: dict[str, list[float]] = {name: [] for name in locks}
        totals: dict[str, list[float]] = {name: [] for name in locks}
        for _unused in range(CONTESTS):
            for name, make in locks.items():
                total, worst = _contest(make)
                totals[name].append(total)
                waits[name].append(worst * 1000)
        medians = {name: median(found) for name, found in waits.items()}
        note = "total " + ", ".join(f"{name} {median(found):.2f} s" for name, found in totals.items())
        mine = medians.pop(OURS)
        report(Row("locks", "worst wait of 8 contenders, 25 turns of 1 ms each", mine, "ms", at_most=40, peers=medians, note=note))


def _contestants(engine: str, stack: ExitStack) -> tuple[Any, redis.Redis, dict[str, Lock]]:
    server = stack.enter_context(start_server(new_folder(), engine=engine))
    ours = stack.enter_context(Client.from_settings(server.settings()))
    raw = stack.enter_context(redis.Redis(server.host, server.port))
    kit = redis_kit.Lock(raw)
    locks: dict[str, Lock] = {
        OURS: lambda: ours.lock("a"),
        "redis-py Lock": lambda: raw.lock("b", timeout=30),
        "python-redis-lock": lambda: redis_lock.Lock(raw, "c", expire=30),
        "redis-py-kit": lambda: kit("d", timeout=30, blocking_timeout=60),
    }
    return server, raw, locks


def _pairs(make: Lock) -> Callable[[], object]:
    def block() -> None:
        for _unused in range(PAIRS):
            with make():
                pass

    return block


def _contest(make: Lock) -> tuple[float, float]:
    """Return the total time and the longest wait of one contender."""
    waits: list[float] = []

    def work() -> None:
        for _unused in range(TURNS):
            asked = time.perf_counter()
            with make():
                waits.append(time.perf_counter() - asked)
                time.sleep(WORK_SECONDS)

    threads = [threading.Thread(target=work) for _unused in range(CONTENDERS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started, max(waits)
