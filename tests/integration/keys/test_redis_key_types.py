# SPDX-License-Identifier: MIT
"""The module redis_key: every type of value is created, found unchanged, changed, and never seen half-written."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from keyfleet.core.keys.apply import apply_entries
from keyfleet.core.keys.plan import parse_entries
from keyfleet.testing.servers import Cluster, Server
from support.modules import DEBIAN_PYTHON, Result, assert_check_predicts, run_module

ON_MANAGED_SERVICES = True

FIRST: dict[str, Any] = {
    "string": 1.5,
    "json": {"a": [1, True, None], "b": {"c": "é"}},
    "hash": {"a": 1, "b": True, "c": "text"},
    "list": ["a", 1, "a"],
    "set": ["a", "b", 3],
    "zset": {"a": 1, "b": 2.5, "c": "inf"},
    "stream": [{"id": "1-1", "fields": {"a": 1}}, {"id": "2-1", "fields": {"b": True}}],
}
SECOND: dict[str, Any] = {
    "string": True,
    "json": [1],
    "hash": {"a": 2, "d": ""},
    "list": ["b"],
    "set": ["b", "c"],
    "zset": {"b": 2.5, "a": -1},
    "stream": [{"id": "2-1", "fields": {"b": True}}, {"id": "3-1", "fields": {"c": 1, "d": 2}}],
}
STORED: dict[str, Any] = {
    "string": b"true",
    "json": b"[1]",
    "hash": {b"a": b"2", b"d": b""},
    "list": [b"b"],
    "set": {b"b", b"c"},
    "zset": [(b"a", -1.0), (b"b", 2.5)],
    "stream": [(b"1-1", {b"a": b"1"}), (b"2-1", {b"b": b"true"}), (b"3-1", {b"c": b"1", b"d": b"2"})],
}
READ: dict[str, Callable[[Any, str], Any]] = {
    "string": lambda client, key: client.get(key),
    "json": lambda client, key: client.get(key),
    "hash": lambda client, key: client.hgetall(key),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "set": lambda client, key: client.smembers(key),
    "zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    "stream": lambda client, key: client.xrange(key),
}


def actions(result: Result) -> list[str]:
    """Return what was done to each key."""
    assert not result.failed, result.data
    return [entry["action"] for entry in result["entries"]]


def entries(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one entry of each type."""
    return [{"key": kind, "type": kind, "value": value} for kind, value in values.items()]


@pytest.fixture(params=["redis_server", "redis_cluster"])
def target(request: pytest.FixtureRequest) -> Server | Cluster:
    """One server, and a cluster."""
    found: Server | Cluster = request.getfixturevalue(request.param)
    return found


def address(target: Server | Cluster) -> dict[str, Any]:
    """Return the connection options of the target."""
    settings = target.settings()
    nodes = [f"{host}:{port}" for host, port in settings.cluster_nodes]
    return {"startup_nodes": nodes} if nodes else {"login_port": settings.port}


@pytest.mark.parametrize("python", [sys.executable, DEBIAN_PYTHON], ids=["current", "distribution"])
def test_every_type_is_created_found_and_changed(target: Server | Cluster, python: str) -> None:
    """Created, unchanged, updated, unchanged; the server then holds the desired value."""
    client = target.client()
    for values, expected in ((FIRST, "created"), (FIRST, "unchanged"), (SECOND, "updated"), (SECOND, "unchanged")):
        result = assert_check_predicts("redis_key", {**address(target), "entries": entries(values)}, python=python)
        assert [expected] * len(FIRST) == actions(result)
    assert STORED == {kind: READ[kind](client, kind) for kind in STORED}


def test_values_with_a_ttl(target: Server | Cluster) -> None:
    """Value and TTL arrive together, for every type."""
    client = target.client()
    task = {**address(target), "ttl_seconds": 1000, "entries": entries(FIRST)}
    assert ["created"] * len(FIRST) == actions(run_module("redis_key", task))
    assert ["unchanged"] * len(FIRST) == actions(run_module("redis_key", task))
    assert all(900 < client.ttl(kind) <= 1000 for kind in FIRST)


def test_json_that_means_the_same_is_unchanged(redis_server: Server) -> None:
    """Spaces and the order of names do not matter; a text of another kind is overwritten."""
    client = redis_server.client()
    client.set("k", '{ "b": 1,\n "a": [ ] }')
    task = {"login_port": redis_server.port, "key": "k", "type": "json", "value": {"a": [], "b": 1}}
    assert ["unchanged"] == actions(assert_check_predicts("redis_key", task))
    client.set("k", "no json")
    assert ["updated"] == actions(assert_check_predicts("redis_key", task))
    assert b'{"a":[],"b":1}' == client.get("k")


