# SPDX-License-Identifier: MIT
"""What a health check says, where a value stops being good, and what a caller expects of a server; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Optional

from ..errors import CredentialsError, DeniedError, ServerError

OK, DEGRADED, FAILED, SKIPPED = "ok", "degraded", "failed", "skipped"
_BY_WEIGHT = (SKIPPED, OK, DEGRADED, FAILED)
_MIB = 1024 * 1024

Info = Mapping[str, Any]
Problem = tuple[str, str]


@dataclass(frozen=True)
class Thresholds:
    """
    Where a value stops being good: a check is ``degraded`` beyond its threshold.

    Attributes:
        latency_ms: Best of three PINGs, in milliseconds.
        memory_percent: Used memory of ``maxmemory``; not applied with a policy ``allkeys-*``, since such a cache is meant to be full.
        fragmentation_ratio, fragmentation_bytes: Resident to used memory, and what that wastes in bytes; both must be exceeded, so
            that small servers pass.
        save_age_seconds: Age of the last snapshot while changes wait for one; ``None`` does not judge it, because only CONFIG
            shows whether snapshots are configured.
        replica_lag_seconds, replica_lag_bytes: How far a replica is behind. An idle primary speaks only every 10 s.
        clients_percent: Connections of ``maxclients``.
        evicted_keys, rejected_connections: Counts since the server started; ``None`` does not judge them.
        certificate_days: Days that the server's certificate is still valid.
    Source:
        Fragmentation: defaults of ``active-defrag-ignore-bytes``; idle time: default of ``repl-ping-replica-period`` (redis.conf of 7.0).
    """

    latency_ms: float = 100.0
    memory_percent: float = 90.0
    fragmentation_ratio: float = 1.5
    fragmentation_bytes: int = 100 * _MIB
    save_age_seconds: Optional[int] = None
    replica_lag_seconds: int = 30
    replica_lag_bytes: int = 10 * _MIB
    clients_percent: float = 90.0
    evicted_keys: Optional[int] = None
    rejected_connections: Optional[int] = 0
    certificate_days: int = 14


@dataclass(frozen=True)
class Expect:
    """
    What a server should be; ``None`` accepts anything.

    Attributes:
        role: ``primary`` or ``replica``.
        engine: ``redis`` or ``valkey``.
        version: Whole version or its first parts: ``7.0`` holds for 7.0.15 and not for 7.02.
        replicas: Exact number of replicas that are connected and in sync, for each node asked.
        shard_replicas: Least number of replicas of each shard of a cluster; fewer degrade the verdict.
    """

    role: Optional[str] = None
    engine: Optional[str] = None
    version: Optional[str] = None
    replicas: Optional[int] = None
    shard_replicas: Optional[int] = None

    def of_check(self, check: str) -> dict[str, Any]:
        """Return the expectations that the named check has to verify, as ``{name: value}``."""
        names = {"engine": ("engine", "version"), "role": ("role",), "replication": ("replicas",)}.get(check, ())
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


@dataclass(frozen=True)
class Check:
    """
    Result of one check on one node.

    Attributes:
        name: Name of the check.
        status: ``ok``, ``degraded``, ``failed`` or ``skipped``.
        reason: Why it is not ok; empty when it is.
        found: Values found; their names carry the unit (``_ms``, ``_bytes``, ``_seconds``, ``_percent``, ``_days``).
        node: Address of the node that was asked.
    """

    name: str
    status: str
    reason: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)
    node: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary."""
        return asdict(self)


def worst(statuses: list[str]) -> str:
    """Return the gravest of the statuses; ``ok`` if there is none or all are skipped."""
    return max([OK, *statuses], key=_BY_WEIGHT.index)


def judged(name: str, found: Mapping[str, Any], problems: list[Problem]) -> Check:
    """Build a check from what was found and its ``(status, reason)`` problems; ``ok`` when there is none."""
    return Check(name, worst([status for status, _reason in problems]), "; ".join(reason for _status, reason in problems), found)


def unknown(name: str, reason: str, expect: Expect) -> Check:
    """Return the check of something that the server does not report: skipped, or failed when *expect* names a value for it."""
    expected = ", ".join(f"{what} {value}" for what, value in expect.of_check(name).items())
    if not expected:
        return Check(name, SKIPPED, reason)
    return Check(name, FAILED, f"expected {expected}, which cannot be verified: {reason}")


def number(info: Info, name: str) -> Any:
    """Return a number of INFO; a KeyError with the name when it is missing or no number."""
    value = info.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise KeyError(name)
    return value


def reason_of(error: ServerError) -> str:
    """Return what *error* says without the address, which a report names beside it."""
    if isinstance(error, CredentialsError):
        return f"the server refused the credentials: {error.reason}"
    return str(error) if isinstance(error, DeniedError) else error.reason


def placed(checks: Iterable[Check], node: str) -> tuple[Check, ...]:
    """Return *checks* as those of *node*; its address, which libraries write into their texts, is dropped from the reasons."""
    address = re.escape(node.removeprefix("unix:").replace("[", "").replace("]", ""))
    mention = re.compile(rf"(?: while)? (?:connecting to|reading from|writing to) (?:unix socket: |unix:)?{address} ?(?=[.:])")
    return tuple(replace(check, node=node, reason=mention.sub("", check.reason)) for check in checks)
