# SPDX-License-Identifier: MIT
"""
What the fields of INFO and CLUSTER INFO say about a server's health; pure.

Every field is optional, because managed services leave many of them out: a check whose field is missing is ``skipped``, unless the caller
expects a value of it (`Expect`), since an expectation that cannot be verified does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Union

from ..errors import DeniedError, ServerError
from .model import DEGRADED, FAILED, SKIPPED, Check, Expect, Info, Thresholds, judged, number, reason_of, unknown
from .persistence import SAVE, STOP_WRITES, judge_persistence
from .replication import MIN_REPLICAS, judge_replication

ROLES = {"master": "primary", "slave": "replica"}
SLOTS = 16384

NO_CLUSTER = Check("cluster", SKIPPED, "cluster mode is off")


def judge_ping(best: Union[float, ServerError], thresholds: Thresholds) -> Check:
    """Judge the best of three PINGs in milliseconds, or the error that answered."""
    if isinstance(best, DeniedError):
        return Check("ping", SKIPPED, str(best))
    if isinstance(best, ServerError):
        return Check("ping", FAILED, f"PING is answered with an error: {reason_of(best)}")
    limit = thresholds.latency_ms
    problems = [(DEGRADED, f"the best of three PINGs took {best} ms, more than {limit} ms")] if best > limit else []
    return judged("ping", {"latency_ms": best}, problems)


def judge_info(info: Info, thresholds: Thresholds, expect: Expect) -> list[Check]:
    """
    Judge the reply of INFO, as redis-py parses it.

    Args:
        info: Field names and values, and directives (`deciding_directives`); any of them may be missing.
        thresholds, expect: Where a value stops being good, and what the server should be.
    Returns:
        One check for each name in `INFO_CHECKS`, in that order, without ``node``.
    """
    checks = []
    for name, judge in _JUDGES.items():
        try:
            checks.append(judge(info, thresholds, expect))
        except KeyError as missing:
            checks.append(unknown(name, f"the server does not report {missing.args[0]}", expect))
    return checks


def deciding_directives(info: Info) -> tuple[str, ...]:
    """
    Return the directives whose value decides what *info* means, most often none.

    Where CONFIG GET offers them, their values go into *info* under the names with dashes; where not, less is known for sure.
    """
    failed_snapshot = str(info.get("rdb_last_bgsave_status", "ok")) != "ok"
    some_replicas = bool(info.get("min_slaves_good_slaves")) and info.get("role") != "slave"
    return (*((STOP_WRITES, SAVE) if failed_snapshot else ()), *((MIN_REPLICAS,) if some_replicas else ()))


def judge_cluster(fields: Union[Mapping[str, str], ServerError]) -> Check:
    """Judge the reply of CLUSTER INFO, given as names and texts, or the error that answered."""
    if isinstance(fields, DeniedError):
        return Check("cluster", SKIPPED, str(fields))
    if isinstance(fields, ServerError):
        off = "cluster support disabled" in fields.reason
        return NO_CLUSTER if off else Check("cluster", FAILED, reason_of(fields))
    found: dict[str, Any] = {"state": fields.get("cluster_state", "unknown")}
    for name in ("slots_assigned", "slots_ok", "slots_pfail", "slots_fail", "known_nodes", "size"):
        text = fields.get(f"cluster_{name}", "")
        if text.isdigit():
            found[name] = int(text)
    problems = []
    if found["state"] != "ok":
        problems.append((FAILED, f"the cluster's state is {found['state']!r}, not 'ok'"))
    if found.get("slots_assigned", SLOTS) < SLOTS:
        problems.append((FAILED, f"{SLOTS - found['slots_assigned']} of {SLOTS} slots belong to no node"))
    if found.get("slots_fail", 0):
        problems.append((FAILED, f"{found['slots_fail']} slots are on nodes that failed"))
    if found.get("slots_pfail", 0):
        problems.append((DEGRADED, f"{found['slots_pfail']} slots are on nodes that may have failed"))
    return judged("cluster", found, problems)


def _percent(part: float, whole: float) -> float:
    return round(100.0 * part / whole, 1)


def engine_of(info: Info) -> tuple[str, str]:
    """
    Return engine and version, such as ``("valkey", "8.1.1")``.

    Source:
        Valkey keeps ``redis_version:7.2.4`` and reports its own in ``server_name`` and ``valkey_version``, also with
        ``extended-redis-compatibility``, the default on ElastiCache; Redis has neither field.
    """
    name = str(info.get("server_name", "valkey" if "valkey_version" in info else "redis")).lower()
    return name, str(info.get(f"{name}_version") or info["redis_version"])


def _engine(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    engine, version = engine_of(info)
    found = {"engine": engine, "version": version}
    if str(info.get("os", "")).startswith("Amazon "):
        found["service"] = str(info["os"])
    problems = []
    if expect.engine not in (None, engine):
        problems.append((FAILED, f"the engine is {engine}, expected: {expect.engine}"))
    if expect.version is not None and not f"{version}.".startswith(f"{expect.version}."):
        problems.append((FAILED, f"the version is {version}, expected: {expect.version}"))
    return judged("engine", found, problems)


def _role(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    role = ROLES.get(str(info["role"]), str(info["role"]))
    problems = [(FAILED, f"the role is {role}, expected: {expect.role}")] if expect.role not in (None, role) else []
    return judged("role", {"role": role}, problems)


def _loading(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    found: dict[str, Any] = {"loading": bool(number(info, "loading"))}
    problems = []
    if found["loading"]:
        found.update(loaded_percent=info.get("loading_loaded_perc"), remaining_seconds=info.get("loading_eta_seconds"))
        problems.append((FAILED, f"the server is loading its data, {found['loaded_percent']} % done"))
    elif info.get("async_loading"):
        problems.append((DEGRADED, "the replica serves its old data while it loads the primary's"))
    return judged("loading", found, problems)


def _pause(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    """Judge whether commands wait (CLIENT PAUSE, a failover, a shutdown); Valkey reports it from 8.1 on, Redis does not."""
    actions, left = str(info["paused_actions"]), info.get("paused_timeout_milliseconds", 0)
    found = {"actions": actions, "reason": str(info.get("paused_reason", "none")), "remaining_ms": left}
    paused = "writes are" if actions == "write" else f"commands ({actions}) are"
    problems = [(DEGRADED, f"{paused} paused for another {left} ms ({found['reason']})")] if actions != "none" else []
    return judged("pause", found, problems)


def _memory(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    limit, policy = number(info, "maxmemory"), str(info.get("maxmemory_policy", "noeviction"))
    # Buffers of replicas and the append-only file do not count when the server decides whether memory is full.
    used = number(info, "used_memory") - info.get("mem_not_counted_for_evict", 0)
    found: dict[str, Any] = {"used_bytes": used, "maxmemory_bytes": limit, "policy": policy}
    if not limit:
        return judged("memory", found, [])
    found["used_percent"] = _percent(used, limit)
    problems = []
    if used >= limit and policy == "noeviction":
        problems.append((FAILED, f"memory is full ({used} of {limit} bytes) and the policy noeviction refuses writes"))
    elif found["used_percent"] > thresholds.memory_percent and not policy.startswith("allkeys-"):
        problems.append((DEGRADED, f"{found['used_percent']} % of maxmemory is used, more than {thresholds.memory_percent} %"))
    return judged("memory", found, problems)


def _fragmentation(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    ratio = number(info, "mem_fragmentation_ratio")
    wasted = info.get("mem_fragmentation_bytes")
    if wasted is None:
        wasted = number(info, "used_memory_rss") - number(info, "used_memory")
    problems = []
    if ratio > thresholds.fragmentation_ratio and wasted > thresholds.fragmentation_bytes:
        problems.append((DEGRADED, f"resident memory is {ratio} times the used memory, {wasted} bytes are wasted"))
    return judged("fragmentation", {"ratio": ratio, "wasted_bytes": wasted}, problems)


def _clients(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    connected, limit = number(info, "connected_clients") + info.get("cluster_connections", 0), info.get("maxclients")
    found: dict[str, Any] = {"connected": connected, "maxclients": limit}
    problems = []
    if limit:
        found["used_percent"] = _percent(connected, limit)
        if found["used_percent"] > thresholds.clients_percent:
            problems.append((DEGRADED, f"{connected} of {limit} connections are in use, more than {thresholds.clients_percent} %"))
    return judged("clients", found, problems)


def _counter(name: str, what: str) -> Callable[[Info, Thresholds, Expect], Check]:
    """Make the check of a counter that INFO and `Thresholds` call alike."""

    def judge(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
        count, limit = number(info, name), getattr(thresholds, name)
        problems = []
        if limit is not None and count > limit:
            problems.append((DEGRADED, f"{count} {what} since the server started, more than {limit}"))
        return judged(name, {"count": count, "uptime_seconds": info.get("uptime_in_seconds")}, problems)

    return judge


_JUDGES: Mapping[str, Callable[[Info, Thresholds, Expect], Check]] = {
    "engine": _engine,
    "role": _role,
    "loading": _loading,
    "pause": _pause,
    "memory": _memory,
    "fragmentation": _fragmentation,
    "persistence": judge_persistence,
    "replication": judge_replication,
    "clients": _clients,
    "evicted_keys": _counter("evicted_keys", "keys were evicted"),
    "rejected_connections": _counter("rejected_connections", "connections were rejected"),
}
INFO_CHECKS = tuple(_JUDGES)
