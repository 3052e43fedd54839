# SPDX-License-Identifier: MIT
"""Values and names that are no text: read as bytes, raised, or taken for missing, without taking others with them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from keyfleet import Client, DecodeError
from keyfleet.testing.servers import Server
from support.clients import OpenClient

BAD = b"\xff\x00"
READS: dict[str, tuple[Callable[..., Any], Any, Any]] = {  # the call, what it returns as bytes, what if bad ones are missing
    "get_many": (
        lambda call, **how: call.get_many(["good", "bad", "none"], **how),
        {"good": b"a", "bad": BAD, "none": None},
        {"good": "a", "bad": None, "none": None},
    ),
    "hget": (lambda call, **how: call.hget("h", "bad", **how), BAD, None),
    "hgetall": (lambda call, **how: call.hgetall("h", **how), {b"good": b"a", b"bad": BAD, b"\xfe": b"b"}, {"good": "a"}),
    "lrange": (lambda call, **how: call.lrange("l", **how), [BAD, b"a", BAD], ["a"]),
    "lpop": (lambda call, **how: call.lpop("l", **how), BAD, None),
    "rpop": (lambda call, **how: call.rpop("l", **how), BAD, None),
    "lmove": (lambda call, **how: call.lmove("l", "l", take="right", **how), BAD, None),
}
WAITS: dict[str, tuple[Callable[..., Any], Any, Any]] = {
    "blpop": (lambda call, **how: call.blpop("l", timeout_seconds=1, **how), ("l", BAD), ("l", None)),
    "brpop": (lambda call, **how: call.brpop("l", timeout_seconds=1, **how), ("l", BAD), ("l", None)),
    "blmove": (lambda call, **how: call.blmove("l", "l", timeout_seconds=timedelta(seconds=1), take="right", **how), BAD, None),
}


@pytest.fixture
def client(redis_server: Server, open_client: OpenClient) -> Client:
    """Both clients, on a server with good and bad values."""
    opened = open_client(redis_server.settings(key_prefix="p:"))
    opened.set_many({"good": "a", "bad": BAD})
    opened.hset("h", {"good": "a", "bad": BAD})
    opened.execute("HSET", "p:h", b"\xfe", "b")
    opened.rpush("l", BAD, "a", BAD)
    return opened


@pytest.mark.parametrize("name", [*READS, *WAITS])
def test_they_are_read_as_the_caller_says(name: str, client: Client) -> None:
    """As bytes all of them; the good ones as text; the others are counted, or named by the error, which keeps them."""
    call, as_bytes, missing = (READS | WAITS)[name]
    with pytest.raises(DecodeError, match="holds a value that is not UTF-8 text") as caught:
        call(client)
    if name.endswith("pop"):  # it is off the list, and here
        assert [BAD, BAD] == [caught.value.data, pickle.loads(pickle.dumps(caught.value)).data]  # noqa: S301 - just made
        (client.lpush if name.startswith(("l", "bl")) else client.rpush)("l", BAD)
    assert 0 == client.stats.undecodable
    assert missing == call(client, undecodable="miss")
    assert client.stats.undecodable >= 1
    if name.endswith("pop"):
        (client.lpush if name.startswith(("l", "bl")) else client.rpush)("l", BAD)
    assert as_bytes == call(client, as_bytes=True)
    with pytest.raises(ValueError, match="undecodable is 'ignore'; allowed: raise, miss"):
        call(client, undecodable="ignore")


@pytest.mark.parametrize("name", READS)
def test_in_pipelines_they_are_read_in_the_same_way(name: str, client: Client) -> None:
    """Each call says it for itself."""
    call, as_bytes, missing = READS[name]
    with client.pipeline() as pipe:
        call(pipe, as_bytes=True)
        if name.endswith("pop"):
            (pipe.lpush if name == "lpop" else pipe.rpush)("l", BAD)
        call(pipe, undecodable="miss")
        results = pipe.execute()
    assert [as_bytes, missing] == [results[0], results[-1]]


def test_one_value_as_bytes(client: Client) -> None:
    """Or as a text, or missing."""
    assert [b"a", BAD, None] == [client.get_bytes("good"), client.get_bytes("bad"), client.get_bytes("none")]
    assert ["a", None] == [client.get("good", undecodable="miss"), client.get("bad", undecodable="miss")]
    with pytest.raises(DecodeError, match="key 'bad' holds a value that is not UTF-8 text"):
        client.get("bad")


def test_names_that_are_no_text(client: Client) -> None:
    """A scan continues behind them."""
    client.execute("SET", b"p:" + BAD, "v")
    names = {"good", "bad", "h", "l"}
    with pytest.raises(DecodeError, match="a key name found by scan"):
        list(client.scan())
    assert names == set(client.scan(undecodable="miss"))
    assert {name.encode() for name in names} | {BAD} == set(client.scan(as_bytes=True))


def test_json_in_hashes_is_read_as_the_caller_says(client: Client) -> None:
    """One field that is no JSON does not take others with it."""
    client.hset_json("j", {"a": [1], "b": None})
    client.hset("j", "bad", "{")
    for call in (client.hgetall_json, lambda key, **how: client.hget_json(key, "bad", **how)):
        with pytest.raises(DecodeError, match="key 'j' holds a value that is not JSON"):
            call("j")
    assert {"a": [1], "b": None} == client.hgetall_json("j", undecodable="miss")
    assert 4 == client.hget_json("j", "bad", 4, undecodable="miss")


def test_types_times_and_fields(client: Client) -> None:
    """What is wrong is refused before anything is sent, and a timedelta is as good as seconds."""
    for wrong in (None, True, {"a": 1}):
        with pytest.raises(TypeError, match=f"'k' is of type {type(wrong).__name__}"):
            client.set("k", wrong)  # type: ignore[call-overload]
    assert [1, 0, {"a": "1", "b": "2"}] == [client.hset("new", "a", 1), client.hset("new", {"a": "1"}), {**client.hgetall("new"), "b": "2"}]
    assert client.set("k", "v", ttl_seconds=timedelta(minutes=2))
    assert 119 < (client.ttl("k") or 0) <= 120
    assert "v" == client.within(timedelta(seconds=5)).get("k")
    assert {"k": "v"} == client.get_many(key for key in ["k"])
    with pytest.raises(TypeError, match="a key is of type list"):
        client.delete(["k"])  # type: ignore[arg-type]
    with client.pipeline() as pipe, pytest.raises(TypeError, match="keys is a single str"):
        pipe.set("k", "never").get_many("abc")
    assert "v" == client.get("k")
