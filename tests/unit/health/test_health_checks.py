# SPDX-License-Identifier: MIT
"""What INFO and CLUSTER INFO say about health, judged without a server."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.health.checks import INFO_CHECKS, deciding_directives, engine_of, judge_cluster, judge_info
from keyfleet.core.health.model import Check, Expect, Thresholds, placed, worst

THRESHOLDS, NO_EXPECTATION = Thresholds(), Expect()
MIB = 1024 * 1024
FRESH: dict[str, Any] = {
    # Redis 7.0.15, one second after it started; resident memory is 13.87 times the used memory.
    "redis_version": "7.0.15",
    "os": "Linux 6.1 x86_64",
    "server_time_usec": 1_795_246_778_057_302,
    "uptime_in_seconds": 1,
    "connected_clients": 1,
    "cluster_connections": 0,
    "maxclients": 10_000,
    "used_memory": 916_808,
    "used_memory_rss": 12_152_832,
    "maxmemory": 0,
    "maxmemory_policy": "noeviction",
    "mem_fragmentation_ratio": 13.87,
    "mem_fragmentation_bytes": 11_276_648,
    "mem_not_counted_for_evict": 0,
    "loading": 0,
    "async_loading": 0,
    "rdb_changes_since_last_save": 0,
    "rdb_last_save_time": 1_795_246_777,
    "rdb_last_bgsave_status": "ok",
    "aof_enabled": 0,
    "rejected_connections": 0,
    "evicted_keys": 0,
    "role": "master",
    "connected_slaves": 0,
    "master_repl_offset": 0,
    "cluster_enabled": 0,
    "paused_reason": "none",  # as Valkey from 8.1 on
    "paused_actions": "none",
    "paused_timeout_milliseconds": 0,
}
REPLICA = {
    "role": "slave",
    "master_host": "127.0.0.1",
    "master_port": 6379,
    "master_link_status": "up",
    "master_last_io_seconds_ago": 2,
    "slave_read_repl_offset": 1_500,
    "slave_repl_offset": 1_400,
}


def judge(name: str, *, thresholds: Thresholds = THRESHOLDS, expect: Expect = NO_EXPECTATION, without: str = "", **fields: Any) -> Check:
    """Judge a fresh server whose INFO has these fields changed; return one check."""
    info = {field: value for field, value in {**FRESH, **fields}.items() if field != without}
    return next(check for check in judge_info(info, thresholds, expect) if check.name == name)


def test_fresh_server_is_ok_everywhere() -> None:
    """A server that has just started and has nothing in it raises no alarm."""
    assert dict.fromkeys(INFO_CHECKS, "ok") == {check.name: check.status for check in judge_info(FRESH, Thresholds(), Expect())}


def test_empty_info_skips_every_check_and_raises_nothing() -> None:
    """Every field is optional: what is not reported is skipped, with the field's name."""
    checks = judge_info({}, Thresholds(), Expect())
    assert {"skipped"} == {check.status for check in checks}
    assert "the server does not report role" == next(check.reason for check in checks if check.name == "role")


@pytest.mark.parametrize("field", sorted(FRESH))
def test_any_single_field_may_be_missing(field: str) -> None:
    """No field is needed for another check's result: nothing gets worse when one is missing."""
    info = {name: value for name, value in FRESH.items() if name != field}
    assert {check.status for check in judge_info(info, Thresholds(), Expect())} <= {"ok", "skipped"}