def test_stream_entries_without_an_id_are_added_once(redis_server: Server) -> None:
    """As many entries with the same fields as desired; entries that the stream holds stay."""
    client = redis_server.client()
    client.xadd("k", {"other": 1})
    task = {"login_port": redis_server.port, "key": "k", "type": "stream", "value": [{"fields": {"a": 1}}, {"fields": {"a": 1}}]}
    assert ["updated"] == actions(assert_check_predicts("redis_key", task))
    assert ["unchanged"] == actions(assert_check_predicts("redis_key", task))
    assert [{b"other": b"1"}, {b"a": b"1"}, {b"a": b"1"}] == list(dict(client.xrange("k")).values())


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"id": "5-0", "fields": {"a": 2}}, "stream entry 5-0 exists with other fields"),
        ({"id": "6-0", "fields": {"a": 1}}, "stream entry 6-0 cannot be added: the stream has reached 7-0"),
    ],
)
def test_stream_entry_that_cannot_be(redis_server: Server, entry: dict[str, Any], says: str) -> None:
    """Check mode and the real run fail alike, also where the highest entry has been deleted, and nothing is written."""
    client = redis_server.client()
    client.xadd("k", {"a": 1}, id="5-0")
    client.xadd("k", {"a": 1}, id="7-0")
    client.xdel("k", "7-0")
    value = [entry, {"id": "9-0", "fields": {"a": 1}}]
    result = assert_check_predicts("redis_key", {"login_port": redis_server.port, "key": "k", "type": "stream", "value": value})
    assert (True, "RefusedError") == (result.failed, result["error"])
    assert says in result["msg"]
    assert [(b"5-0", {b"a": b"1"})] == client.xrange("k")


def test_bytes_that_are_no_text(redis_server: Server) -> None:
    """What is not UTF-8 is compared, shown with escapes and replaced; nothing crashes."""
    client = redis_server.client()
    client.set("string", b"\xff\x00")
    client.set("json", b"\xff\x00")
    client.hset("hash", b"\xff", b"\xfe")
    client.rpush("list", b"\xff")
    client.sadd("set", b"\xff")
    client.zadd("zset", {b"\xff": 1})
    client.xadd("stream", {b"\xff": b"\xfe"})
    values = {**SECOND, "stream": [{"fields": {"a": 1}}]}
    result = run_module("redis_key", {"login_port": redis_server.port, "entries": entries(values)}, diff=True)
    assert ["updated"] * len(SECOND) == actions(result)
    assert len(SECOND) == sum("\\xff" in str(diff["before"]["value"]) for diff in result["diff"])


def test_large_values(redis_server: Server) -> None:
    """Values of many MiB and of many thousand members arrive whole, are unchanged after that, and change only where they differ."""
    client = redis_server.client()
    desired: list[dict[str, Any]] = [
        {"key": "string", "value": "x" * (8 * 1024 * 1024)},
        {"key": "hash", "type": "hash", "value": {f"field{number}": number for number in range(20_000)}},
        {"key": "list", "type": "list", "value": list(range(20_000))},
    ]
    task = {"login_port": redis_server.port, "entries": desired}
    assert ["created"] * 3 == actions(run_module("redis_key", task))
    assert ["unchanged"] * 3 == actions(run_module("redis_key", task))
    assert (8 * 1024 * 1024, 20_000, 20_000) == (client.strlen("string"), client.hlen("hash"), client.llen("list"))
    desired[1]["value"]["field7"] = "other"
    client.config_resetstat()
    assert ["unchanged", "updated", "unchanged"] == actions(run_module("redis_key", task, diff=True))
    assert 1 == client.info("commandstats")["cmdstat_hset"]["calls"]


@pytest.mark.parametrize("kind", ["hash", "list", "set", "zset"])
def test_readers_never_see_half_a_value(redis_server: Server, kind: str) -> None:
    """While a collection is written again and again, every reader sees one whole value or the other."""
    many = [str(number) for number in range(3000)]
    raw: dict[str, list[Any]] = {
        "hash": [dict.fromkeys(many, "x"), dict.fromkeys(reversed(many[:1500]), "y")],
        "list": [many, many[::-1]],
        "set": [many, [f"other{number}" for number in many]],
        "zset": [dict.fromkeys(many, 1), dict.fromkeys(many, 2)],
    }
    desired = [parse_entries([{"key": "k", "type": kind, "value": value}], {}) for value in raw[kind]]
    settings = redis_server.settings()
    writer, reader = redis_server.client(), redis_server.client()
    apply_entries(writer, settings, desired[0])
    whole = []
    for wanted in desired:
        apply_entries(writer, settings, wanted)
        whole.append(READ[kind](reader, "k"))
    enough = threading.Event()

    def write() -> None:
        for wanted in itertools.cycle(desired):
            apply_entries(writer, settings, wanted)
            if enough.is_set():
                return

    thread = threading.Thread(target=write)
    thread.start()
    seen = [whole.index(value) if value in whole else value for value in (READ[kind](reader, "k") for _turn in range(200))]
    enough.set()
    thread.join()
    assert {0, 1} == set(seen)
