# SPDX-License-Identifier: MIT
"""The health checks that a client adds to those of the modules, and the judgement of its write probe; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.errors import ServerError
from ..core.health.model import DEGRADED, FAILED, OK, SKIPPED, Check, judged, reason_of
from ..core.health.probes import PROBE_SECONDS, no_round_trip
from .info import ServerInfo
from .resp import ErrorReply

CLIENT_CHECKS = ("eviction", "pool", "breaker", "discovery", "counters")


def judge_eviction(info: ServerInfo, keeps: Sequence[str]) -> Check:
    """
    Judge whether the server may evict keys that must not vanish before their time.

    Args:
        info: The fields of its INFO.
        keeps: Prefixes of those keys.
    """
    policy = info.maxmemory_policy
    if not keeps:
        return Check("eviction", SKIPPED, "no prefix was named whose keys must stay")
    if policy is None:
        return Check("eviction", SKIPPED, "the server does not report maxmemory_policy")
    kept = [str(prefix) for prefix in keeps]
    found = {"policy": policy, "maxmemory_bytes": info.maxmemory_bytes, "keeps": kept}
    if policy == "noeviction":
        return judged("eviction", found, [])
    which = "any key" if policy.startswith("allkeys-") else "any key with a TTL"
    when = "once it has a maxmemory, which is 0 now" if info.maxmemory_bytes == 0 else "when memory is full"
    reason = f"maxmemory_policy {policy} evicts {which} {when}, and {', '.join(kept)} must stay; noeviction keeps them"
    return judged("eviction", found, [(DEGRADED, reason)])


def judge_pool(connections: int, max_connections: int, is_exhausted: bool) -> Check:
    """Judge how many of the connections that the client may make to one server are open, and whether all are in use."""
    found = {"connections": connections, "max_connections": max_connections}
    limits = f"max_connections ({max_connections}) or max_blocking_connections"
    reason = f"all connections are in use, and {limits} of the policy allows no more; further calls wait"
    return judged("pool", found, [(DEGRADED, reason)] if is_exhausted else [])


def judge_breaker(failures: int, opened: int, is_open: bool) -> Check:
    """Judge whether calls to one server are tried."""
    found = {"failures_in_a_row": failures, "opened": opened}
    reason = f"the last {failures} calls failed, so calls are refused for now, but for one after each pause"
    return judged("breaker", found, [(DEGRADED, reason)] if is_open else [])


def judge_discovery(trouble: ServerError | None) -> Check:
    """Judge whether the deployment named its servers. *trouble* says why it did not."""
    if trouble is None:
        return Check("discovery", OK)
    reason = reason_of(trouble)
    return Check("discovery", DEGRADED, f"no source names the servers, so those known before were asked: {reason}")


def show_counters(counters: Mapping[str, int]) -> Check:
    """Show what the client has done so far."""
    return Check("counters", OK, found=dict(counters))


def judge_round_trip(value: bytes, replies: Sequence[Any], latency_ms: float) -> Check:
    """Judge the replies to SET, GET and DEL of a key of our own with *value*."""
    stored, read_back, deleted = replies
    error = next((reply for reply in (stored, read_back) if isinstance(reply, ErrorReply)), None)
    if error is not None and error.code == "READONLY":
        return Check("round_trip", SKIPPED, "a replica takes no writes")
    if error is not None:
        return no_round_trip(str(error), timed_out=False)
    found = {"latency_ms": latency_ms}
    if read_back != value:
        return judged("round_trip", found, [(FAILED, "the probe key was read back with another value")])
    left = f"the probe key could not be deleted ({deleted}) and expires after {PROBE_SECONDS} s" if isinstance(deleted, ErrorReply) else ""
    return Check("round_trip", OK, left, found)
