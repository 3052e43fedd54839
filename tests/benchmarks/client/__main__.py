# SPDX-License-Identifier: MIT
"""
Measure the client library beside redis-py and its other peers.

Usage: scripts/bench client [--server ENGINE] [PART ...]     (default: all parts)
  --server  redis or valkey of PATH, or a version, as in redis-8.0 (scripts/servers makes it)

Rates are medians of paired ratios: contestants take turns in one process, in short blocks, another one first each time, so that a busy
machine slows all of them down. Faults are counted as errors that callers got. A row with a target says whether it was met; nothing fails.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import glide

from . import caches, criteria, faults, kit, locks, plain, rate_limits, startup, subscriptions, sync, tasks, waits
from .rows import Report, Row, table

Measurement = Callable[[str, Report], None]

RESULTS = Path(".cache/bench-client.json")
PARTS: dict[str, tuple[str, list[Measurement]]] = {
    "sync": ("JSON set and get, one after another", [sync.one_after_another]),
    "plain": ("the same without hiredis and orjson", [plain.without_accelerators]),
    "batch": ("100 keys in one call", [sync.at_once]),
    "pipeline": ("pipelines of 100 calls", [sync.pipelines]),
    "async": ("50 tasks and one task on one client", [tasks.single_server]),
    "cluster": ("50 tasks on three nodes", [tasks.cluster]),
    "faults": (
        "servers that die, change roles, or are asked by many",
        [faults.many_at_once, faults.role_flip, faults.sentinel_primary_killed, faults.cluster_primary_killed],
    ),
    "waits": ("servers that do not answer, queues that stay empty", [waits.dead_server, waits.unanswered, waits.blocking_pop]),
    "pubsub": ("subscribers whose connection is killed", [subscriptions.killed]),
    "limits": ("checks of rate limits", [rate_limits.one_after_another, rate_limits.many_tasks]),
    "locks": ("pairs, and eight contenders", [locks.pairs, locks.contended]),
    "kit": ("what redis-py-kit holds and breaks", [kit.criteria, criteria.caches]),
    "cache": (
        "stampedes, hits in memory, tags, deleting by prefix",
        [caches.stampede, caches.local_hits, caches.tags, caches.delete_prefix],
    ),
    "import": ("time to import", [startup.imports]),
}


def main() -> None:
    """Measure the parts that the command line names."""
    parts = "\n".join(f"  {name:8}  {what}" for name, (what, _measurements) in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench client",
        usage=argparse.SUPPRESS,
        description=f"{__doc__}\nParts:\n{parts}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--server", default="redis", help=argparse.SUPPRESS)
    parser.add_argument("parts", nargs="*", metavar="PART", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"PART is {unknown[0]!r}; allowed: {', '.join(PARTS)}")
    glide.Logger.set_logger_config(glide.LogLevel.OFF)  # it prints each redirection on the terminal
    rows = measure(arguments.parts or list(PARTS), arguments.server)
    missed, targets = sum(row.is_missed for row in rows), sum(bool(row.target) for row in rows)
    print(f"\n{table(rows)}\n\n{missed} of {targets} targets missed; all results are in {RESULTS}")


def measure(parts: list[str], engine: str) -> list[Row]:
    """Return the rows of *parts*, each reported when it is measured, and keep them in RESULTS."""
    packages = {
        name: version(name)
        for name in (
            "redis",
            "hiredis",
            "orjson",
            "valkey",
            "valkey-glide",
            "valkey-glide-sync",
            "cashews",
            "aiocache",
            "limits",
            "python-redis-lock",
            "redis-py-kit",
        )
    }
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version(), "server": engine, **packages}
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    rows: list[Row] = []

    def report(row: Row) -> None:
        rows.append(row)
        print(f"    {table([row]).splitlines()[1]}", flush=True)

    started = time.monotonic()
    for part in parts:
        what, measurements = PARTS[part]
        print(f"==> {part}: {what} ({time.monotonic() - started:.0f} s)", flush=True)
        for measurement in measurements:
            measurement(engine, report)
    RESULTS.write_text(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1) + "\n", encoding="utf-8")
    return rows


if __name__ == "__main__":
    main()
