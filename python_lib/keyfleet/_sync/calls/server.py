# SPDX-License-Identifier: MIT - made from _async/calls/server.py by scripts/generate_sync.py; change that one
"""The calls about servers: their INFO, health and memory, and deleting all their keys."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..._transport.dialer import Address, format_address
from ..._transport.thread_pool import Node
from ..._transport.thread_waits import run_blocking
from ...core.errors import RefusedError
from ..call import Call
from ..executor import Engine
from ..lifecycle import ClientBase

# Imported where it is needed: few programs make these calls, and all would wait for it at their start.
if TYPE_CHECKING:
    from ..._protocol.info import MemoryEstimate, Sample, ServerInfo, SlowLogEntry
    from ...core.connect.settings import Settings
    from ...core.health.report import HealthReport

FLUSHABLE = ("development", "test")
NAMES_IN_ONE_STEP = 1000


class ServerCalls(ClientBase):
    """INFO of servers, and operations on all their keys."""

    def info(self, section: str = "default", *, replicas: bool = False) -> dict[str, ServerInfo]:
        """
        Return the fields of INFO by address of the server: one entry, or one for each primary of a cluster.

        Args:
            section: Part of INFO, as ``memory``, ``everything`` or a module's; what other parts hold is None then.
            replicas: Also of the replicas that the cluster, or else their primary, names; each is asked over a connection of its own.
        Raises:
            DeniedError: where the server does not offer INFO.
            UnreachableError: if one of them, a replica included, does not answer.
        """
        from ..._protocol import info as _info

        deadline = self._deadline()
        with self._counted():
            engine = self._engines.current()
            answers = engine.run_on_primaries(_info.info(section), self._budget)
            found = {format_address(node.address): answer for node, answer in answers}
            if replicas:
                for address in self._replica_addresses(engine, deadline):
                    found[format_address(address)] = self._ask_replica(address, section, deadline)
        return found

    def _replica_addresses(self, engine: Engine, deadline: float) -> list[Address]:
        if self._settings.cluster_nodes:
            engine.relearn(deadline)
            return engine.router.replica_addresses
        from ..._protocol import info as _info

        rows = engine.run_on_primaries(_info.info("replication"), _left(deadline))
        return [address for _node, row in rows for address in row.replica_addresses]

    def _ask_replica(self, address: Address, section: str, deadline: float) -> ServerInfo:
        from ..._protocol.info import read_info
        from .visit import Visit

        visit = Visit.begin(self._dialer, address, deadline)
        try:
            return read_info(visit.ask("INFO", section))
        finally:
            visit.end()

    @property
    def is_live(self) -> bool:
        """
        Whether the client works, whatever the server does: true until `close`. For liveness probes.

        A process whose server is down does not get well by being restarted; `health` is for readiness.
        """
        return self._engines.is_open

    def health(self, *, write_probe: bool = False, keeps: Iterable[str] = ()) -> HealthReport:
        """
        Return a verdict, the reasons, and one result for each check; a server that does not answer is a verdict, not an exception.

        Every primary is asked once, over a connection of its own, all of them within the budget of one call. The checks are those of
        the module redis_health, and the client's own: eviction, pool, breaker, discovery, counters. docs/client/health.md lists them.

        Args:
            write_probe: Whether to write a key, read it back and delete it, on every primary.
            keeps: Prefixes of keys that must live until their time comes, as ``Prefix.SESSION``; a server that may evict them
                is degraded.
        """
        from .health import check_servers

        self._counters.calls += 1
        prefixes = (keeps,) if isinstance(keeps, str) else tuple(keeps)
        engine = self._engines.current()
        return check_servers(engine, self._dialer, self._deadline(), write_probe, prefixes, lambda: self.stats)

    def slow_log(self, count: int = 10) -> dict[str, list[SlowLogEntry]]:
        """
        Return the newest commands that took a server long, the newest first, by address of the primary.

        Which ones are kept is the server's slowlog-log-slower-than and slowlog-max-len; arguments may hold values, secrets among them.

        Args:
            count: Most entries of each server.
        Raises:
            DeniedError: where the server does not offer SLOWLOG, as serverless caches.
        """
        from ..._protocol import info as _info

        _refuse_less_than_one("count", count)
        return self._run_on_primaries(_info.slow_log(count))

    def memory_by_prefix(self, sample: int = 1000, *, depth: int = 1, separator: str = ":") -> MemoryEstimate:
        """
        Estimate what keys take, by the beginning of their names, from some keys of every primary.

        A server gives keys in the order of its hash table, which is random with respect to names, and the rest is taken to be like
        them. Few keys of a kind may not be met at all. All of it has to fit into the budget of one call: give a large *sample* more
        time, as in ``client.within(30).memory_by_prefix(100_000)``.

        Args:
            sample: Number of keys to read on all primaries together, whatever their prefix. A few more may be read.
            depth, separator: A prefix is the first *depth* parts of a name, each with the *separator* that ends it, as ``session:``.
        Raises:
            DeniedError: where the server does not offer MEMORY USAGE, as serverless caches.
        """
        from ..._protocol import info as _info

        _refuse_less_than_one("sample", sample)
        _refuse_less_than_one("depth", depth)
        if not separator:
            raise ValueError("separator is empty; it must have at least one character")
        deadline = self._deadline()
        with self._counted():
            engine = self._engines.current()
            counts = engine.run_on_primaries(_info.key_count(), self._budget)
            share = -(-sample // len(counts))
            samples = [self._sample(engine, node, key_count, share, deadline) for node, key_count in counts]
        return _info.estimate_memory(samples, separator, depth)

    def _sample(self, engine: Engine, node: Node, key_count: int, share: int, deadline: float) -> Sample:
        from ..._protocol import info as _info

        names: dict[bytes, None] = {}  # a scan may give a name twice
        cursor, is_all = 0, False
        while len(names) < share and not is_all:
            step = _info.scan_names(cursor, min(share - len(names), NAMES_IN_ONE_STEP))
            cursor, page = engine.run_on(node, step, _left(deadline))
            names.update(dict.fromkeys(page))
            is_all = cursor == 0
        prefix = self._settings.key_prefix.encode()
        mine = [name for name in names if name.startswith(prefix)]
        commands = [_info.memory_usage(name) for name in mine]
        calls = [Call(command, node if command.name is None else None) for command in commands]
        engine.run_all(calls, deadline)
        sizes = [(_info.printable(name[len(prefix) :]), engine.decoded(call)) for name, call in zip(mine, calls, strict=True)]
        return _info.Sample([(name, size) for name, size in sizes if size is not None], len(names), key_count, is_all)

    def flush(self) -> int:
        """
        Delete all keys that begin with the prefix of the settings, without a prefix all keys of the database, and return how many.

        For development and tests only. With a prefix, keys are deleted page by page over connections of their own, and each step has
        the budget of a call; without one, what others write at the same moment may be deleted uncounted.

        Raises:
            RefusedError: if ``environment`` of the settings, REDIS_ENVIRONMENT, is not development or test; nothing was touched.
            InvalidationError: if deleting by prefix ended early; it says what was deleted.
        """
        from ..._protocol import info as _info

        if self._settings.environment not in FLUSHABLE:
            raise RefusedError(
                f"flush is refused: environment of the settings (REDIS_ENVIRONMENT) is {self._settings.environment!r}; "
                f"allowed are {' and '.join(FLUSHABLE)}"
            )
        with self._counted():
            engine = self._engines.current()
            if self._settings.key_prefix:
                budget = self._settings.timeout_seconds if self._budget is None else self._budget
                return run_blocking(_delete_by_prefix, replace(self._settings, timeout_seconds=budget))
            counts = engine.run_on_primaries(_info.key_count(), self._budget)
            engine.run_on_primaries(_info.delete_all(), self._budget)
            return sum(count for _node, count in counts)

    def _deadline(self) -> float:
        return time.monotonic() + (self._settings.timeout_seconds if self._budget is None else self._budget)


def _delete_by_prefix(settings: Settings) -> int:
    from ...core.connect.client import close, connect
    from ...core.keys.invalidate import invalidate, select

    client = connect(settings)
    try:
        return invalidate(client, settings, select(prefix=settings.key_prefix)).deleted
    finally:
        close(client)


def _refuse_less_than_one(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} is {value}; allowed are 1 and above")


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.0)
