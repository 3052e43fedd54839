# SPDX-License-Identifier: MIT
"""The options of the calls for keys, JSON and hashes, and how a client connects, for both clients on every kind of deployment."""

from __future__ import annotations

import logging
import math

import pytest
from keyfleet import Client, DecodeError, DeniedError, Policy, UnreachableError
from keyfleet.testing._server import free_port
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.servers import Server
from support.clients import OpenClient
from support.targets import Target

ON_MANAGED_SERVICES = True

pytestmark = pytest.mark.floor

# Strings


def test_set_keeps_a_ttl_and_returns_the_former_value(either: Client) -> None:
    """keepttl keeps the TTL, get answers with the former value instead of whether it was stored."""
    assert either.set("k", "old", ttl_seconds=100)
    assert either.set("k", "new", keepttl=True)
    assert 99 < (either.ttl("k") or 0) <= 100
    assert ["new", None] == [either.set("k", "newer", get=True), either.set("other", "v", get=True)]
    assert "newer" == either.set("k", "never", nx=True, get=True)
    assert ["newer", "v"] == [either.get("k"), either.get("other")]
    with pytest.raises(ValueError, match="keepttl and ttl_seconds exclude each other"):
        either.set("k", "v", keepttl=True, ttl_seconds=1)


def test_persist_removes_a_ttl(either: Client) -> None:
    """It returns whether there was a TTL."""
    either.set("k", "v", ttl_seconds=100)
    assert [True, False, False] == [either.persist("k"), either.persist("k"), either.persist("missing")]
    assert math.inf == either.ttl("k")


def test_a_counter_gets_its_ttl_when_it_is_created(either: Client) -> None:
    """One that exists keeps its own, or none; the first amount may be any number."""
    assert [5, 8, 6] == [either.incr("n", 5, ttl_seconds=100), either.incr("n", 3, ttl_seconds=9999), either.decr("n", 2, ttl_seconds=9999)]
    assert 99 < (either.ttl("n") or 0) <= 100
    assert [1, 2] == [either.incr("stays"), either.incr("stays", ttl_seconds=100)]
    assert math.inf == either.ttl("stays")
    assert [-1, -3] == [either.decr("down"), either.decr("down", 2)]


def test_many_keys_at_once(either: Client) -> None:
    """Across slots, with a TTL and without, more keys than one command holds; a missing key is None."""
    values = {f"k{number}": str(number) for number in range(2500)}
    assert either.set_many(values)
    assert {**values, "missing": None} == either.get_many([*values, "missing"])
    assert either.set_many({"a": 1, "b": b"2"}, ttl_seconds=100)
    assert all(99 < (either.ttl(key) or 0) <= 100 for key in "ab")
    assert [2502, 2500, 2] == [either.exists(*values, "a", "b"), either.unlink(*values, "missing"), either.delete("a", "b")]
    assert [{}, True] == [either.get_many([]), either.set_many({})]


def test_scan_takes_a_type(either: Client) -> None:
    """Hashes alone, strings alone."""
    either.set_many({f"s{number}": "v" for number in range(20)})
    either.hset("h", {"a": 1})
    assert ["h"] == list(either.scan(type="hash"))
    assert sorted(f"s{number}" for number in range(20)) == sorted(either.scan(type="string"))


# JSON and hashes


def test_many_json_values_at_once(either: Client) -> None:
    """None is a value when it was stored; one that is no JSON is named, or missing if the caller says so."""
    values = {"a": {"x": [1, 2.5, None]}, "b": "ü", "c": None}
    assert either.set_many_json(values, ttl_seconds=100)
    assert {**values, "missing": None} == either.get_many_json([*values, "missing"])
    either.set("bad", "{")
    with pytest.raises(DecodeError, match="key 'bad' holds a value that is not JSON"):
        either.get_many_json(["a", "bad"])
    assert {"a": values["a"], "bad": None} == either.get_many_json(["a", "bad"], undecodable="miss")


