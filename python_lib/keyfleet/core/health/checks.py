# SPDX-License-Identifier: MIT
"""
What the fields of INFO and CLUSTER INFO say about a server's health; pure.

Every field is optional, because managed services leave many of them out: a check whose field is missing is ``skipped``, unless the caller
wished for a value of it (`Expect`), since a wish that cannot be verified does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Callable, Optional, Union

from ..errors import DeniedError, ServerError

OK, DEGRADED, FAILED, SKIPPED = "ok", "degraded", "failed", "skipped"
_BY_WEIGHT = (SKIPPED, OK, DEGRADED, FAILED)
_MIB = 1024 * 1024
ROLES = {"master": "primary", "slave": "replica"}
SLOTS = 16384

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
        save_age_seconds: Age of the last snapshot while changes wait for one; ``None`` does not look, because without CONFIG nobody
            knows whether snapshots are wished.
        replica_lag_seconds, replica_lag_bytes: How far a replica is behind. An idle primary speaks only every 10 s.
        clients_percent: Connections of ``maxclients``.
        evicted_keys, rejected_connections: Counts since the server started; ``None`` does not look.
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
    What the caller wishes a server to be; ``None`` is no wish.

    Attributes:
        role: ``primary`` or ``replica``.
        engine: ``redis`` or ``valkey``.
        version: Whole version or its first parts: ``7.0`` holds for 7.0.15 and not for 7.02.
        replicas: Exact number of replicas that are connected and in sync, for each node asked.
    """

    role: Optional[str] = None
    engine: Optional[str] = None
    version: Optional[str] = None
    replicas: Optional[int] = None

    def wishes(self, check: str) -> dict[str, Any]:
        """Return the wishes that the named check has to verify, as ``{name: value}``."""
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


NO_CLUSTER = Check("cluster", SKIPPED, "cluster mode is off")


def worst(statuses: list[str]) -> str:
    """Return the gravest of the statuses; ``ok`` if there is none or all are skipped."""
    return max([OK, *statuses], key=_BY_WEIGHT.index)


def judged(name: str, found: Mapping[str, Any], problems: list[Problem]) -> Check:
    """Build a check from what was found and its ``(status, reason)`` problems; ``ok`` when there is none."""
    return Check(name, worst([status for status, _reason in problems]), "; ".join(reason for _status, reason in problems), found)


def unknown(name: str, reason: str, expect: Expect) -> Check:
    """Build the check of something that cannot be told: skipped, or failed when *expect* has a wish about it."""
    wishes = expect.wishes(name)
    if not wishes:
        return Check(name, SKIPPED, reason)
    wished = ", ".join(f"{wish} {value}" for wish, value in wishes.items())
    return Check(name, FAILED, f"wished {wished}, which cannot be verified: {reason}")


def judge_ping(best: Union[float, ServerError], thresholds: Thresholds) -> Check:
    """Judge the best of three PINGs in milliseconds, or the error that answered."""
    if isinstance(best, DeniedError):
        return Check("ping", SKIPPED, str(best))
    if isinstance(best, ServerError):
        return Check("ping", FAILED, f"PING is answered with an error: {best}")
    limit = thresholds.latency_ms
    problems = [(DEGRADED, f"the best of three PINGs took {best} ms, more than {limit} ms")] if best > limit else []
    return judged("ping", {"latency_ms": best}, problems)


