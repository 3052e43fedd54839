# SPDX-License-Identifier: MIT
"""Cached functions, many values in one call, and how values are written."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from keyfleet import AsyncClient, Client
from keyfleet.core.connect.client import close
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server
from support.caches import Loader, at_once
from support.capabilities import full
from support.clients import OpenBoth, OpenClient

ON_EVERY_SERVER = True
HOUR = 3600


@pytest.fixture
def client(redis_server: Server, open_client: OpenClient) -> Client:
    """A client of the session's server."""
    return open_client(redis_server.settings(key_prefix="app:"))


# Functions


def test_a_function_runs_once_for_the_same_arguments(redis_server: Server) -> None:
    """However they are passed; 1, True, 1.0 and "1" differ."""
    runs: list[Any] = []
    with Client.from_settings(redis_server.settings()) as client:

        @client.cache.cached(ttl_seconds=HOUR)
        def double(number: Any, times: int = 2) -> Any:
            """Return it twice."""
            runs.append(number)
            return number * times

        assert [2, 2, 2, 2] == [double(1), double(1, 2), double(number=1), double(1, times=2)]
        assert [1] == runs
        assert [1.0 * 2, 2, "11", 3] == [double(1.0), double(True), double("1"), double(1, 3)]
        assert 5 == len(runs)
        assert ("double", "Return it twice.") == (double.__name__, double.__doc__)  # type: ignore[attr-defined]
        assert (1, 0) == (double.invalidate(1), double.invalidate(1))
        assert 2 == double(1)
        assert 6 == len(runs)
        long = "x" * 1000
        assert double(long) == long * 2
        assert len(double.key(long)) < 200
        with pytest.raises(TypeError, match="give key"):
            double(object())
        with pytest.raises(TypeError, match="missing a required argument"):
            double()  # type: ignore[call-arg]


def test_a_coroutine_function_has_keys_tags_and_a_namespace(redis_server: Server) -> None:
    """By templates of its arguments, or functions of them."""

    async def run() -> None:
        async with AsyncClient.from_settings(redis_server.settings()) as client:
            runs = 0

            @client.cache.cached(ttl_seconds=HOUR, key="user:{user_id}", tags=["team:{team}", "users"])
            async def user(user_id: int, team: str = "a") -> dict[str, Any]:
                nonlocal runs
                runs += 1
                return {"id": user_id, "team": team}

            assert asyncio.iscoroutinefunction(user)
            assert [{"id": 7, "team": "a"}] * 3 == await asyncio.gather(user(7), user(7), user(user_id=7))
            assert (1, "user:7") == (runs, user.key(7))
            assert {"id": 7, "team": "a"} == await client.cache.get("user:7")
            assert 1 == await client.cache.invalidate_tags("team:a")
            await user(7)
            assert 1 == await user.invalidate(7)
            await user(7)
            assert 3 == runs

            @client.cache.cached(HOUR, lambda page, *_rest: f"page:{page}", tags=lambda page, *_rest: [f"p:{page}"], namespace="web")
            async def page(page: int, user: object) -> int:
                return page

            assert ("cache:web:page:1", 1) == (page.key(1, object()), await page(1, object()))
            assert 1 == await client.cache.invalidate_tags("p:1")
            await page(1, None)
            assert 1 == (await client.cache.invalidate_prefix("cache:web:")).deleted

    asyncio.run(run())


def test_a_method_needs_a_key(redis_server: Server) -> None:
    """Of its object nothing is known; a template may use what it has."""
    with Client.from_settings(redis_server.settings()) as client:
        with pytest.raises(TypeError, match="is a method; give key"):

            class Wrong:
                @client.cache.cached(HOUR)
                def load(self) -> int:
                    return 1

        class Shop:
            def __init__(self, name: str) -> None:
                self.name, self.runs = name, 0

            @client.cache.cached(HOUR, "shop:{self.name}:{number}")
            def load(self, number: int) -> str:
                self.runs += 1
                return f"{self.name} {number}"

        left, right = Shop("left"), Shop("right")
        assert ["left 1", "left 1", "right 1"] == [left.load(1), left.load(1), right.load(1)]  # type: ignore[call-arg]
        assert 1 == Shop.load.invalidate(left, 1)
        assert ["left 1", "right 1"] == [left.load(1), right.load(1)]  # type: ignore[call-arg]
        assert (2, 1) == (left.runs, right.runs)


