# SPDX-License-Identifier: MIT
"""What INFO says about a replica's link and about the replicas of a primary; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from .model import DEGRADED, FAILED, Check, Expect, Info, Problem, Thresholds, judged, number

MIN_REPLICAS = "min-replicas-to-write"


def judge_replication(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    if str(info["role"]) == "slave":
        problems += _link(info, thresholds, found)
    problems += _followers(info, thresholds, found)
    problems += _required(info, found)
    if expect.replicas not in (None, found["online_replicas"]):
        problems.append((FAILED, f"{found['online_replicas']} replicas are in sync, expected: {expect.replicas}"))
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
    connected = number(info, "connected_slaves")
    rows = [info[name] for name in (f"slave{number}" for number in range(connected)) if isinstance(info.get(name), Mapping)]
    offset = info.get("master_repl_offset")
    found["replicas"] = replicas = []
    for row in rows:
        address, state = _address(row), str(row.get("state", "online"))
        behind = offset - row["offset"] if isinstance(offset, int) and isinstance(row.get("offset"), int) else None
        replicas.append({"address": address, "state": state, "lag_seconds": row.get("lag"), "lag_bytes": behind})
        if state != "online":
            problems.append((DEGRADED, f"{_name(address)} is not in sync yet (state {state})"))
        else:
            problems += _lag(_name(address), row.get("lag"), behind, thresholds)
    # A service may count its replicas without listing them.
    found["online_replicas"] = sum(replica["state"] == "online" for replica in replicas) if rows else connected
    return problems


def _address(row: Mapping[str, Any]) -> str:
    """Return the address that a replica announced; empty until it has, when the server lists it with port 0."""
    return f"{row['ip']}:{row['port']}" if row.get("ip") and row.get("port") else ""


def _name(address: str) -> str:
    return f"replica {address}" if address else "a replica that has announced no address yet"


def _required(info: Info, found: dict[str, Any]) -> list[Problem]:
    """
    Judge whether min-replicas-to-write holds; fills *found*.

    The server reports ``min_slaves_good_slaves`` only where the directive is set, and the directive itself in CONFIG alone.
    """
    good = info.get("min_slaves_good_slaves")
    if good is None or str(info["role"]) == "slave":
        return []
    found["good_replicas"] = good
    text = str(info.get(MIN_REPLICAS, ""))
    required = int(text) if text.isdigit() else None
    if required is not None:
        found["min_replicas_to_write"] = required
    if good >= (1 if required is None else required):
        return []
    wants = f"{MIN_REPLICAS} is set" if required is None else f"{MIN_REPLICAS} is {required}"
    return [(FAILED, f"the server refuses writes with NOREPLICAS: {wants}, and {good} replicas are connected and answer in time")]


def _lag(who: str, seconds: Optional[int], size: Optional[int], thresholds: Thresholds) -> list[Problem]:
    problems = []
    if seconds is not None and seconds > thresholds.replica_lag_seconds:
        problems.append((DEGRADED, f"{who} was last heard {seconds} s ago, more than {thresholds.replica_lag_seconds} s"))
    if size is not None and size > thresholds.replica_lag_bytes:
        problems.append((DEGRADED, f"{who} is {size} bytes behind, more than {thresholds.replica_lag_bytes}"))
    return problems
