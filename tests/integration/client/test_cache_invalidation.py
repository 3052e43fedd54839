# SPDX-License-Identifier: MIT
"""Invalidating entries by key, tag, pattern and prefix: exact counts, every primary, and nothing old afterwards."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest
from keyfleet import AsyncClient, Client, InvalidationError, RefusedError, UnreachableError
from keyfleet.core.connect.client import close
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Cluster, Server
from support.caches import Loader
from support.capabilities import full, modest_user, replicated, servers_of
from support.clients import OpenBoth, OpenClient
from support.targets import Target

ON_EVERY_SERVER = True
HOUR = 3600


@pytest.fixture
def client(redis_server: Server, open_client: OpenClient) -> Client:
    """A client of the session's server."""
    return open_client(redis_server.settings(key_prefix="app:"))


def commands_of(target: Target) -> dict[str, int]:
    """Return how often each command ran, on all servers."""
    found: dict[str, int] = {}
    for server in servers_of(target):
        raw = server.client()
        for name, stats in raw.info("commandstats").items():
            found[name.removeprefix("cmdstat_")] = found.get(name.removeprefix("cmdstat_"), 0) + stats["calls"]
        close(raw)
    return found


# Keys


def test_invalidating_keys_counts_those_that_were_there(either: Client) -> None:
    """On every topology; what is gone is loaded again."""
    cache = either.cache
    for number in range(20):
        cache.set(f"u:{number}", number, HOUR)
    assert 10 == cache.invalidate(*[f"u:{number}" for number in range(10)], "none")
    assert [None] * 10 + list(range(10, 20)) == [cache.get(f"u:{number}") for number in range(20)]
    assert 0 == cache.invalidate("none")


# Tags


def test_a_tag_invalidates_what_has_it_and_nothing_else(either: Client) -> None:
    """On every topology; entries may have several tags, and share them."""
    cache = either.cache
    for number in range(20):
        tags = ["all", f"half:{number % 2}"]
        assert number == cache.get_or_set(f"k{number}", Loader(either, lambda _run, number=number: number), HOUR, tags=tags)
    assert 1 == cache.invalidate_tags("half:0")
    assert [value for number in range(1, 20, 2) for value in (None, number)] == [cache.get(f"k{number}") for number in range(20)]
    loader = Loader(either, lambda _run: "new")
    assert ["new", "new"] == [cache.get_or_set("k0", loader, HOUR, tags=["all", "half:0"]) for _unused in range(2)]
    assert 1 == loader.runs
    assert 2 == cache.invalidate_tags("all", "half:1", "unused")
    assert [None] * 20 == [cache.get(f"k{number}") for number in range(20)]
    assert 0 == cache.invalidate_tags()


def test_a_tag_that_an_entry_does_not_have_makes_it_a_miss(client: Client) -> None:
    """As when the application was changed: invalidating the new tag would not reach the old entry."""
    client.cache.set("k", "old", HOUR, tags=["a"])
    assert "old" == client.cache.get_or_set("k", Loader(client), HOUR)
    assert 1 == client.cache.get_or_set("k", Loader(client), HOUR, tags=["b"])


def test_a_tag_is_one_incr_whatever_has_it(redis_server: Server, open_client: OpenClient) -> None:
    """And reading a tagged entry is one write of three commands."""
    client = open_client(redis_server.settings())
    for number in range(500):
        client.cache.set(f"k{number}", number, HOUR, tags=["t"])
    before = commands_of(redis_server)
    assert 1 == client.cache.invalidate_tags("t")
    after = commands_of(redis_server)
    changes = {name: count - before.get(name, 0) for name, count in after.items()}
    assert {"incr": 1} == {name: count for name, count in changes.items() if count and not name.startswith(("info", "client", "command"))}
    assert all(client.cache.get(f"k{number}") is None for number in range(500))


