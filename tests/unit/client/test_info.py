# SPDX-License-Identifier: MIT
"""Reports of servers, parsed without a server: INFO of several engines, slow log, samples of memory."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from keyfleet._protocol.info import (
    PrefixMemory,
    Sample,
    ServerInfo,
    estimate_memory,
    memory_usage,
    read_fields,
    read_info,
    scan_names,
    slow_log,
)
from keyfleet.core.health.checks import judge_info
from keyfleet.core.health.model import Expect, Thresholds

VALKEY = b"""# Server\r
server_name:valkey\r
valkey_version:8.1.1\r
redis_version:7.2.4\r
uptime_in_seconds:7\r
\r
# Memory\r
used_memory:1000\r
maxmemory:0\r
maxmemory_policy:allkeys-lru\r
mem_fragmentation_ratio:1.25\r
# Replication\r
role:slave\r
connected_slaves:2\r
slave0:ip=10.0.0.1,port=6379,state=online,offset=120,lag=1\r
slave1:ip=fd00::1,port=6380,state=wait_bgsave,offset=0,lag=0,type=replica\r
"""


def test_valkey_reports_its_own_version() -> None:
    """Not that of the Redis that it is compatible with."""
    info = read_info(VALKEY)
    assert ("valkey", "8.1.1", "replica", 2, 7) == (
        info.engine,
        info.version,
        info.role,
        info.connected_replicas,
        info.uptime_seconds,
    )
    assert (1000, 0, "allkeys-lru", None) == (info.used_memory_bytes, info.maxmemory_bytes, info.maxmemory_policy, info.connected_clients)
    assert "7.2.4" == info.fields["redis_version"]


def test_redis_has_no_name_of_its_own() -> None:
    """Its version is enough to know it."""
    info = read_info(b"redis_version:7.0.15\r\nrole:master\r\n")
    assert ("redis", "7.0.15", "primary") == (info.engine, info.version, info.role)


@pytest.mark.parametrize("reply", [b"", b"\r\n", b"# Server\r\n", b"used_memory:\r\nrole\r\n"])
def test_what_is_hidden_is_none(reply: bytes) -> None:
    """Nothing is guessed, and nothing fails."""
    info = read_info(reply)
    assert ServerInfo(fields=info.fields) == info
    assert [] == info.replica_addresses


def test_what_is_no_number_is_none() -> None:
    """The text is still there."""
    info = read_info(b"used_memory:lots\r\nmaxmemory:-1\r\n")
    assert (None, None, "lots") == (info.used_memory_bytes, info.maxmemory_bytes, info.fields["used_memory"])


def test_replicas_are_listed_with_their_addresses() -> None:
    """IPv6 addresses have colons and no brackets; a row without a port is none."""
    assert [("10.0.0.1", 6379), ("fd00::1", 6380)] == read_info(VALKEY).replica_addresses
    assert [] == read_info(b"slave0:ip=10.0.0.1,state=online\r\n").replica_addresses
    assert [] == read_info(b"slave0:ip=10.0.0.1,port=0,state=wait_bgsave\r\n").replica_addresses


def test_the_checks_of_the_core_read_it() -> None:
    """Numbers are numbers and replicas mappings, so that lag and state are seen."""
    checks = {check.name: check for check in judge_info(read_info(VALKEY + b"master_link_status:up\r\n").values, Thresholds(), Expect())}
    assert 1000 == checks["memory"].found["used_bytes"]
    assert "ok" == checks["engine"].status
    assert [("online", 1), ("wait_bgsave", 0)] == [(row["state"], row["lag_seconds"]) for row in checks["replication"].found["replicas"]]
    assert "degraded" == checks["replication"].status


def test_values_may_have_colons_and_bytes_that_are_no_text() -> None:
    """A path may hold anything."""
    assert {"config_file": "/a:b/\\xff"} == read_fields(b"config_file:/a:b/\xff\r\n")


def test_slow_log_entries_of_any_server() -> None:
    """Servers before 4.0 do not report who sent it."""
    reply = [[7, 86400, 1500, [b"SET", b"k", b"\xff"], b"10.0.0.9:5000", b"web"], [6, 0, 20, [b"PING"]]]
    new, old = slow_log(2).decode(reply, "")
    assert (7, 1500, ("SET", "k", "\\xff"), "10.0.0.9:5000", "web") == (
        new.id,
        new.duration_us,
        new.arguments,
        new.client_address,
        new.client_name,
    )
    assert datetime(1970, 1, 2, tzinfo=timezone.utc) == new.started_at
    assert (6, ("PING",), "", "") == (old.id, old.arguments, old.client_address, old.client_name)


def test_names_that_are_no_text_have_no_slot_to_go_to() -> None:
    """The caller says which server has them; the others go where their slot is."""
    assert [None, "ü"] == [memory_usage(b"\xff").name, memory_usage("ü".encode()).name]
    assert (0, [b"\xff"]) == scan_names(0, 10).decode([b"0", [b"\xff"]], "")


def test_an_estimate_scales_each_server_by_itself() -> None:
    """One was sampled whole, of the other a tenth."""
    whole = Sample([("a:1", 100), ("b:1", 10)], read_count=4, key_count=4, is_all=True)
    tenth = Sample([("a:2", 50), ("c", 1)], read_count=10, key_count=100, is_all=False)
    found = estimate_memory([whole, tenth], ":", 1)
    assert {"a:": PrefixMemory(11, 600), "b:": PrefixMemory(1, 10), "": PrefixMemory(10, 10)} == found.prefixes
    assert (14, 104, False) == (found.sampled_keys, found.total_keys, found.is_exact)


def test_keys_that_went_meanwhile_make_no_estimate_smaller_than_the_sample() -> None:
    """The server says that it has fewer keys than were seen."""
    gone = Sample([("a:1", 100), ("a:2", 100)], read_count=2, key_count=1, is_all=False)
    assert {"a:": PrefixMemory(2, 200)} == estimate_memory([gone], ":", 1).prefixes


@pytest.mark.parametrize(
    ("depth", "prefix"),
    [(1, "app::"), (2, "app::user::"), (3, "app::user::7::"), (9, "app::user::7::")],
)
def test_a_prefix_ends_with_its_separator(depth: int, prefix: str) -> None:
    """The last part of a name is never in it."""
    sample = Sample([("app::user::7::name", 1)], read_count=1, key_count=1, is_all=True)
    assert [prefix] == list(estimate_memory([sample], "::", depth).prefixes)
