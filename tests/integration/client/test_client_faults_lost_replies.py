# SPDX-License-Identifier: MIT
"""A reply is lost: a repeatable command is repeated, any other one is reported to the caller, and the server has each change once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from keyfleet import Client, OutcomeUnknown, Policy, UnreachableError
from keyfleet.core.connect.client import close
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server
from support.clients import OpenClient

pytestmark = [pytest.mark.floor, pytest.mark.slow]

ON_EVERY_SERVER = "full"
FOR_EVER = 1_000_000
Call = Callable[[Client], object]

# What is called, the command that is lost, and what it must have done once.
ONCE: dict[str, tuple[Call, str, Callable[[AnyClient], object], object]] = {
    "incr": (lambda client: client.incr("n"), "INCRBY", lambda raw: raw.get("n"), b"1"),
    "decr": (lambda client: client.decr("n", 3), "INCRBY", lambda raw: raw.get("n"), b"-3"),
    "incr with ttl": (
        lambda client: client.incr("n", ttl_seconds=100),
        "EVALSHA",
        lambda raw: (raw.get("n"), raw.ttl("n") > 90),
        (b"1", True),
    ),
    "set nx": (lambda client: client.set("k", "v", nx=True), "SET", lambda raw: raw.get("k"), b"v"),
    "set xx": (lambda client: client.set("old", "v", xx=True), "SET", lambda raw: raw.get("old"), b"v"),
    "set get": (lambda client: client.set("old", "v", get=True), "SET", lambda raw: raw.get("old"), b"v"),
    "hincrby": (lambda client: client.hincrby("h", "f", 2), "HINCRBY", lambda raw: raw.hget("h", "f"), b"3"),
    "getdel": (lambda client: client.getdel("old"), "GETDEL", lambda raw: raw.exists("old"), 0),
    "expire nx": (lambda client: client.expire("old", 100, nx=True), "PEXPIRE", lambda raw: raw.ttl("old") > 90, True),
    "spop": (lambda client: client.spop("s"), "SPOP", lambda raw: raw.scard("s"), 1),
    "zincrby": (lambda client: client.zincrby("z", "m", 2), "ZINCRBY", lambda raw: raw.zscore("z", "m"), 3.0),
    "zadd nx": (lambda client: client.zadd("z", {"n": 5}, nx=True), "ZADD", lambda raw: raw.zscore("z", "n"), 5.0),
    "zpopmin": (lambda client: client.zpopmin("z"), "ZPOPMIN", lambda raw: raw.exists("z"), 0),
}

# What is called, the command that is lost, what the caller gets, and what the server has then.
AGAIN: dict[str, tuple[Call, str, object, Callable[[AnyClient], object], object]] = {
    "get": (lambda client: client.get("old"), "GET", "was", lambda raw: raw.get("old"), b"was"),
    "get_many": (lambda client: client.get_many(["old", "none"]), "MGET", {"old": "was", "none": None}, lambda raw: raw.get("old"), b"was"),
    "exists": (lambda client: client.exists("old"), "EXISTS", 1, lambda raw: raw.get("old"), b"was"),
    "hgetall": (lambda client: client.hgetall("h"), "HGETALL", {"f": "1"}, lambda raw: raw.hlen("h"), 1),
    "scan": (lambda client: sorted(client.scan()), "SCAN", ["h", "old", "s", "z"], lambda raw: raw.dbsize(), 4),
    "set": (lambda client: client.set("k", "v", ttl_seconds=100), "SET", True, lambda raw: (raw.get("k"), raw.ttl("k") > 90), (b"v", True)),
    "set_many": (lambda client: client.set_many({"k": 1, "l": 2}), "MSET", True, lambda raw: raw.mget("k", "l"), [b"1", b"2"]),
    "expire": (lambda client: client.expire("old", 100), "PEXPIRE", True, lambda raw: raw.ttl("old") > 90, True),
    "delete": (lambda client: client.delete("old"), "DEL", 0, lambda raw: raw.exists("old"), 0),  # the first attempt took it
    "unlink": (lambda client: client.unlink("old"), "UNLINK", 0, lambda raw: raw.exists("old"), 0),
    "hset": (lambda client: client.hset("h", {"f": 5}), "HSET", 0, lambda raw: raw.hgetall("h"), {b"f": b"5"}),
    "hdel": (lambda client: client.hdel("h", "f"), "HDEL", 0, lambda raw: raw.exists("h"), 0),
    "getex": (lambda client: client.getex("old", ttl_seconds=100), "GETEX", "was", lambda raw: raw.ttl("old") > 90, True),
    "expireat": (lambda client: client.expireat("old", 9e9), "PEXPIREAT", True, lambda raw: raw.ttl("old") > 90, True),
    "hmget": (lambda client: client.hmget("h", ["f"]), "HMGET", {"f": "1"}, lambda raw: raw.hlen("h"), 1),
    "sadd": (lambda client: client.sadd("s", "c"), "SADD", 0, lambda raw: raw.scard("s"), 3),
    "srem": (lambda client: client.srem("s", "a"), "SREM", 0, lambda raw: raw.scard("s"), 1),
    "smembers": (lambda client: client.smembers("s"), "SMEMBERS", {"a", "b"}, lambda raw: raw.scard("s"), 2),
    "zadd": (lambda client: client.zadd("z", {"n": 5}), "ZADD", 0, lambda raw: raw.zscore("z", "n"), 5.0),
    "zrem": (lambda client: client.zrem("z", "m"), "ZREM", 0, lambda raw: raw.exists("z"), 0),
    "zrange": (lambda client: client.zrange("z", withscores=True), "ZRANGE", [("m", 1.0)], lambda raw: raw.zcard("z"), 1),
}


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[FaultProxy]:
    """A proxy in front of the session's server."""
    with FaultProxy(redis_server) as proxy:
        yield proxy