def judge_info(info: Info, thresholds: Thresholds, expect: Expect) -> list[Check]:
    """
    Judge the reply of INFO, as redis-py parses it.

    Args:
        info: Field names and values; any field may be missing.
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


def judge_cluster(fields: Union[Mapping[str, str], ServerError]) -> Check:
    """Judge the reply of CLUSTER INFO, given as names and texts, or the error that answered."""
    if isinstance(fields, DeniedError):
        return Check("cluster", SKIPPED, str(fields))
    if isinstance(fields, ServerError):
        off = "cluster support disabled" in str(fields)
        return NO_CLUSTER if off else Check("cluster", FAILED, str(fields))
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


def _number(info: Info, name: str) -> Any:
    """Return a number of INFO; a KeyError with the name when it is missing or no number."""
    value = info.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise KeyError(name)
    return value


def _percent(part: float, whole: float) -> float:
    return round(100.0 * part / whole, 1)


def engine_of(info: Info) -> tuple[str, str]:
    """
    Return engine and version, such as ``("valkey", "8.1.1")``.

    Source:
        Valkey keeps ``redis_version:7.2.4`` and tells its own in ``server_name`` and ``valkey_version``, also with
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
        problems.append((FAILED, f"the engine is {engine}, wished: {expect.engine}"))
    if expect.version is not None and not f"{version}.".startswith(f"{expect.version}."):
        problems.append((FAILED, f"the version is {version}, wished: {expect.version}"))
    return judged("engine", found, problems)


