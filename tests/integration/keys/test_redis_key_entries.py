# SPDX-License-Identifier: MIT
"""The module redis_key with many entries: pipelined, truthful when some fail, when others write and when the server fails."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from keyfleet.core.errors import UnreachableError
from keyfleet.core.keys.apply import apply_entries
from keyfleet.core.keys.plan import parse_entries
from keyfleet.testing.servers import Cluster, Server, start_server
from support.modules import DEBIAN_PYTHON, assert_check_predicts, run_module

TEN_THOUSAND = [{"key": f"k{number}", "value": number} for number in range(10_000)]
PYTHONS = pytest.mark.parametrize("python", [sys.executable, DEBIAN_PYTHON], ids=["current", "distribution"])


def calls(client: Any) -> dict[str, int]:
    """Return how often the server has run each command that works on keys."""
    stats = client.info("commandstats")
    return {name[8:]: entry["calls"] for name, entry in stats.items() if name[8:] in ("type", "pttl", "get", "set", "unlink", "eval")}


@PYTHONS
def test_ten_thousand_entries_in_pipelines(redis_server: Server, python: str) -> None:
    """Each key is read once and written once, many in one request, and the result stays small."""
    client = redis_server.client()
    task = {"login_port": redis_server.port, "entries": TEN_THOUSAND}
    client.config_resetstat()
    result = run_module("redis_key", task, python=python)
    assert ({"type": 10_000, "pttl": 10_000, "set": 10_000}, 10_000) == (calls(client), client.dbsize())
    # The server reads a whole pipeline, or 16 KiB of it, in one read; one request per command would be 30,000 reads.
    assert client.info("stats")["total_reads_processed"] < 1000
    assert (True, 10_000, 100) == (result.changed, result["counts"]["created"], len(result["entries"]))
    assert len(result.stdout) < 20_000
    assert "10000 entries" == result["invocation"]["module_args"]["entries"]

    client.config_resetstat()
    result = run_module("redis_key", task, python=python)
    assert (False, 10_000) == (result.changed, result["counts"]["unchanged"])
    assert {"type": 10_000, "pttl": 10_000, "get": 10_000} == calls(client)

    client.config_resetstat()
    result = run_module("redis_key", {**task, "state": "absent"}, python=python)
    assert (True, 10_000, 0) == (result.changed, result["counts"]["deleted"], client.dbsize())
    assert {"type": 10_000, "pttl": 10_000, "unlink": 10_000} == calls(client)


@PYTHONS
def test_ten_thousand_entries_on_a_cluster(redis_cluster: Cluster, python: str) -> None:
    """All shards get their keys, in pipelines; a second run finds all of them."""
    nodes = [f"{host}:{port}" for host, port in redis_cluster.settings().cluster_nodes]
    task = {"startup_nodes": nodes, "entries": TEN_THOUSAND}
    assert 10_000 == run_module("redis_key", task, python=python)["counts"]["created"]
    sizes = [node.client().dbsize() for node in redis_cluster.primaries()]
    assert 10_000 == sum(sizes)
    assert min(sizes) > 2000
    result = run_module("redis_key", task, python=python)
    assert (False, 10_000) == (result.changed, result["counts"]["unchanged"])


def test_no_entries_are_no_change(redis_server: Server) -> None:
    """An empty list is valid."""
    result = assert_check_predicts("redis_key", {"login_port": redis_server.port, "entries": []})
    assert (False, False, []) == (result.failed, result.changed, result["entries"])


def test_a_failing_entry_is_named_and_the_others_are_done(redis_server: Server) -> None:
    """The task fails, says which entry and why, and reports truthfully what was done."""
    client = redis_server.client()
    client.rpush("b", 1)
    entries = [{"key": "a", "value": 1}, {"key": "b", "value": 1}, {"key": "c", "type": "hash", "value": {"x": 1}}]
    result = assert_check_predicts("redis_key", {"login_port": redis_server.port, "entries": entries})
    assert (True, True, "WrongTypeError") == (result.failed, result.changed, result["error"])
    assert "1 of 3 entries failed: 'b' (entry 1): key 'b' holds a list, not a string" == result["msg"]
    assert ["created", "failed", "created"] == [entry["action"] for entry in result["entries"]]
    assert [{"index": 1, "key": "b", "error": "WrongTypeError", "msg": "key 'b' holds a list, not a string"}] == result["failures"]
    assert {b"a", b"b", b"c"} == set(client.keys("*"))
    again = assert_check_predicts("redis_key", {"login_port": redis_server.port, "entries": entries})
    assert (True, False) == (again.failed, again.changed)


def test_a_bad_entry_stops_the_task_before_anything_is_touched(redis_server: Server) -> None:
    """What can be seen without the server is refused as a whole."""
    entries = [{"key": "a", "value": 1}, {"key": "b", "type": "hash", "value": [1]}, {"key": "a", "value": 2}]
    result = assert_check_predicts("redis_key", {"login_port": redis_server.port, "entries": entries})
    assert (True, False, "RefusedError") == (result.failed, result.changed, result["error"])
    assert "entry 1 (key 'b'): the value must be a mapping" in result["msg"]
    assert "entry 2 (key 'a'): entry 0 names the same key" in result["msg"]
    assert 0 == redis_server.client().dbsize()


def test_full_server_fails_by_entry(tmp_path: Path) -> None:
    """Writes that need memory fail, deletions are done, and no collection is left half-written."""
    with start_server(tmp_path, directives={"maxmemory": "1gb"}) as server:
        client = server.client()
        client.set("old", 1)
        client.hset("h", "a", 1)
        client.config_set("maxmemory", "1")
        entries = [
            {"key": "old", "state": "absent"},
            {"key": "new", "value": 1},
            {"key": "h", "type": "hash", "value": {"b": 1}},
        ]
        result = run_module("redis_key", {"login_port": server.port, "entries": entries})
        assert (True, True) == (result.failed, result.changed)
        assert ["deleted", "failed", "failed"] == [entry["action"] for entry in result["entries"]]
        assert {b"a": b"1"} == client.hgetall("h")
        assert [b"h"] == client.keys("*")


class Hooked:
    """A real client that calls *hook* with the number of each pipeline, from 1, before it is made."""

    def __init__(self, client: Any, hook: Callable[[int], object]) -> None:
        self._client, self._hook, self._number = client, hook, 0

    def pipeline(self, **options: Any) -> Any:
        self._number += 1
        self._hook(self._number)
        return self._client.pipeline(**options)


READ_VALUES, WRITE = 2, 3  # the pipelines of a chunk: types and TTLs, values, writes


def test_server_lost_before_the_first_write_is_an_error(tmp_path: Path) -> None:
    """Nothing was written: the error itself, not a list of failures."""
    with start_server(tmp_path) as server:
        server.client().set("k", 1)
        client = Hooked(server.client(), lambda number: server.kill() if number == READ_VALUES else None)
        with pytest.raises(UnreachableError):
            apply_entries(
                client, server.settings(retry_attempts=0), parse_entries([{"key": "k", "value": 2}, {"key": "k2", "value": 1}], {})
            )


def test_server_lost_between_two_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written is reported, what follows failed without being tried."""
    monkeypatch.setattr("keyfleet.core.keys.apply.CHUNK_ENTRIES", 2)
    with start_server(tmp_path) as server:
        client = Hooked(server.client(), lambda number: server.kill() if number == WRITE + 1 else None)
        report = apply_entries(client, server.settings(retry_attempts=0), parse_entries(TEN_THOUSAND[:6], {}))
    assert ["created", "created", "failed", "failed", "failed", "failed"] == [outcome.action for outcome in report.outcomes]
    assert report.changed
    assert {"UnreachableError"} == {type(outcome.error).__name__ for outcome in report.failures}


