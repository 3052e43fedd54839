# SPDX-License-Identifier: MIT
"""Client and AsyncClient on every kind of deployment."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from typing import Any

import pytest
from keyfleet import AsyncClient, Client, ClosedError, DecodeError, HealthReport, ServerError, WrongTypeError
from support.capabilities import shard_count
from support.targets import Target

ON_MANAGED_SERVICES = True

pytestmark = pytest.mark.floor


@pytest.fixture
def client(either: Client) -> Client:
    """A client of each kind and deployment in turn, with a prefix made of characters that SCAN would take for a pattern."""
    return either


@pytest.fixture
def plain(target: Target) -> Iterator[Any]:
    """A client of the same deployment without a prefix."""
    with Client.from_settings(target.settings()) as client:
        yield client


# Strings


def test_get_returns_what_set_stored(client: Client) -> None:
    """Texts are UTF-8, numbers become texts, an empty text is a value."""
    stored: dict[str, str | bytes | int | float] = {"a": "grün", "b": b"raw", "c": 7, "d": 1.5, "e": ""}
    assert [True] * 5 == [client.set(key, value) for key, value in stored.items()]
    assert ["grün", "raw", "7", "1.5", "", None] == [client.get(key) for key in "abcdef"]


def test_nx_stores_only_a_new_key(client: Client) -> None:
    """The first call stores the key, and the second one returns that it did not."""
    assert [True, False] == [client.set("k", "first", nx=True), client.set("k", "second", nx=True)]
    assert "first" == client.get("k")


def test_xx_stores_only_an_existing_key(client: Client) -> None:
    """A refresh does not bring back what is gone."""
    assert not client.set("k", "v", xx=True)
    client.set("k", "v")
    assert client.set("k", "w", xx=True)
    assert "w" == client.get("k")


def test_nx_and_xx_exclude_each_other(client: Client) -> None:
    """Nothing could satisfy both."""
    with pytest.raises(ValueError, match="nx and xx exclude each other"):
        client.set("k", "v", nx=True, xx=True)


def test_a_ttl_is_set_read_renewed_and_removed(client: Client) -> None:
    """Seconds may be fractions; a plain set removes the TTL, a missing key has none."""
    client.set("k", "v", ttl_seconds=100.5)
    assert 99 < (client.ttl("k") or 0) <= 100.5
    assert client.expire("k", 1000)
    assert 999 < (client.ttl("k") or 0) <= 1000
    client.set("k", "v")
    assert [math.inf, None] == [client.ttl("k"), client.ttl("missing")]
    assert not client.expire("missing", 10)


def test_a_tiny_ttl_is_a_millisecond_and_not_refused(client: Client) -> None:
    """Rounded down it would be 0, which Redis refuses."""
    assert client.set("k", "v", ttl_seconds=0.0001)


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
def test_an_impossible_ttl_is_refused(client: Client, seconds: float) -> None:
    """Before anything is sent."""
    client.set("k", "v")
    with pytest.raises(ValueError, match="ttl_seconds"):
        client.set("k", "w", ttl_seconds=seconds)
    with pytest.raises(ValueError, match="ttl_seconds"):
        client.expire("k", seconds)
    assert ("v", math.inf) == (client.get("k"), client.ttl("k"))


def test_delete_and_exists_count_across_slots(client: Client) -> None:
    """Many keys in one call, also where they are on different nodes."""
    for number in range(20):
        client.set(f"k{number}", "v")
    names = [f"k{number}" for number in range(25)]
    assert [20, 20, 0] == [client.exists(*names), client.delete(*names), client.exists(*names)]
    assert [0, 0] == [client.exists(), client.delete()]


def test_incr_counts(client: Client) -> None:
    """From nothing, by any amount, back again."""
    assert [1, 11, 8] == [client.incr("n"), client.incr("n", 10), client.incr("n", -3)]


def test_incr_of_a_text_is_an_error_of_the_server(client: Client) -> None:
    """The server's own words."""
    client.set("k", "text")
    with pytest.raises(ServerError, match="not an integer"):
        client.incr("k")


def test_bytes_that_are_no_text_are_an_error_of_their_own(client: Client) -> None:
    """The value is there for raw."""
    client.set("k", b"\xff")
    with pytest.raises(DecodeError, match="key 'k' holds a value that is not UTF-8 text"):
        client.get("k")


# JSON


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True, "ü"], "b": {}}, [], "text", 0, None, False, 2**53])
def test_json_returns_what_was_stored(client: Client, value: Any) -> None:
    """Also what is false or null."""
    assert client.set_json("k", value)
    assert value == client.get_json("k", default="missing")