def test_json_that_cannot_be_read_is_a_miss_if_the_caller_says_so(either: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Logged without the value, and counted."""
    either.set("bad", "{secret")
    with caplog.at_level(logging.WARNING, "keyfleet"):
        assert "default" == either.get_json("bad", "default", undecodable="miss")
    assert 1 == either.stats.undecodable
    assert (True, False) == ("'bad'" in caplog.text, "secret" in caplog.text)
    assert [None, "default"] == [either.get_json("bad", undecodable="miss"), either.get_json("missing", "default")]


def test_hashes_of_json_and_numbers(either: Client) -> None:
    """Fields hold what was stored; a field that is no JSON is an error."""
    assert 2 == either.hset_json("h", {"a": {"x": 1}, "b": None})
    assert [{"x": 1}, None, "default"] == [
        either.hget_json("h", "a"),
        either.hget_json("h", "b", "default"),
        either.hget_json("h", "z", "default"),
    ]
    assert {"a": {"x": 1}, "b": None} == either.hgetall_json("h")
    assert [3, 1] == [either.hincrby("h", "n", 3), either.hincrby("h", "n", -2)]
    either.hset("h", {"c": "{"})
    with pytest.raises(DecodeError, match="key 'h'"):
        either.hgetall_json("h")


def test_fields_expire_where_the_server_supports_it(either: Client) -> None:
    """Redis 7.4 and newer, Valkey 9.0 and newer; the others say that they do not offer it."""
    either.hset("h", {"a": 1, "b": 2})
    [info] = list(either.info().values())[:1]
    version = tuple(int(part) for part in str(info.version).split(".")[:2])
    if version >= ((7, 4) if info.engine == "redis" else (9, 0)):
        assert 1 == either.hexpire("h", 100, "a", "missing")
        assert 99 < (either.httl("h", "a") or 0) <= 100
        assert [math.inf, None] == [either.httl("h", "b"), either.httl("h", "missing")]
    else:
        for call in (lambda: either.hexpire("h", 100, "a"), lambda: either.httl("h", "a")):
            with pytest.raises(DeniedError, match="unknown command"):
                call()
    assert 0 == either.hexpire("h", 100)


# Connecting


def test_a_client_connects_on_request_or_on_first_use(either: Client) -> None:
    """Nothing is connected before; `connect` makes what the first call would."""
    assert (False, 0) == (either.is_connected, either.stats.connections_opened)
    assert either.connect().ping()
    opened = either.stats.connections_opened
    assert (True, True) == (either.is_connected, opened > 0)
    either.set("k", "v")
    assert opened == either.stats.connections_opened


def test_waiting_until_ready_ends_when_every_primary_answers(target: Target, open_client: OpenClient) -> None:
    """Immediately where all of them do."""
    client = open_client(target.settings())
    client.wait_until_ready(20)
    assert client.is_connected


def test_waiting_until_ready_reports_what_was_missing(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """A server that comes later is waited for, one that does not come is named."""
    port = free_port("127.0.0.1")
    client = open_client(redis_factory.server().settings(port=port))
    with pytest.raises(UnreachableError, match=str(port)):
        client.wait_until_ready(0.3)
    redis_factory.server(port=port)
    client.wait_until_ready(20)


@pytest.mark.parametrize("attempts", [0, 2])
def test_attempts_can_be_bounded(redis_server: Server, open_client: OpenClient, attempts: int) -> None:
    """One, and as many more as the settings say, long before the budget is over."""
    port = free_port("127.0.0.1")
    client = open_client(redis_server.settings(port=port, retry_attempts=attempts, retry_delay_ms=1, timeout_seconds=60))
    with pytest.raises(UnreachableError, match=rf"\({attempts + 1} attempt"):
        client.get("k")
    assert attempts == client.stats.retries


def test_a_call_need_not_wait_for_a_connection(redis_server: Server, open_client: OpenClient) -> None:
    """With ``fail`` the first attempt is the last one."""
    settings = redis_server.settings(port=free_port("127.0.0.1"), timeout_seconds=60)
    client = open_client(settings, Policy(while_disconnected="fail"))
    with pytest.raises(UnreachableError):
        client.get("k")
    assert 0 == client.stats.retries