@pytest.fixture
def raw(redis_server: Server) -> Iterator[AnyClient]:
    """redis-py, past the proxy; there are a text ``old``, a hash ``h``, a set ``s`` and a sorted set ``z``."""
    client = redis_server.client()
    client.set("old", "was")
    client.hset("h", "f", 1)
    client.sadd("s", "a", "b")
    client.zadd("z", {"m": 1})
    yield client
    close(client)


@pytest.fixture
def client(proxy: FaultProxy, raw: AnyClient, open_client: OpenClient) -> Client:
    """A client through the proxy whose connection stands, and whose script the server knows."""
    del raw
    client = open_client(proxy.settings(timeout_seconds=0.6, retry_delay_ms=10), Policy(breaker_failures=0))
    client.incr("warm", ttl_seconds=1)
    client.delete("warm")
    return client


@pytest.mark.parametrize("silent", [False, True], ids=["closed", "unresponsive"])
@pytest.mark.parametrize("name", ONCE)
def test_what_must_not_run_twice_runs_once(client: Client, proxy: FaultProxy, raw: AnyClient, name: str, silent: bool) -> None:
    """The caller gets the error for an unknown outcome, and the command reached the server a single time."""
    call, command, inspect, wanted = ONCE[name]
    proxy.reset_counts()
    fault = proxy.lose_reply(command, times=FOR_EVER, silent=silent)
    with pytest.raises(OutcomeUnknown, match="may or may not have run the command"):
        call(client.within(0.3))
    assert (1, 1) == (fault.hits, proxy.commands[command])
    assert wanted == inspect(raw)
    proxy.heal()
    assert wanted == inspect(raw)
    assert "was" == client.get("old") or name in ("set xx", "set get", "getdel")


@pytest.mark.parametrize("silent", [False, True], ids=["closed", "unresponsive"])
@pytest.mark.parametrize("name", AGAIN)
def test_what_may_run_twice_is_sent_again(client: Client, proxy: FaultProxy, raw: AnyClient, name: str, silent: bool) -> None:
    """The caller notices nothing, except that a count may miss what the first attempt did."""
    call, command, answer, inspect, wanted = AGAIN[name]
    before = client.stats.retries
    fault = proxy.lose_reply(command, silent=silent)
    assert answer == call(client)
    assert (1, before + 1) == (fault.hits, client.stats.retries)
    assert wanted == inspect(raw)


@pytest.mark.parametrize("name", ["set nx", "set xx", "set get"])
def test_a_fallback_does_not_say_that_nothing_was_done(proxy: FaultProxy, raw: AnyClient, open_client: OpenClient, name: str) -> None:
    """False would mean that another one has the key; a repeatable write falls back."""
    client = open_client(proxy.settings(timeout_seconds=0.6, retry_delay_ms=10), Policy(on_error="fallback", breaker_failures=0))
    call, command, inspect, wanted = ONCE[name]
    proxy.lose_reply(command, times=FOR_EVER)
    with pytest.raises(OutcomeUnknown):
        call(client)
    assert wanted == inspect(raw)
    assert not client.set("k", "other")
    assert (2, 1) == (client.stats.failures, client.stats.fallbacks)


def test_a_request_that_is_lost_counts_as_one_that_may_have_run(client: Client, proxy: FaultProxy, raw: AnyClient) -> None:
    """The client cannot distinguish a lost request from a lost reply."""
    fault = proxy.lose_request("INCRBY")
    with pytest.raises(OutcomeUnknown):
        client.incr("n")
    assert (1, None) == (fault.hits, raw.get("n"))


def test_a_write_whose_replies_are_lost_until_the_end(client: Client, proxy: FaultProxy, raw: AnyClient) -> None:
    """It was sent several times, and its outcome stays unknown."""
    fault = proxy.lose_reply("SET", times=FOR_EVER)
    with pytest.raises(OutcomeUnknown):
        client.within(0.3).set("k", "v")
    assert fault.hits > 2
    assert b"v" == raw.get("k")


def test_a_read_whose_replies_are_lost_until_the_end(client: Client, proxy: FaultProxy) -> None:
    """No outcome is unknown, since a read changes nothing."""
    fault = proxy.lose_reply("GET", times=FOR_EVER)
    with pytest.raises(UnreachableError) as caught:
        client.within(0.3).get("old")
    assert UnreachableError is type(caught.value)
    assert fault.hits > 2


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_half_a_reply_is_none(client: Client, proxy: FaultProxy, kept: int) -> None:
    """Neither the half nor what comes after it is taken for an answer."""
    proxy.cut_reply("GET", keep_bytes=kept)
    assert "was" == client.get("old")
    assert None is client.get("none")


def test_retries_can_be_limited_and_switched_off(proxy: FaultProxy, raw: AnyClient, open_client: OpenClient) -> None:
    """REDIS_RETRY_ATTEMPTS counts further attempts, whatever time is left."""
    fault = proxy.lose_reply("GET", times=FOR_EVER)
    for further in (0, 2):
        before: Any = fault.hits
        client = open_client(proxy.settings(timeout_seconds=5.0, retry_delay_ms=1, retry_attempts=further))
        with pytest.raises(UnreachableError, match=f"{further + 1} attempt"):
            client.get("old")
        assert further + 1 == fault.hits - before
