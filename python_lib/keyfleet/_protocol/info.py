# SPDX-License-Identifier: MIT
"""INFO, SLOWLOG and memory of servers: the commands that ask for it, and their replies as typed values; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..core.health.checks import ROLES, engine_of
from .command import Command
from .kinds import DBSIZE, FLUSHDB, INFO, MEMORY_USAGE, SCAN, SLOWLOG

_NUMBERS = {
    "connected_replicas": "connected_slaves",
    "used_memory_bytes": "used_memory",
    "maxmemory_bytes": "maxmemory",
    "connected_clients": "connected_clients",
    "uptime_seconds": "uptime_in_seconds",
    "evicted_keys": "evicted_keys",
    "keyspace_hits": "keyspace_hits",
    "keyspace_misses": "keyspace_misses",
}
_REPLICA = re.compile(r"slave\d+")


@dataclass(frozen=True)
class ServerInfo:
    """
    The INFO of one server. Everything may be None: managed services hide fields, and other sections have others.

    Attributes:
        engine: ``redis`` or ``valkey``.
        version: Of the engine, as ``7.0.15``; of Valkey its own, and not that of the Redis that it is compatible with.
        role: ``primary`` or ``replica``.
        connected_replicas: Replicas that are connected to it.
        used_memory_bytes, maxmemory_bytes: What its data and buffers take, and the limit; 0 is no limit.
        maxmemory_policy: What happens at the limit, as ``noeviction``.
        connected_clients: Connections of clients.
        uptime_seconds: Since it was started.
        evicted_keys, keyspace_hits, keyspace_misses: Counts since it was started.
        fields: All of it, as text.
    """

    engine: str | None = None
    version: str | None = None
    role: str | None = None
    connected_replicas: int | None = None
    used_memory_bytes: int | None = None
    maxmemory_bytes: int | None = None
    maxmemory_policy: str | None = None
    connected_clients: int | None = None
    uptime_seconds: int | None = None
    evicted_keys: int | None = None
    keyspace_hits: int | None = None
    keyspace_misses: int | None = None
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def replica_addresses(self) -> list[tuple[str, int]]:
        """Host and port of each replica that it lists and that has announced them; a service may leave the list out."""
        rows = [_row(text) for name, text in self.fields.items() if _REPLICA.fullmatch(name)]
        return [(row["ip"], int(row["port"])) for row in rows if row.get("ip") and row.get("port", "").strip("0").isdigit()]

    @property
    def values(self) -> dict[str, Any]:
        """The fields with numbers as numbers and replicas as mappings, as the health checks of the core read them."""
        return {name: _typed_row(text) if _REPLICA.fullmatch(name) else _number(text) for name, text in self.fields.items()}


def read_info(reply: bytes, _key: str = "") -> ServerInfo:
    """Return what the reply of INFO says."""
    fields = read_fields(reply)
    engine: str | None
    version: str | None
    try:
        engine, version = engine_of(fields)
    except KeyError:  # no version
        engine, version = fields.get("server_name"), None
    role = fields.get("role")
    return ServerInfo(
        engine=engine,
        version=version,
        role=None if role is None else ROLES.get(role, role),
        maxmemory_policy=fields.get("maxmemory_policy"),
        fields=fields,
        **{name: int(fields[theirs]) for name, theirs in _NUMBERS.items() if fields.get(theirs, "").isdigit()},
    )


def read_fields(reply: bytes) -> dict[str, str]:
    """Return the lines ``name:value`` of INFO or CLUSTER INFO."""
    lines = [line.partition(":") for line in printable(reply).splitlines() if not line.startswith("#")]
    return {name: value for name, colon, value in lines if colon}


def _row(text: str) -> dict[str, str]:
    parts = [part.partition("=") for part in text.split(",")]
    return {name: value for name, _equals, value in parts}


def _typed_row(text: str) -> dict[str, Any]:
    return {name: _number(value) for name, value in _row(text).items()}


def _number(text: str) -> Any:
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            pass
    return text


def printable(data: bytes) -> str:
    """Return *data* as text; bytes that are not UTF-8 become ``\\x``."""
    return data.decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class SlowLogEntry:
    """
    A command that took long.

    Attributes:
        id: Number of the entry, unique until the server restarts.
        started_at: When it was run, in UTC, to the second.
        duration_us: How long the server was busy with it, in microseconds; waiting and sending are not counted.
        arguments: The command; the server shortens long ones. Bytes that are not UTF-8 are shown as ``\\x``.
        client_address, client_name: Who sent it; empty if unknown.
    """

    id: int
    started_at: datetime
    duration_us: int
    arguments: tuple[str, ...]
    client_address: str = ""
    client_name: str = ""


def _slow_log_entries(reply: list[list[Any]], _key: str) -> list[SlowLogEntry]:
    entries = []
    for number, started, duration, arguments, *client in reply:
        at = datetime.fromtimestamp(started, timezone.utc)
        entries.append(SlowLogEntry(number, at, duration, tuple(map(printable, arguments)), *map(printable, client[:2])))
    return entries


@dataclass(frozen=True)
class PrefixMemory:
    """
    What the keys of one prefix take.

    Attributes:
        keys: How many there are.
        bytes: What they take with their names and the server's bookkeeping.
    """

    keys: int
    bytes: int


@dataclass(frozen=True)
class MemoryEstimate:
    """
    What keys take, by prefix.

    Attributes:
        prefixes: The largest first; ``""`` has the names without a separator.
        sampled_keys: Keys that were read, those of other prefixes than the client's included.
        total_keys: Keys that there are, likewise.
        is_exact: Whether all keys were read, so that the numbers of keys are not estimates. Their bytes still may be: of large
            collections the server samples some elements only.
    """

    prefixes: Mapping[str, PrefixMemory]
    sampled_keys: int
    total_keys: int
    is_exact: bool


@dataclass(frozen=True)
class Sample:
    """
    The keys of one server that were read.

    Attributes:
        sizes: Names without the client's prefix, and bytes.
        read_count: Number of keys read, those that are not the client's included.
        key_count: Keys that the server has.
        is_all: Whether all were read.
    """

    sizes: Sequence[tuple[str, int]]
    read_count: int
    key_count: int
    is_all: bool


def estimate_memory(samples: Sequence[Sample], separator: str, depth: int) -> MemoryEstimate:
    """
    Return the memory of all keys, if those that were not read are like the others of the same server.

    Args:
        samples: One for each server.
        separator, depth: A prefix is the first *depth* parts of a name, each with the *separator* that ends it.
    """
    keys: dict[str, float] = {}
    size: dict[str, float] = {}
    for sample in samples:
        scale = 1.0 if sample.is_all else max(sample.key_count / sample.read_count, 1.0)
        for name, taken in sample.sizes:
            prefix = "".join(part + separator for part in name.split(separator)[:-1][:depth])
            keys[prefix] = keys.get(prefix, 0.0) + scale
            size[prefix] = size.get(prefix, 0.0) + scale * taken
    largest_first = sorted(keys, key=lambda prefix: -size[prefix])
    return MemoryEstimate(
        {prefix: PrefixMemory(round(keys[prefix]), round(size[prefix])) for prefix in largest_first},
        sum(sample.read_count for sample in samples),
        sum(sample.key_count for sample in samples),
        all(sample.is_all for sample in samples),
    )


def info(section: str) -> Command[ServerInfo]:
    """Ask for one section of INFO."""
    return Command(INFO, ("INFO", section), None, "", read_info)


def slow_log(count: int) -> Command[list[SlowLogEntry]]:
    """Ask for the newest commands that took long."""
    return Command(SLOWLOG, ("SLOWLOG", "GET", count), None, "", _slow_log_entries)


def key_count() -> Command[int]:
    """Ask for the number of keys."""
    return Command(DBSIZE, ("DBSIZE",), None, "", _same)


def delete_all() -> Command[bool]:
    """Delete all keys of the database."""
    return Command(FLUSHDB, ("FLUSHDB",), None, "", _same)


def scan_names(cursor: int, count: int) -> Command[tuple[int, list[bytes]]]:
    """Read about *count* further keys, whatever their names; decodes to the next cursor and full names."""
    return Command(SCAN, ("SCAN", cursor, "COUNT", count), None, "", _page)


def memory_usage(name: bytes) -> Command[int | None]:
    """Ask what the key with the full *name* takes; None if it does not exist."""
    try:
        text: str | None = name.decode()
    except UnicodeDecodeError:
        text = None  # the caller says which server has it
    return Command(MEMORY_USAGE, ("MEMORY", "USAGE", name), text, "", _same)


def _page(reply: list[Any], _key: str) -> tuple[int, list[bytes]]:
    return int(reply[0]), reply[1]


def _same(reply: Any, _key: str) -> Any:
    return reply