def test_counters_are_kept_no_longer_than_entries_need_them(client: Client, redis_server: Server) -> None:
    """Those of entries twice as long as an entry; one that only an invalidation has made, a minute. Every key has a TTL."""
    client.cache.get_or_set("k", Loader(client), 100, tags=["t"])
    client.cache.invalidate_tags("t", "unused")
    client.cache.get_or_set("k", Loader(client), 50, tags=["t"])
    raw = redis_server.client()
    assert 150 < raw.ttl("app:cache_tag:t") <= 200
    assert 0 < raw.ttl("app:cache_tag:unused") <= 60
    assert all(raw.ttl(name) > 0 for name in raw.scan_iter())
    close(raw)


def test_a_counter_that_was_evicted_makes_no_old_entry_valid(client: Client, redis_server: Server) -> None:
    """Whatever happens to it: no version comes twice."""
    raw = redis_server.client()
    cache = client.cache
    for evict in (1, 2, 3):
        cache.set("k", "old", HOUR, tags=["t"])
        for _unused in range(evict):
            raw.delete("app:cache_tag:t")
            cache.invalidate_tags("t")
        assert cache.get("k") is None
        cache.set("other", 1, HOUR, tags=["t"])
        assert cache.get("k") is None
    close(raw)


def test_a_tag_is_invalidated_on_a_full_server(redis_server: Server, open_client: OpenClient) -> None:
    """INCR needs memory; without its counter no entry is valid, either."""
    client = open_client(redis_server.settings())
    client.cache.set("k", 1, HOUR, tags=["t"])
    with full(redis_server):
        assert 1 == client.cache.get("k")
        assert 1 == client.cache.invalidate_tags("t", "unused")
        assert client.cache.get("k") is None
    client.cache.set("k", 2, HOUR, tags=["t"])
    assert 2 == client.cache.get("k")


def test_an_invalidation_whose_reply_is_lost_is_repeated(redis_server: Server, open_client: OpenClient) -> None:
    """Twice invalidates what once does; if the server is down, the caller gets an error."""
    with FaultProxy(redis_server) as proxy:
        client = open_client(proxy.settings(timeout_seconds=1.0, retry_delay_ms=10))
        client.cache.set("k", 1, HOUR, tags=["t"])
        fault = proxy.lose_reply("INCR")
        assert 1 == client.cache.invalidate_tags("t")
        assert (1, None) == (fault.hits, client.cache.get("k"))
        client.cache.set("k", 1, HOUR, tags=["t"])
        proxy.refuse()
        proxy.close_connections()
        for call in (lambda: client.cache.invalidate_tags("t"), lambda: client.cache.invalidate("k")):
            with pytest.raises(UnreachableError):
                call()


INTERLEAVINGS = 1000


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["server", "cluster"])
def test_no_interleaving_with_a_tag_serves_the_old_value(request: pytest.FixtureRequest, topology: str) -> None:
    """Of 1,000 random ones: two clients load and share loads, a third changes the truth and invalidates one of the tags."""
    target = request.getfixturevalue(f"redis_{topology}")

    async def run() -> int:
        dice, stale = random.Random(2), 0  # noqa: S311
        async with (
            AsyncClient.from_settings(target.settings()) as first,
            AsyncClient.from_settings(target.settings()) as second,
            AsyncClient.from_settings(target.settings()) as writer,
        ):
            truth = 0

            async def load() -> int:
                found = truth
                await asyncio.sleep(dice.choice((0, 0, 0.0005, 0.002)))
                return found

            async def ask(client: AsyncClient, key: str) -> None:
                nonlocal stale
                await asyncio.sleep(dice.choice((0, 0, 0.0005, 0.001)))
                known = invalidated
                stale += await client.cache.get_or_set(key, load, HOUR, tags=["a", "b"]) < known

            for number in range(INTERLEAVINGS):
                key, invalidated = f"k{number % 7}", truth
                callers = [asyncio.create_task(ask(dice.choice((first, second)), key)) for _unused in range(4)]
                await asyncio.sleep(dice.choice((0, 0, 0.0005, 0.001)))
                truth += 1
                await writer.cache.invalidate_tags(dice.choice("ab"))
                invalidated = truth
                late = [asyncio.create_task(ask(client, key)) for client in (first, second)]
                await asyncio.gather(*callers, *late)
                stale += await first.cache.get_or_set(key, load, HOUR, tags=["a", "b"]) < truth
        return stale

    assert 0 == asyncio.run(run())