def test_reply_that_does_not_come_is_unknown(redis_server: Server) -> None:
    """A write that was sent may have been done: unknown, and changed."""
    client = redis_server.client()
    settings = redis_server.settings(timeout_seconds=0.2)
    client.set("same", 1)
    client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    try:
        desired = parse_entries([{"key": "k", "value": 1}, {"key": "same", "value": 1}], {})
        report = apply_entries(redis_server.client(timeout_seconds=0.2), settings, desired)
    finally:
        client.execute_command("CLIENT", "UNPAUSE")
    assert ["unknown", "unchanged"] == [outcome.action for outcome in report.outcomes]
    assert report.changed
    assert json.dumps(report.as_result())


Change = Callable[[Any], object]


@pytest.mark.parametrize(
    ("desired", "before", "meanwhile", "action", "stored"),
    [
        ({"value": 1, "only_if": "missing"}, None, lambda other: other.set("k", 2), "unchanged", b"2"),
        ({"value": 1, "only_if": "exists"}, b"0", lambda other: other.delete("k"), "unchanged", None),
        ({"state": "absent"}, b"0", lambda other: other.delete("k"), "unchanged", None),
        ({"value": 1, "ttl_seconds": 9}, b"1", lambda other: other.delete("k"), "created", b"1"),
        ({"value": [1], "type": "list"}, None, lambda other: other.set("k", 2), "failed", b"2"),
    ],
)
def test_key_that_changes_between_reading_and_writing(
    redis_server: Server, desired: dict[str, Any], before: bytes | None, meanwhile: Change, action: str, stored: bytes | None
) -> None:
    """It is read again, and the outcome is that of the new state."""
    other = redis_server.client()
    if before is not None:
        other.set("k", before)
    client = Hooked(redis_server.client(), lambda number: meanwhile(other) if number == WRITE else None)
    report = apply_entries(client, redis_server.settings(), parse_entries([{"key": "k", **desired}], {}))
    assert [action] == [outcome.action for outcome in report.outcomes]
    assert stored == other.get("k")


def test_key_that_never_rests_is_a_failure(redis_server: Server) -> None:
    """After three attempts the key is given up, named, untouched."""
    other = redis_server.client()

    def toggle(number: int) -> None:
        if number % WRITE == 0 and not other.delete("k"):
            other.set("k", "other")

    desired = parse_entries([{"key": "k", "type": "list", "value": [1], "replace_type": True}], {})
    report = apply_entries(Hooked(redis_server.client(), toggle), redis_server.settings(), desired)
    assert ["failed"] == [outcome.action for outcome in report.outcomes]
    assert "key 'k' kept changing while it was to be written" == report.message()
    assert b"other" == other.get("k")


@pytest.mark.parametrize("size", [3 * 1024 * 1024, 10])
def test_pipelines_are_bounded(redis_server: Server, size: int) -> None:
    """Large values travel in small chunks, small values in chunks of five hundred keys."""
    number = 4 if size > 1000 else 1001
    seen: list[int] = []
    desired = parse_entries([{"key": f"k{index}", "value": "x" * size} for index in range(number)], {})
    apply_entries(Hooked(redis_server.client(), seen.append), redis_server.settings(), desired)
    assert (4 if size > 1000 else 3) * 3 == len(seen)
    assert number == redis_server.client().dbsize()