# Many


def squares(keys: list[str]) -> dict[str, int | None]:
    """Return what a database would, without a row for what ends in 3 and with NULL for what ends in 4."""
    found: dict[str, int | None] = {key: int(key) ** 2 for key in keys if key[-1] != "3"}
    return {key: None if key[-1] == "4" else value for key, value in found.items()}


def test_many_values_are_loaded_by_one_call(either: Client) -> None:
    """On every topology; a second call loads only what is new, and asks again for what was not there."""
    asked: list[list[str]] = []

    def load(keys: list[str]) -> dict[str, int | None]:
        asked.append(keys)
        return squares(keys)

    cache, keys = either.cache, [str(number) for number in range(10)]
    expected = {key: squares([key]).get(key) for key in keys}
    assert expected == cache.get_many_or_set(keys, load, HOUR, tags=["t"])
    assert expected == cache.get_many_or_set([*keys, *keys], load, HOUR, tags=["t"])
    assert {"9": 81, "10": 100} == cache.get_many_or_set(["9", "10"], load, HOUR, tags=["t"])
    assert [keys, ["3"], ["10"]] == asked
    assert 49 == cache.get_or_set("7", Loader(either), HOUR, tags=["t"])
    assert 1 == cache.invalidate_tags("t")
    assert expected == cache.get_many_or_set(keys, load, HOUR, tags=["t"])
    assert keys == asked[-1]
    assert {} == cache.get_many_or_set([], load, HOUR)
    assert 4 == len(asked)


def test_callers_that_overlap_load_each_key_once(open_both: OpenBoth, redis_server: Server) -> None:
    """Two clients, twenty callers, sixty keys: the loaders together get each key once."""
    clients, asked = open_both(redis_server.settings()), []

    def load(keys: list[str]) -> dict[str, int]:
        asked.extend(keys)
        return {key: int(key) for key in keys}

    def ask(number: int) -> dict[str, int | None]:
        wanted = [str(key) for key in range(2 * number, 2 * number + 20)]
        found = clients[number % 2].cache.get_many_or_set(wanted, load, HOUR)
        assert {key: int(key) for key in wanted} == found
        return found

    assert [20] * 20 == [len(found) for found in at_once(20, ask) if isinstance(found, dict)]
    assert sorted(map(str, range(58))) == sorted(asked)


def test_an_error_of_a_loader_of_many(client: Client) -> None:
    """It is raised, nothing stays locked; stale values are served if all are there."""

    def fail(_keys: list[str]) -> dict[str, int]:
        raise OSError("the database is down")

    cache = client.cache.with_options(stale_on_error_seconds=HOUR, jitter=0)
    with pytest.raises(OSError, match="is down"):
        cache.get_many_or_set(["1", "2"], fail, HOUR)
    assert 0 == client.exists("1", "2")
    with pytest.raises(TypeError, match="must be a mapping"):
        cache.get_many_or_set(["1"], lambda keys: keys, HOUR)  # type: ignore[arg-type,return-value]
    cache.get_many_or_set(["1", "2"], squares, 0.02)
    while cache.get("1") is not None or cache.get("2") is not None:
        pass
    assert {"1": 1, "2": 4} == cache.get_many_or_set(["1", "2"], fail, HOUR)
    with pytest.raises(OSError, match="is down"):
        cache.get_many_or_set(["1", "2", "5"], fail, HOUR)