# Patterns and prefixes


def test_a_prefix_is_deleted_on_every_primary_with_exact_counts(either: Client) -> None:
    """Characters of globs in it mean themselves; keys beside it stay."""
    for start in range(0, 5000, 1000):
        either.set_many({f"p*[x]:{number}": 1 for number in range(start, start + 1000)})
    either.set_many({f"pp[x]:{number}": 1 for number in range(100)})
    outcome = either.cache.invalidate_prefix("p*[x]:")
    assert (5000, 5000, 0) == (outcome.matched, outcome.deleted, outcome.unconfirmed)
    assert 100 == len(list(either.scan()))
    assert outcome.deleted == sum(node.deleted for node in outcome.nodes)
    assert 0 == either.cache.invalidate_prefix("p*[x]:").deleted


def test_a_pattern_is_deleted(either: Client) -> None:
    """As the server understands it."""
    either.set_many({f"page:{number}:{kind}": 1 for number in range(50) for kind in ("html", "json")})
    assert 50 == either.cache.invalidate_pattern("page:*:json").deleted
    assert 5 == either.cache.invalidate_pattern("page:[0-4]:*").deleted
    assert 45 == len(list(either.scan()))


def test_everything_is_refused(client: Client) -> None:
    """A cache shares its server with sessions and locks."""
    for pattern in ("*", "**", "?*"):
        with pytest.raises(RefusedError, match="every key"):
            client.cache.invalidate_pattern(pattern)
    with pytest.raises(RefusedError, match="every key"):
        client.cache.invalidate_prefix("")
    with pytest.raises(RefusedError, match="keys_per_second is 0"):
        client.cache.invalidate_prefix("a", keys_per_second=0)


def test_one_pass_in_pages(redis_server: Server, open_client: OpenClient) -> None:
    """Each page is deleted by one command; other clients never wait for more than a page."""
    client = open_client(redis_server.settings())
    for start in range(0, 20_000, 1000):
        client.set_many({f"p:{number}": 1 for number in range(start, start + 1000)})
    before = commands_of(redis_server)
    assert 20_000 == client.cache.invalidate_prefix("p:").deleted
    after = commands_of(redis_server)
    scans, unlinks = after["scan"] - before.get("scan", 0), after["unlink"] - before.get("unlink", 0)
    assert 10 <= scans <= 14
    assert unlinks <= scans


def test_a_rate_is_kept(client: Client) -> None:
    """100 keys at 500 a second take at least the time of all but the first step."""
    client.set_many({f"p:{number}": 1 for number in range(100)})
    started = time.monotonic()
    assert 100 == client.cache.invalidate_prefix("p:", keys_per_second=500).deleted
    assert time.monotonic() - started >= 0.1


@pytest.mark.parametrize("command", ["UNLINK", "SCAN"])
def test_counts_are_exact_when_a_reply_is_lost(redis_server: Server, open_client: OpenClient, command: str) -> None:
    """What an attempt without a reply has deleted is unconfirmed, and all keys are gone."""
    with FaultProxy(redis_server) as proxy:
        client = open_client(proxy.settings(timeout_seconds=1.0, retry_delay_ms=10))
        client.set_many({f"p:{number}": 1 for number in range(5000)})
        fault = proxy.lose_reply(command, nth=2)
        outcome = client.cache.invalidate_prefix("p:")
        assert 1 == fault.hits
        assert 5000 == outcome.deleted + outcome.unconfirmed
        assert outcome.unconfirmed > 0 or command == "SCAN"
        assert [] == list(client.scan())


