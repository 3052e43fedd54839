# SPDX-License-Identifier: MIT
"""How long callers wait for a server that does not answer."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Any

import redis
from keyfleet import AsyncClient, Client, Policy, Settings, UnreachableError
from keyfleet.testing.servers import start_server
from redis.exceptions import RedisError

from .rows import RAW, Report, Row
from .workload import new_folder

BUDGET_SECONDS = 0.5
ATTEMPTS = 3
POP_SECONDS = 2.0
FAILURES = 5
CALLS = 400
WITHOUT_BREAKER = Policy(breaker_failures=0)  # each call waits for the server


def dead_server(engine: str, report: Report) -> None:
    """Call a server that is not there after five calls have failed."""
    del engine
    with _nothing_listens() as settings:
        with redis.Redis(settings.host, settings.port) as raw:
            peers = {RAW: 1000 * _failing_seconds(lambda: raw.get("k"))}
        with _blocking_calls(settings, Policy()) as call:
            report(_refused("sync", call, peers))
        with _task_calls(settings, Policy()) as call:
            report(_refused("async", call, peers))


def _refused(kind: str, call: Callable[[], object], peers: dict[str, float]) -> Row:
    for _unused in range(FAILURES):
        _failing_seconds(call)
    waits = [1000 * _failing_seconds(call) for _unused in range(CALLS)]
    lower, _middle, upper = quantiles(waits, n=4)
    note = f"{CALLS} calls; the longest, which probes, {max(waits):.0f} ms"
    return Row("waits", f"dead server after {FAILURES} failures, {kind}", median(waits), "ms", None, 1.0, peers, (lower, upper), note)


def unanswered(engine: str, report: Report) -> None:
    """Call servers that do not answer, and report how much longer than its budget a call takes."""
    with _nothing_listens() as settings:
        _report_overshoot("nothing listens", settings, report)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        _report_overshoot("accepts and never answers", Settings(port=silent.getsockname()[1], timeout_seconds=BUDGET_SECONDS), report)
    with start_server(new_folder(), engine=engine) as server:
        server.pause()
        _report_overshoot("SIGSTOP", server.settings(timeout_seconds=BUDGET_SECONDS), report)


def blocking_pop(engine: str, report: Report) -> None:
    """Wait for an element that never comes, longer than the budget of a call."""
    with start_server(new_folder(), engine=engine) as server:
        settings = server.settings(timeout_seconds=BUDGET_SECONDS)
        with Client.from_settings(settings) as client:
            _report_pop("sync", lambda: client.blpop("queue", timeout_seconds=POP_SECONDS), report)
        tasks: Any = AsyncClient.from_settings(settings)
        with asyncio.Runner() as runner:  # type: ignore[attr-defined]
            _report_pop("async", lambda: runner.run(tasks.blpop("queue", timeout_seconds=POP_SECONDS)), report)
            runner.run(tasks.close())


def _report_pop(kind: str, pop: Callable[[], object], report: Report) -> None:
    over = []
    for _unused in range(ATTEMPTS):
        started = time.perf_counter()
        if pop() is not None:
            raise RuntimeError("an empty list gave an element")
        over.append(1000 * (time.perf_counter() - started - POP_SECONDS))
    note = f"worst of {ATTEMPTS}; earliest {min(over):.0f} ms after its time"
    report(Row("waits", f"BLPOP of {POP_SECONDS:g} s: over its time, {kind}", max(over), "ms", at_most=300.0, note=note))


def _report_overshoot(what: str, settings: Settings, report: Report) -> None:
    for kind, calls in (("sync", _blocking_calls), ("async", _task_calls)):
        with calls(settings, WITHOUT_BREAKER) as call:
            over = [1000 * (_failing_seconds(call) - BUDGET_SECONDS) for _unused in range(ATTEMPTS)]
        note = f"worst of {ATTEMPTS}, budget {1000 * BUDGET_SECONDS:.0f} ms"
        report(Row("waits", f"{what}: over the budget, {kind}", max(over), "ms", at_most=50.0, note=note))


@contextmanager
def _nothing_listens() -> Iterator[Settings]:
    with socket.socket() as holder:  # bound and not listening: the port stays refused
        holder.bind(("127.0.0.1", 0))
        yield Settings(port=holder.getsockname()[1], timeout_seconds=BUDGET_SECONDS)


@contextmanager
def _blocking_calls(settings: Settings, policy: Policy) -> Iterator[Callable[[], object]]:
    with Client.from_settings(settings, policy=policy) as client:
        yield lambda: client.get("k")


@contextmanager
def _task_calls(settings: Settings, policy: Policy) -> Iterator[Callable[[], object]]:
    client: Any = AsyncClient.from_settings(settings, policy=policy)
    with asyncio.Runner() as runner:  # type: ignore[attr-defined]
        yield lambda: runner.run(client.get("k"))
        runner.run(client.close())


def _failing_seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    try:
        call()
    except (UnreachableError, RedisError):
        return time.perf_counter() - started
    raise RuntimeError("a server that is not there has answered")