def _role(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    role = ROLES.get(str(info["role"]), str(info["role"]))
    problems = [(FAILED, f"the role is {role}, wished: {expect.role}")] if expect.role not in (None, role) else []
    return judged("role", {"role": role}, problems)


def _loading(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    found: dict[str, Any] = {"loading": bool(_number(info, "loading"))}
    problems = []
    if found["loading"]:
        found.update(loaded_percent=info.get("loading_loaded_perc"), remaining_seconds=info.get("loading_eta_seconds"))
        problems.append((FAILED, f"the server is loading its data, {found['loaded_percent']} % done"))
    elif info.get("async_loading"):
        problems.append((DEGRADED, "the replica serves its old data while it loads the primary's"))
    return judged("loading", found, problems)


def _memory(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    limit, policy = _number(info, "maxmemory"), str(info.get("maxmemory_policy", "noeviction"))
    # Buffers of replicas and the append-only file do not count when the server decides whether memory is full.
    used = _number(info, "used_memory") - info.get("mem_not_counted_for_evict", 0)
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
    ratio = _number(info, "mem_fragmentation_ratio")
    wasted = info.get("mem_fragmentation_bytes")
    if wasted is None:
        wasted = _number(info, "used_memory_rss") - _number(info, "used_memory")
    problems = []
    if ratio > thresholds.fragmentation_ratio and wasted > thresholds.fragmentation_bytes:
        problems.append((DEGRADED, f"resident memory is {ratio} times the used memory, {wasted} bytes are wasted"))
    return judged("fragmentation", {"ratio": ratio, "wasted_bytes": wasted}, problems)


def _persistence(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    status = str(info["rdb_last_bgsave_status"])
    found: dict[str, Any] = {"last_save_status": status, "unsaved_changes": info.get("rdb_changes_since_last_save")}
    problems = []
    if status != "ok":
        problems.append((FAILED, f"the last snapshot ended with status {status!r}; by default the server then refuses writes"))
    if "server_time_usec" in info and "rdb_last_save_time" in info:  # the server's clock, not ours
        age = found["last_save_age_seconds"] = max(0, _number(info, "server_time_usec") // 1_000_000 - _number(info, "rdb_last_save_time"))
        limit = thresholds.save_age_seconds
        if limit is not None and found["unsaved_changes"] and age > limit:
            problems.append((DEGRADED, f"the last snapshot is {age} s old, more than {limit} s, and there are unsaved changes"))
    found["aof_enabled"] = bool(info.get("aof_enabled", 0))
    if found["aof_enabled"]:
        found["aof_last_write_status"] = info.get("aof_last_write_status", "ok")
        found["aof_last_rewrite_status"] = info.get("aof_last_bgrewrite_status", "ok")
        if found["aof_last_write_status"] != "ok":
            problems.append((FAILED, "the last write to the append-only file failed; the server refuses writes"))
        if found["aof_last_rewrite_status"] != "ok":
            problems.append((DEGRADED, "the last rewrite of the append-only file failed"))
    return judged("persistence", found, problems)


def _replication(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    if str(info["role"]) == "slave":
        problems += _link(info, thresholds, found)
    problems += _followers(info, thresholds, found)
    if expect.replicas not in (None, found["online_replicas"]):
        problems.append((FAILED, f"{found['online_replicas']} replicas are in sync, wished: {expect.replicas}"))
    return judged("replication", found, problems)


def _link(info: Info, thresholds: Thresholds, found: dict[str, Any]) -> list[Problem]:
    """Judge a replica's link to its primary; fills *found*."""
    primary = found["primary"] = f"{info.get('master_host', '?')}:{info.get('master_port', '?')}"
    found["link"] = str(info["master_link_status"])
    if found["link"] != "up":
        found["down_seconds"] = info.get("master_link_down_since_seconds")
        syncing = ", a full synchronisation is in progress" if info.get("master_sync_in_progress") else ""
        return [(FAILED, f"the replication link to {primary} is {found['link']}{syncing}")]
    behind = found["lag_seconds"] = info.get("master_last_io_seconds_ago")
    if "slave_read_repl_offset" in info and "slave_repl_offset" in info:
        found["lag_bytes"] = max(0, info["slave_read_repl_offset"] - info["slave_repl_offset"])
    return _lag("this replica", behind, found.get("lag_bytes"), thresholds)


def _followers(info: Info, thresholds: Thresholds, found: dict[str, Any]) -> list[Problem]:
    """Judge the replicas connected to this node; fills *found*."""
    problems: list[Problem] = []
    connected = _number(info, "connected_slaves")
    rows = [info[name] for name in (f"slave{number}" for number in range(connected)) if isinstance(info.get(name), Mapping)]
    offset = info.get("master_repl_offset")
    found["replicas"] = replicas = []
    for row in rows:
        address, state = f"{row.get('ip', '?')}:{row.get('port', '?')}", str(row.get("state", "online"))
        behind = offset - row["offset"] if isinstance(offset, int) and isinstance(row.get("offset"), int) else None
        replicas.append({"address": address, "state": state, "lag_seconds": row.get("lag"), "lag_bytes": behind})
        if state != "online":
            problems.append((DEGRADED, f"replica {address} is not in sync yet (state {state})"))
        else:
            problems += _lag(f"replica {address}", row.get("lag"), behind, thresholds)
    # A service may count its replicas without listing them.
    found["online_replicas"] = sum(replica["state"] == "online" for replica in replicas) if rows else connected
    return problems


def _lag(who: str, seconds: Optional[int], size: Optional[int], thresholds: Thresholds) -> list[Problem]:
    problems = []
    if seconds is not None and seconds > thresholds.replica_lag_seconds:
        problems.append((DEGRADED, f"{who} was last heard {seconds} s ago, more than {thresholds.replica_lag_seconds} s"))
    if size is not None and size > thresholds.replica_lag_bytes:
        problems.append((DEGRADED, f"{who} is {size} bytes behind, more than {thresholds.replica_lag_bytes}"))
    return problems


def _clients(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    connected, limit = _number(info, "connected_clients") + info.get("cluster_connections", 0), info.get("maxclients")
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
        count, limit = _number(info, name), getattr(thresholds, name)
        problems = []
        if limit is not None and count > limit:
            problems.append((DEGRADED, f"{count} {what} since the server started, more than {limit}"))
        return judged(name, {"count": count, "uptime_seconds": info.get("uptime_in_seconds")}, problems)

    return judge


_JUDGES: Mapping[str, Callable[[Info, Thresholds, Expect], Check]] = {
    "engine": _engine,
    "role": _role,
    "loading": _loading,
    "memory": _memory,
    "fragmentation": _fragmentation,
    "persistence": _persistence,
    "replication": _replication,
    "clients": _clients,
    "evicted_keys": _counter("evicted_keys", "keys were evicted"),
    "rejected_connections": _counter("rejected_connections", "connections were rejected"),
}
INFO_CHECKS = tuple(_JUDGES)
