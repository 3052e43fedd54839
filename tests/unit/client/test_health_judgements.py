# SPDX-License-Identifier: MIT
"""The judgements that a client adds to those of the core, and what a probe's replies mean, without a server."""

from __future__ import annotations

import pytest
from keyfleet._protocol.health import judge_breaker, judge_discovery, judge_eviction, judge_pool, judge_round_trip
from keyfleet._protocol.info import ServerInfo
from keyfleet._protocol.resp import ErrorReply
from keyfleet.core.errors import CredentialsError, UnreachableError


@pytest.mark.parametrize(
    ("info", "status", "part"),
    [
        (ServerInfo(maxmemory_policy="noeviction", maxmemory_bytes=0), "ok", ""),
        (ServerInfo(maxmemory_policy="allkeys-lru", maxmemory_bytes=5), "degraded", "evicts any key when memory is full, and a:, b: must"),
        (ServerInfo(maxmemory_policy="volatile-lru", maxmemory_bytes=5), "degraded", "evicts any key with a TTL when"),
        (ServerInfo(maxmemory_policy="allkeys-random", maxmemory_bytes=0), "degraded", "once it has a maxmemory, which is 0 now"),
        (ServerInfo(maxmemory_policy="allkeys-lfu"), "degraded", "when memory is full"),
        (ServerInfo(), "skipped", "does not report maxmemory_policy"),
    ],
)
def test_eviction(info: ServerInfo, status: str, part: str) -> None:
    """Only noeviction keeps what must stay; a hidden limit is taken for one."""
    check = judge_eviction(info, ["a:", "b:"])
    assert (status, True) == (check.status, part in check.reason)


def test_eviction_of_a_cache_is_nobodys_business() -> None:
    """Nothing was named that must stay."""
    assert "skipped" == judge_eviction(ServerInfo(maxmemory_policy="allkeys-lru", maxmemory_bytes=5), []).status


def test_pool_and_breaker() -> None:
    """Degraded while calls wait or are refused."""
    assert ["ok", "degraded"] == [judge_pool(10, 10, exhausted).status for exhausted in (False, True)]
    assert ["ok", "degraded"] == [judge_breaker(5, 1, is_open).status for is_open in (False, True)]


def test_discovery_says_why() -> None:
    """The words of the error, without the address that the check has anyway."""
    assert "ok" == judge_discovery(None).status
    assert judge_discovery(UnreachableError("10.0.0.1:26379", "no Sentinel answers")).reason.endswith(": no Sentinel answers")
    assert "refused the credentials" in judge_discovery(CredentialsError("10.0.0.1:26379", "wrong password")).reason


@pytest.mark.parametrize(
    ("replies", "status", "part"),
    [
        ([b"OK", b"v", 1], "ok", ""),
        ([b"OK", b"other", 1], "failed", "another value"),
        ([b"OK", None, 0], "failed", "another value"),
        ([ErrorReply("READONLY You can't write against a read only replica."), None, ErrorReply("READONLY")], "skipped", "replica"),
        ([ErrorReply("OOM command not allowed when used memory > 'maxmemory'."), None, 0], "failed", "maxmemory"),
        ([b"OK", b"v", ErrorReply("NOPERM this user has no permissions to run the 'del' command")], "ok", "expires after 10 s"),
    ],
)
def test_round_trip(replies: list[object], status: str, part: str) -> None:
    """What was written has to come back; a replica need not take it, and what cannot be deleted expires."""
    check = judge_round_trip(b"v", replies, 0.5)
    assert (status, True) == (check.status, part in check.reason)
