# SPDX-License-Identifier: MIT
"""What INFO says about snapshots and the append-only file; pure."""

from __future__ import annotations

from typing import Any

from .model import DEGRADED, FAILED, Check, Expect, Info, Thresholds, judged, number


def judge_persistence(info: Info, thresholds: Thresholds, expect: Expect) -> Check:
    status = str(info["rdb_last_bgsave_status"])
    found: dict[str, Any] = {"last_save_status": status, "unsaved_changes": info.get("rdb_changes_since_last_save")}
    problems = []
    if status != "ok":
        problems.append((FAILED, f"the last snapshot ended with status {status!r}; by default the server then refuses writes"))
    if "server_time_usec" in info and "rdb_last_save_time" in info:  # the server's clock, not ours
        age = found["last_save_age_seconds"] = max(0, number(info, "server_time_usec") // 1_000_000 - number(info, "rdb_last_save_time"))
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