def test_many_values_of_servers_that_fail(redis_server: Server, open_client: OpenClient) -> None:
    """They are loaded without the cache; a lost reply costs no second load."""
    with FaultProxy(redis_server) as proxy:
        client = open_client(proxy.settings(timeout_seconds=1.0, retry_delay_ms=10))
        keys, loader = ["1", "2"], Loader(client, lambda _run: {"1": 1, "2": 2})
        expected = {"1": 1, "2": 2}
        for number in range(1, 5):
            fault = proxy.lose_reply("EVALSHA", nth=number)
            assert expected == client.cache.get_many_or_set(keys, loader, HOUR)
            client.cache.invalidate(*keys)
            assert (1, number) == (fault.hits, loader.runs)
        assert 0 == client.cache.stats.outages
        proxy.refuse()
        proxy.close_connections()
        assert expected == client.cache.get_many_or_set(keys, loader, HOUR)
        proxy.heal()
        client.wait_until_ready(10)
        with full(redis_server):
            assert expected == client.cache.get_many_or_set(keys, loader, HOUR)
        assert [expected] * 2 == [client.cache.get_many_or_set(keys, loader, HOUR) for _unused in range(2)]
        assert 7 == loader.runs


# How values are written


@dataclass
class User:
    """What a database returns."""

    id: int
    name: str


def test_a_dataclass_comes_back(client: Client, redis_server: Server) -> None:
    """Of an older version of the class it is a miss."""
    cache = client.cache.with_options(serializer=User)
    loader = Loader(client, lambda _run: User(7, "Ada"))
    assert [User(7, "Ada")] * 2 == [cache.get_or_set("u", loader, HOUR) for _unused in range(2)]
    assert 1 == loader.runs
    assert [None, None] == [cache.get_or_set("none", Loader(client, lambda _run: None), HOUR) for _unused in range(2)]
    client.cache.set("u", {"id": 7}, HOUR)
    assert User(7, "Ada") == cache.get_or_set("u", loader, HOUR)
    assert (2, 1) == (loader.runs, cache.stats.undecodable)


def test_a_msgspec_struct_comes_back(client: Client) -> None:
    """Checked against its types."""
    kind = msgspec.defstruct("Item", [("id", int), ("tags", list[str])])
    cache = client.cache.with_options(serializer=kind)
    assert [kind(1, ["a"])] * 2 == [cache.get_or_set("i", Loader(client, lambda _run: kind(1, ["a"])), HOUR) for _unused in range(2)]
    client.cache.set("i", {"id": "x", "tags": []}, HOUR)
    assert cache.get("i") is None


def test_bytes_are_left_as_they_are(client: Client) -> None:
    """And nothing else is taken."""
    cache = client.cache.with_options(serializer="bytes")
    assert [b"\0\xff"] * 2 == [cache.get_or_set("b", Loader(client, lambda _run: b"\0\xff"), HOUR) for _unused in range(2)]
    with pytest.raises(TypeError, match="takes bytes"):
        cache.set("b", "text", HOUR)


def test_a_serializer_of_the_application(client: Client) -> None:
    """Whatever it raises of the usual errors is a miss."""

    class Reversed:
        def dumps(self, value: str) -> bytes:
            return value[::-1].encode()

        def loads(self, data: bytes) -> str:
            return data.decode()[::-1]

    cache = client.cache.with_options(serializer=Reversed())
    cache.set("k", "abc", HOUR)
    assert "abc" == cache.get("k")
    client.cache.with_options(serializer="bytes").set("k", b"\xff", HOUR)
    assert cache.get("k") is None


def test_long_values_are_compressed(client: Client, redis_server: Server) -> None:
    """Entries say themselves whether they are, so that the option may change; a compressed one that is damaged is a miss."""
    small = client.cache.with_options(compress_above_bytes=1000)
    small.set("long", "x" * 100_000, HOUR)
    small.set("short", "x" * 500, HOUR)
    raw = redis_server.client()
    assert raw.strlen("app:long") < 1000
    assert raw.strlen("app:short") > 500
    assert [100_000, 500] == [len(client.cache.get(key)) for key in ("long", "short")]
    stored = raw.get("app:long")
    raw.set("app:long", stored[:-5])
    assert client.cache.get("long") is None
    raw.set("app:long", stored[:63] + zlib.compress(b"{"))
    assert client.cache.get("long") is None
    close(raw)
