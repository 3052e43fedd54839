# SPDX-License-Identifier: MIT
"""What INFO says about snapshots and the append-only file, and whether the server refuses writes because of them; pure."""

from __future__ import annotations

from typing import Any

from .model import DEGRADED, FAILED, Check, Expect, Info, Problem, Thresholds, judged, number

STOP_WRITES, SAVE = "stop-writes-on-bgsave-error", "save"


def judge_persistence(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    """Judge the last snapshot and the append-only file."""
    found: dict[str, Any] = {"last_save_status": str(info["rdb_last_bgsave_status"])}
    found["unsaved_changes"] = info.get("rdb_changes_since_last_save")
    problems = [*_status(info, found), *_age(info, thresholds, found), *_append_only_file(info, found)]
    return judged("persistence", found, problems)


def _status(info: Info, found: dict[str, Any]) -> list[Problem]:
    """
    Judge how the last snapshot ended.

    Source:
        writeCommandsDeniedByDiskError (server.c of 7.0): after a failed snapshot writes are refused with MISCONF if
        stop-writes-on-bgsave-error is yes, its default, and ``save`` names a point in time.
    """
    status = found["last_save_status"]
    if status == "ok":
        return []
    failed = f"the last snapshot ended with status {status!r}"
    found["stop_writes_on_bgsave_error"] = info.get(STOP_WRITES)
    if info.get(STOP_WRITES) == "no":
        return [(DEGRADED, f"{failed}; the server still takes writes ({STOP_WRITES} is no), and no snapshot holds them")]
    if info.get(SAVE) == "":
        return [(DEGRADED, f"{failed}; the server still takes writes, since it makes no snapshots on its own (save is empty)")]
    surely = "the server" if info.get(STOP_WRITES) == "yes" else "by default the server then"
    return [(FAILED, f"{failed}; {surely} refuses writes with MISCONF until a snapshot succeeds")]


def _age(info: Info, thresholds: Thresholds, found: dict[str, Any]) -> list[Problem]:
    """Judge how old the last snapshot is, by the server's clock."""
    if "server_time_usec" not in info or "rdb_last_save_time" not in info:
        return []
    age = found["last_save_age_seconds"] = max(0, number(info, "server_time_usec") // 1_000_000 - number(info, "rdb_last_save_time"))
    limit = thresholds.save_age_seconds
    if limit is None or not found["unsaved_changes"] or age <= limit:
        return []
    return [(DEGRADED, f"the last snapshot is {age} s old, more than {limit} s, and there are unsaved changes")]


def _append_only_file(info: Info, found: dict[str, Any]) -> list[Problem]:
    found["aof_enabled"] = bool(info.get("aof_enabled", 0))
    if not found["aof_enabled"]:
        return []
    found["aof_last_write_status"] = info.get("aof_last_write_status", "ok")
    found["aof_last_rewrite_status"] = info.get("aof_last_bgrewrite_status", "ok")
    problems = []
    if found["aof_last_write_status"] != "ok":
        problems.append((FAILED, "the last write to the append-only file failed; the server refuses writes with MISCONF"))
    if found["aof_last_rewrite_status"] != "ok":
        problems.append((DEGRADED, "the last rewrite of the append-only file failed"))
    return problems