@pytest.mark.parametrize("field", ["used_memory", "connected_clients", "loading", "evicted_keys"])
def test_field_without_a_number_is_skipped(field: str) -> None:
    """Serverless caches answer some fields with text; that is no number and no error."""
    assert "skipped" in {check.status for check in judge_info({**FRESH, field: "no data"}, Thresholds(), Expect())}


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"redis_version": "7.0.15"}, ("redis", "7.0.15")),
        ({"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "8.1.1", "server_mode": "standalone"}, ("valkey", "8.1.1")),
        ({"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "8.1.1", "redis_mode": "cluster"}, ("valkey", "8.1.1")),
        ({"redis_version": "7.2.4", "valkey_version": "7.3.0"}, ("valkey", "7.3.0")),
    ],
    ids=["redis", "valkey", "valkey posing as redis", "no server_name"],
)
def test_engine_is_identified(info: dict[str, Any], expected: tuple[str, str]) -> None:
    """Valkey is recognised by its own fields, also when it poses as Redis 7.2.4."""
    assert expected == engine_of(info)


def test_managed_service_is_named() -> None:
    """The service that runs the server is among the values."""
    assert "Amazon ElastiCache" == judge("engine", os="Amazon ElastiCache").found["service"]


@pytest.mark.parametrize(("expected", "status"), [("7", "ok"), ("7.0", "ok"), ("7.0.15", "ok"), ("7.0.1", "failed"), ("8", "failed")])
def test_version_is_compared_by_its_parts(expected: str, status: str) -> None:
    """An expectation names the first parts of the version; 7.0.1 is not the beginning of 7.0.15."""
    assert status == judge("engine", expect=Expect(version=expected)).status


def test_mismatches_name_found_and_expected_values() -> None:
    """An expectation that does not hold fails with both values."""
    assert "the engine is redis, expected: valkey" == judge("engine", expect=Expect(engine="valkey")).reason
    assert "the version is 7.0.15, expected: 8.0" == judge("engine", expect=Expect(version="8.0")).reason
    assert "the role is primary, expected: replica" == judge("role", expect=Expect(role="replica")).reason
    assert "0 replicas are in sync, expected: 2" == judge("replication", expect=Expect(replicas=2)).reason
    assert "failed" == judge("replication", expect=Expect(replicas=2)).status


def test_expectation_that_cannot_be_verified_fails() -> None:
    """A missing field skips a check, unless an expectation relies on its value."""
    check = judge("role", expect=Expect(role="primary"), without="role")
    assert ("failed", "expected role primary, which cannot be verified: the server does not report role") == (check.status, check.reason)


def test_loading_server_fails_with_its_progress() -> None:
    """A server that loads its data does not serve yet."""
    check = judge("loading", loading=1, loading_loaded_perc=42.5, loading_eta_seconds=3)
    assert ("failed", "the server is loading its data, 42.5 % done") == (check.status, check.reason)


def test_replica_that_swaps_its_data_is_degraded() -> None:
    """During an asynchronous load a replica serves old data."""
    assert "degraded" == judge("loading", async_loading=1).status


@pytest.mark.parametrize(
    ("used_mib", "policy", "status"),
    [
        (89, "noeviction", "ok"),
        (91, "noeviction", "degraded"),
        (100, "noeviction", "failed"),
        (91, "volatile-lru", "degraded"),
        (100, "volatile-lru", "degraded"),
        (100, "allkeys-lru", "ok"),
    ],
)
def test_memory_is_judged_by_what_the_policy_does_when_it_is_full(used_mib: int, policy: str, status: str) -> None:
    """A full cache that may evict any key is as it should be; one that may not refuses writes."""
    assert status == judge("memory", maxmemory=100 * MIB, used_memory=used_mib * MIB, maxmemory_policy=policy).status


def test_memory_leaves_out_what_the_server_leaves_out() -> None:
    """Buffers for replicas do not count towards maxmemory."""
    check = judge("memory", maxmemory=100 * MIB, used_memory=95 * MIB, mem_not_counted_for_evict=20 * MIB)
    assert ("ok", 75.0) == (check.status, check.found["used_percent"])


@pytest.mark.parametrize(("ratio", "wasted_mib", "status"), [(13.87, 11, "ok"), (1.4, 500, "ok"), (1.6, 500, "degraded")])
def test_fragmentation_needs_ratio_and_size(ratio: float, wasted_mib: int, status: str) -> None:
    """Tiny servers have absurd ratios and large ones large remainders; only both together are waste."""
    assert status == judge("fragmentation", mem_fragmentation_ratio=ratio, mem_fragmentation_bytes=wasted_mib * MIB).status


@pytest.mark.parametrize(
    ("directives", "status", "part"),
    [
        ({}, "failed", "by default the server then refuses writes with MISCONF"),
        ({"stop-writes-on-bgsave-error": "yes", "save": "3600 1"}, "failed", "; the server refuses writes with MISCONF"),
        ({"stop-writes-on-bgsave-error": "no", "save": "3600 1"}, "degraded", "stop-writes-on-bgsave-error is no"),
        ({"stop-writes-on-bgsave-error": "yes", "save": ""}, "degraded", "save is empty"),
    ],
)
def test_failed_snapshot_is_judged_by_what_the_server_does_then(directives: dict[str, str], status: str, part: str) -> None:
    """It refuses writes, unless it is configured to take them or to make no snapshots; where that is unknown, it counts as refusing."""
    check = judge("persistence", rdb_last_bgsave_status="err", **directives)
    assert (status, True) == (check.status, part in check.reason)
    assert ("stop-writes-on-bgsave-error", "save") == deciding_directives({**FRESH, "rdb_last_bgsave_status": "err"})


@pytest.mark.parametrize(
    ("good", "required", "status"), [(0, None, "failed"), (1, None, "ok"), (0, "1", "failed"), (1, "1", "ok"), (1, "2", "failed")]
)
def test_replicas_that_writes_require(good: int, required: str | None, status: str) -> None:
    """The server reports the number only where some are required; without CONFIG, none is certainly too few."""
    fields = {} if required is None else {"min-replicas-to-write": required}
    check = judge("replication", min_slaves_good_slaves=good, **fields)
    assert (status, status == "failed", good) == (check.status, "NOREPLICAS" in check.reason, check.found["good_replicas"])
    assert (("min-replicas-to-write",) if good else ()) == deciding_directives({**FRESH, "min_slaves_good_slaves": good})


def test_nothing_is_asked_of_config_while_all_is_well() -> None:
    """A denied CONFIG leaves an entry in the server's ACL LOG each time."""
    assert () == deciding_directives(FRESH)
    assert () == deciding_directives({})
    assert () == deciding_directives({**FRESH, **REPLICA, "min_slaves_good_slaves": 1})


def test_paused_commands_are_degraded() -> None:
    """The pause ends without anybody's help; what is paused, why, and for how long yet."""
    check = judge("pause", paused_actions="write", paused_reason="failover_in_progress", paused_timeout_milliseconds=300)
    assert ("degraded", "writes are paused for another 300 ms (failover_in_progress)") == (check.status, check.reason)
    assert "commands (all) are paused" in judge("pause", paused_actions="all", paused_reason="client_pause").reason


def test_append_only_file_is_judged_only_when_it_is_on() -> None:
    """A failed write to the append-only file fails, a failed rewrite degrades, and neither counts while it is off."""
    assert "failed" == judge("persistence", aof_enabled=1, aof_last_write_status="err").status
    assert "degraded" == judge("persistence", aof_enabled=1, aof_last_bgrewrite_status="err").status
    assert "ok" == judge("persistence", aof_enabled=0, aof_last_write_status="err").status


def test_age_of_the_snapshot_counts_only_with_a_threshold_and_unsaved_changes() -> None:
    """An idle server needs no new snapshot, and only CONFIG shows whether snapshots are configured."""
    old = FRESH["rdb_last_save_time"] - 7_200
    hour = Thresholds(save_age_seconds=3_600)
    assert "ok" == judge("persistence", rdb_last_save_time=old, rdb_changes_since_last_save=5).status
    assert "ok" == judge("persistence", rdb_last_save_time=old, thresholds=hour).status
    check = judge("persistence", rdb_last_save_time=old, rdb_changes_since_last_save=5, thresholds=hour)
    assert ("degraded", 7_201) == (check.status, check.found["last_save_age_seconds"])


def test_replica_reports_its_link_and_lag() -> None:
    """A replica in sync reports its primary, the seconds of silence and the bytes not yet applied."""
    check = judge("replication", **REPLICA)
    assert "ok" == check.status
    assert ("127.0.0.1:6379", "up", 2, 100) == tuple(check.found[name] for name in ("primary", "link", "lag_seconds", "lag_bytes"))


def test_replica_without_a_link_fails() -> None:
    """A replica that lost its primary serves old data."""
    down = {**REPLICA, "master_link_status": "down", "master_sync_in_progress": 1, "master_link_down_since_seconds": 9}
    check = judge("replication", **down)
    assert "failed" == check.status
    assert "the replication link to 127.0.0.1:6379 is down, a full synchronisation is in progress" == check.reason


def test_replica_behind_in_seconds_or_bytes_is_degraded() -> None:
    """Either lag alone is enough."""
    assert "degraded" == judge("replication", **{**REPLICA, "master_last_io_seconds_ago": 31}).status
    assert "degraded" == judge("replication", **{**REPLICA, "slave_read_repl_offset": 11 * MIB + 1_400}).status


def test_primary_reports_each_replica() -> None:
    """A primary knows how far each replica is behind; one that is not online yet degrades it and is not counted."""
    rows = {
        "slave0": {"ip": "127.0.0.2", "port": 6379, "state": "online", "offset": 90, "lag": 1},
        "slave1": {"ip": "127.0.0.3", "port": 6379, "state": "wait_bgsave", "offset": 0, "lag": 0},
    }
    check = judge("replication", connected_slaves=2, master_repl_offset=100, expect=Expect(replicas=1), **rows)
    assert ("degraded", 1) == (check.status, check.found["online_replicas"])
    assert {"address": "127.0.0.2:6379", "state": "online", "lag_seconds": 1, "lag_bytes": 10} == check.found["replicas"][0]
    assert "replica 127.0.0.3:6379 is not in sync yet (state wait_bgsave)" == check.reason


def test_a_replica_that_announced_no_address_has_none() -> None:
    """INFO lists it with port 0 until it has."""
    row = {"ip": "127.0.0.1", "port": 0, "state": "wait_bgsave", "offset": 0, "lag": 0}
    check = judge("replication", connected_slaves=1, slave0=row)
    assert "a replica that has announced no address yet is not in sync yet (state wait_bgsave)" == check.reason
    assert "" == check.found["replicas"][0]["address"]


@pytest.mark.parametrize("node", ["10.0.0.1:6379", "[fd00::1]:6379", "unix:/run/s"])
def test_reasons_do_not_repeat_the_address_of_the_node(node: str) -> None:
    """Libraries write it into their texts; that of another node stays."""
    bare = node.removeprefix("unix:").replace("[", "").replace("]", "")
    texts = {
        f"Error 111 connecting to {bare}. Connection refused.": "Error 111. Connection refused.",
        f"Error while reading from {bare} : (104, 'Connection reset by peer')": "Error: (104, 'Connection reset by peer')",
        "Error 111 connecting to 10.0.0.9:1. Connection refused.": "Error 111 connecting to 10.0.0.9:1. Connection refused.",
    }
    found = placed([Check("ping", "failed", text) for text in texts], node)
    assert list(texts.values()) == [check.reason for check in found]
    assert {node} == {check.node for check in found}


def test_clients_are_compared_with_the_limit_that_is_reported() -> None:
    """Without maxclients there is nothing to compare with."""
    assert "degraded" == judge("clients", connected_clients=91, maxclients=100).status
    assert "degraded" == judge("clients", connected_clients=50, cluster_connections=41, maxclients=100).status
    assert "ok" == judge("clients", connected_clients=91, without="maxclients").status


def test_counters_are_flagged_by_threshold() -> None:
    """Evictions are what a cache does, so they count only on request; a rejected connection always does, unless switched off."""
    assert "ok" == judge("evicted_keys", evicted_keys=5).status
    assert "degraded" == judge("evicted_keys", evicted_keys=5, thresholds=Thresholds(evicted_keys=4)).status
    assert "degraded" == judge("rejected_connections", rejected_connections=1).status
    assert "ok" == judge("rejected_connections", rejected_connections=1, thresholds=Thresholds(rejected_connections=None)).status


def test_cluster_is_judged_by_state_and_coverage() -> None:
    """A cluster is well when it says so and every slot has a node that works."""
    fields = {"cluster_state": "ok", "cluster_slots_assigned": "16384", "cluster_slots_ok": "16384", "cluster_size": "3"}
    assert "ok" == judge_cluster(fields).status
    assert "failed" == judge_cluster({**fields, "cluster_state": "fail"}).status
    assert "4 of 16384 slots belong to no node" == judge_cluster({**fields, "cluster_slots_assigned": "16380"}).reason
    assert "failed" == judge_cluster({**fields, "cluster_slots_fail": "1"}).status
    assert "degraded" == judge_cluster({**fields, "cluster_slots_pfail": "1"}).status


def test_worst_status_wins_and_skipped_weighs_nothing() -> None:
    """The verdict is the gravest status; what was skipped does not count."""
    assert "ok" == worst([])
    assert "ok" == worst(["skipped"])
    assert "failed" == worst(["ok", "failed", "degraded"])