def test_a_server_that_goes_down_is_reported_with_what_was_deleted(redis_server: Server, open_client: OpenClient) -> None:
    """The caller runs it again."""
    with FaultProxy(redis_server) as proxy:
        client = open_client(proxy.settings(timeout_seconds=0.5, retry_delay_ms=10))
        for start in range(0, 10_000, 1000):
            client.set_many({f"p:{number}": 1 for number in range(start, start + 1000)})
        proxy.lose_request("SCAN", nth=3, times=10_000)
        with pytest.raises(InvalidationError) as caught:
            client.cache.invalidate_prefix("p:")
        proxy.heal()
        left = len(list(client.scan()))
        assert 0 < caught.value.deleted + caught.value.unconfirmed == 10_000 - left
        assert left == client.cache.invalidate_prefix("p:").deleted


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["sentinel", "cluster"])
def test_a_failover_leaves_nothing_old(redis_factory: RedisFactory, open_both: OpenBoth, topology: Any) -> None:
    """By tag and key callers with time see no error; a prefix may be one, and is complete when it is run again."""
    target = replicated(redis_factory, topology)
    clients = open_both(target.settings(timeout_seconds=15.0, retry_delay_ms=10))
    writer = clients[0]
    writer.set_many({f"p:{number}": 1 for number in range(3000)})
    for number in range(20):
        writer.cache.set(f"k{number}", "old", HOUR, tags=["t"])
    target.wait_until_in_sync()
    target.kill_primary(*(["cache_tag:t"] if topology == "cluster" else []))
    assert 1 == writer.cache.invalidate_tags("t")
    assert [None] * 20 == [client.cache.get(f"k{number}") for client, number in zip(clients * 10, range(20), strict=True)]
    assert 1 == writer.cache.invalidate("k0")
    deleted = 0
    for _unused in range(5):
        try:
            deleted += writer.cache.invalidate_prefix("p:").deleted
            break
        except InvalidationError as error:
            deleted += error.deleted + error.unconfirmed
    assert (3000, []) == (deleted, list(writer.scan("p:*")))
    loader = Loader(writer, lambda _run: "new")
    assert ["new", "new"] == [writer.cache.get_or_set("k1", loader, HOUR, tags=["t"]) for _unused in range(2)]


def test_a_user_with_few_rights_is_enough(target: Target, open_client: OpenClient) -> None:
    """On every topology; without UNLINK, DEL does it."""
    with modest_user(target) as rights:
        client = open_client(target.settings(**rights))
        client.wait_until_ready(5.0)
        client.cache.set("p:1", 1, HOUR, tags=["t"])
        assert (1, 1) == (client.cache.invalidate_tags("t"), client.cache.invalidate_prefix("p:").deleted)
        for server in servers_of(target):
            raw = server.client()
            raw.execute_command("ACL", "SETUSER", "app", "-unlink")
            close(raw)
        client.set_many({f"p:{number}": 1 for number in range(100)})
        assert 100 == client.cache.invalidate_prefix("p:").deleted


def test_a_slot_that_moves_is_followed(redis_cluster: Cluster, open_client: OpenClient) -> None:
    """At each step of the move: keys that are on the other side already are found there, or at their old place."""
    client = open_client(redis_cluster.settings(timeout_seconds=5.0))
    names = [f"{{moving}}:{number}" for number in range(100)]
    source = redis_cluster.primary_of("{moving}")
    target = next(node for node in redis_cluster.primaries() if node is not source)
    client.set_many(dict.fromkeys(names, 1))
    for _step in redis_cluster.move_slots([redis_cluster.slot_of("{moving}")], target):
        outcome = client.cache.invalidate_prefix("{moving}:")
        assert (len(list(client.scan("{moving}:*"))), 0) == (0, outcome.unconfirmed)
        client.set_many(dict.fromkeys(names, 1))
    assert 100 == client.cache.invalidate_prefix("{moving}:").deleted