def test_json_has_a_default_a_ttl_and_conditions(client: Client) -> None:
    """As for set."""
    assert ["d", None] == [client.get_json("k", "d"), client.get_json("k")]
    assert [True, False] == [client.set_json("k", 1, ttl_seconds=100, nx=True), client.set_json("k", 2, nx=True)]
    assert 99 < (client.ttl("k") or 0) <= 100
    assert 1 == client.get_json("k")


def test_what_is_not_json_is_an_error_of_its_own(client: Client) -> None:
    """The text of the error does not show the value."""
    client.set("k", "{secret")
    with pytest.raises(DecodeError, match="key 'k' holds a value that is not JSON") as caught:
        client.get_json("k")
    assert "secret" not in str(caught.value)


def test_what_cannot_be_json_is_not_stored(client: Client) -> None:
    """A set is no JSON."""
    with pytest.raises(TypeError):
        client.set_json("k", {1, 2})
    assert 0 == client.exists("k")


# Hashes


def test_hash_fields_come_and_go(client: Client) -> None:
    """hset keeps other fields, hdel of the last one ends the key."""
    assert [2, 1] == [client.hset("h", {"a": 1, "b": "ü"}), client.hset("h", {"b": "x", "c": 2.5})]
    assert {"a": "1", "b": "x", "c": "2.5"} == client.hgetall("h")
    assert ["x", None, None] == [client.hget("h", "b"), client.hget("h", "z"), client.hget("missing", "a")]
    assert [2, 1] == [client.hdel("h", "a", "b", "z"), client.hdel("h", "c")]
    assert [0, {}] == [client.exists("h"), client.hgetall("h")]
    assert [0, 0] == [client.hset("h", {}), client.hdel("h")]


def test_a_wrong_type_is_named(client: Client) -> None:
    """Which key, what it holds, what was wanted."""
    client.hset("h", {"a": 1})
    client.set("s", "v")
    with pytest.raises(WrongTypeError, match="key 'h' holds a hash, not a string"):
        client.get("h")
    with pytest.raises(WrongTypeError, match="key 's' holds a string, not a hash") as caught:
        client.hgetall("s")
    assert ("s", "hash", "string") == (caught.value.key, caught.value.wanted, caught.value.found)


# Names


def test_every_key_has_the_prefix(client: Client, plain: Client) -> None:
    """On the server the prefix is there, in the results it is not."""
    client.set("s", "v")
    client.set_json("j", 1)
    client.hset("h", {"a": 1})
    client.incr("n")
    assert [f"a*[b]?\\:{name}" for name in "hjns"] == sorted(plain.scan())
    assert list("hjns") == sorted(client.scan())


def test_scan_takes_the_prefix_literally(client: Client, plain: Client) -> None:
    """Keys that the prefix would match as a pattern are not ours."""
    for foreign in ("axb:", "a*[b]x\\:k", "aXbX\\:k", "other"):
        plain.set(foreign, "v")
    client.set("k", "v")
    assert ["k"] == list(client.scan())


def test_scan_matches_a_pattern_on_all_nodes(client: Client) -> None:
    """Every key once; the pattern sees the name without prefix."""
    for number in range(300):
        client.set(f"user:{number}", "v")
    client.set("other", "v")
    assert sorted(f"user:{number}" for number in range(300)) == sorted(client.scan("user:*", count=10))
    assert ["user:7"] == list(client.scan("user:7"))
    assert [] == list(client.scan("nobody:*"))


# The whole


def test_ping_and_info_ask_every_primary(client: Client, target: Target) -> None:
    """One entry for each, whatever the topology."""
    assert client.ping()
    info = client.info("server")
    assert shard_count(target) == len(info)
    assert all("redis_version" in of_one.fields for of_one in info.values())


def test_health_is_a_report(client: Client) -> None:
    """The same as the module's."""
    report = client.health(write_probe=True)
    assert isinstance(report, HealthReport)
    assert [] == [reason for reason in report.reasons if "ping" in reason or "round" in reason]
    assert "failed" != report.verdict


def test_raw_speaks_bytes_and_full_names(target: Target) -> None:
    """Everything that the clients do not offer, in redis-py's own two ways."""

    async def raw_of_both_loops() -> Any:
        async with AsyncClient.from_settings(target.settings(key_prefix="p:")) as client:
            found: Any = await client.raw.get("p:k")
            return found

    with Client.from_settings(target.settings(key_prefix="p:")) as client:
        client.set("k", "v")
        assert b"v" == client.raw.get("p:k")
    assert [b"v", b"v"] == [asyncio.run(raw_of_both_loops()) for _unused in range(2)]


def test_a_closed_client_takes_no_calls_until_it_connects_again(client: Client) -> None:
    """Closing twice is closing once."""
    client.set("k", "v")
    client.close()
    client.close()
    with pytest.raises(ClosedError):
        client.get("k")
    assert "v" == client.connect().get("k")
