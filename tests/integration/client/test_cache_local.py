# SPDX-License-Identifier: MIT
"""The local tier: entries in memory that servers report changes of, and nothing while they cannot."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from keyfleet import Client
from keyfleet.core.connect.client import close
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server
from support.caches import Loader, at_once, eventually
from support.capabilities import full, modest_user, replicated, servers_of
from support.clients import OpenClient
from support.targets import Target

ON_EVERY_SERVER = True
HOUR = 3600


def opened(client: Client, **options: Any) -> Any:
    """Return the cache of *client* with a local tier that is on."""
    cache = client.cache.local(**options)
    assert eventually(lambda: cache.local_stats.state == "on"), cache.local_stats
    return cache


@pytest.fixture
def cache(redis_server: Server, open_client: OpenClient) -> Any:
    """A cache with a local tier."""
    return opened(open_client(redis_server.settings(key_prefix="app:")))


@pytest.fixture
def server(redis_server: Server) -> Iterator[Any]:
    """Another client of the server."""
    raw = redis_server.client()
    yield raw
    close(raw)


def served_locally(cache: Any, key: str) -> bool:
    """Return whether *key* is served from memory."""
    before = cache.stats.local_hits
    cache.get(key)
    return bool(cache.stats.local_hits > before)


def becomes_local(cache: Any, key: str) -> bool:
    """Return whether *key* is served from memory soon: the report of what this client has stored itself may come after the first read."""
    return eventually(lambda: served_locally(cache, key))


def test_values_are_served_from_memory_on_every_topology(target: Target, open_client: OpenClient) -> None:
    """After the server was read once; a change by another client is seen, whichever server has the key."""
    client, other = open_client(target.settings(key_prefix="p:")), open_client(target.settings(key_prefix="p:"))
    cache = opened(client)
    for number in range(20):
        other.cache.set(f"k{number}", number, HOUR)
    assert list(range(20)) * 3 == [cache.get(f"k{number}") for _unused in range(3) for number in range(20)]
    assert eventually(lambda: [cache.get(f"k{number}") for number in range(20)] == list(range(20)) and cache.local_stats.entries == 20)
    assert cache.stats.local_hits >= 20
    for number in range(20):
        other.cache.set(f"k{number}", number + 100, HOUR)
    assert eventually(lambda: [cache.get(f"k{number}") for number in range(20)] == list(range(100, 120)))
    assert 20 == sum(other.delete(f"k{number}") for number in range(20))
    assert eventually(lambda: all(cache.get(f"k{number}") is None for number in range(20)))


def test_a_tag_reaches_what_is_in_memory(cache: Any, server: Any) -> None:
    """Also when it is invalidated by another client."""
    loader = Loader(cache)
    for _unused in range(3):
        cache.get_or_set("k", loader, HOUR, tags=["t", "u"])
    assert 1 == loader.runs
    assert becomes_local(cache, "k")
    server.incr("app:cache_tag:u")
    assert eventually(lambda: cache.get_or_set("k", loader, HOUR, tags=["t", "u"]) == 2)
    assert 2 == cache.get("k")


def test_own_invalidations_hold_when_they_return(cache: Any) -> None:
    """The report of the server may come later."""
    for number in range(200):
        cache.set("k", number, HOUR, tags=["t"])
        assert number == cache.get("k")
        assert number == cache.get("k")
        how = number % 4
        if how == 0:
            cache.invalidate("k")
        elif how == 1:
            cache.invalidate_tags("t")
        elif how == 2:
            cache.invalidate_prefix("k")
        else:
            cache.set("k", None, HOUR)
        assert cache.get("k") is None
    assert cache.stats.local_hits > 0  # how many depends on when the server reports the change before


def test_each_hit_decodes_anew(cache: Any) -> None:
    """What a caller does to its value is its own."""
    cache.set("k", {"a": [1]}, HOUR)
    for _unused in range(3):
        cache.get("k")["a"].append(2)
    assert {"a": [1]} == cache.get("k")
    assert becomes_local(cache, "k")


def test_bounds_are_kept(redis_server: Server, open_client: OpenClient) -> None:
    """In entries and in bytes; the least recently used go first."""
    client = open_client(redis_server.settings())
    few, small = opened(client, max_entries=10), opened(client, max_bytes=10_000)
    for number in range(30):
        few.set(f"k{number}", "x" * 1000, HOUR)
    for cache in (few, small):
        for number in range(30):
            cache.get(f"k{number}")
            cache.get("k0")
    assert 10 == few.local_stats.entries
    assert (True, True) == (2 <= small.local_stats.entries < 10, small.local_stats.bytes <= 10_000)
    assert becomes_local(few, "k0")
    assert becomes_local(few, "k29")
    assert not served_locally(few, "k1")
    few.set("large", "x" * 20_000, HOUR)
    small.get("large")
    assert not served_locally(small, "large")


def test_a_prefix_bounds_what_is_kept_and_reported(redis_server: Server, open_client: OpenClient, server: Any) -> None:
    """Other keys are read from the server, and their changes are not reported."""
    cache = opened(open_client(redis_server.settings(key_prefix="app:")), prefix="user:")
    for key in ("user:1", "page:1"):
        cache.set(key, 1, HOUR)
        cache.get(key)
    assert (True, False) == (becomes_local(cache, "user:1"), served_locally(cache, "page:1"))
    before = cache.local_stats.invalidations
    server.mset({f"app:page:{number}": 1 for number in range(100)})
    server.set("app:user:1", "x")
    assert eventually(lambda: cache.local_stats.invalidations > before)
    assert cache.local_stats.invalidations < before + 10


def test_an_entry_expires_in_memory(cache: Any) -> None:
    """As on the server, which may report that late."""
    cache.set("k", 1, 0.2)
    assert 1 == cache.get("k")
    assert eventually(lambda: cache.get("k") is None)
    aging = cache.with_options(refresh_ahead_seconds=HOUR - 0.05, jitter=0)
    loader = Loader(aging)
    assert 1 == aging.get_or_set("a", loader, HOUR)
    assert eventually(lambda: aging.get_or_set("a", loader, HOUR) == 2), "it is loaded anew, not kept"


def test_everything_is_dropped_with_the_database(cache: Any, server: Any) -> None:
    """FLUSHDB reports no names."""
    cache.set("k", 1, HOUR)
    cache.get("k")
    assert becomes_local(cache, "k")
    server.flushdb()
    assert eventually(lambda: cache.get("k") is None)


def test_nothing_old_is_served_while_others_write(redis_server: Server, open_client: OpenClient) -> None:
    """Reads that meet writes: what is in memory at rest is what the server has, in 300 rounds."""
    client, other = open_client(redis_server.settings()), open_client(redis_server.settings())
    cache, dice = opened(client), random.Random(3)  # noqa: S311
    keys = [f"k{number}" for number in range(5)]
    for key in keys:
        other.cache.set(key, 0, HOUR)

    def work(number: int) -> None:
        for turn in range(300):
            if number == 0:
                other.cache.set(dice.choice(keys), turn + 1, HOUR)
            else:
                cache.get(dice.choice(keys))

    assert [None] * 4 == at_once(4, work)
    expected = [other.cache.get(key) for key in keys]
    assert eventually(lambda: [cache.get(key) for key in keys] == expected)
    assert expected == [cache.get(key) for key in keys]
    assert cache.stats.local_hits > 0


# When reports cannot come


def test_a_full_server_is_still_followed(cache: Any, server: Any, redis_server: Server) -> None:
    """What is in memory is served, and what another client deletes is not."""
    cache.set("k", 1, HOUR)
    cache.set("other", 2, HOUR)
    assert becomes_local(cache, "k")
    assert becomes_local(cache, "other")
    with full(redis_server):
        server.delete("app:k")
        assert eventually(lambda: cache.get("k") is None)
        assert (2, True) == (cache.get("other"), served_locally(cache, "other"))
        assert 3 == cache.get_or_set("k", lambda: 3, HOUR)
    assert [4, 4] == [cache.get_or_set("k", lambda: 4, HOUR) for _unused in range(2)]


def test_a_lost_connection_drops_everything(redis_server: Server, open_client: OpenClient, server: Any) -> None:
    """What changed meanwhile is never served; then the tier is on again."""
    with FaultProxy(redis_server) as proxy:
        cache = opened(open_client(proxy.settings(timeout_seconds=0.5, retry_delay_ms=10)))
        for number in range(5):
            cache.set("k", number, HOUR)
            assert number == cache.get("k")
            assert becomes_local(cache, "k")
            proxy.refuse()
            proxy.close_connections()
            assert eventually(lambda: cache.local_stats.state != "on")
            assert 0 == cache.local_stats.entries
            server.delete("k")
            proxy.heal()
            assert cache.get_or_set("k", Loader(cache, lambda _run: "new"), HOUR) == "new"
            assert eventually(lambda: cache.local_stats.state == "on")


def test_an_unresponsive_server_is_noticed(redis_server: Server, open_client: OpenClient, server: Any) -> None:
    """Nothing is served from memory once its heartbeat is missing."""
    with FaultProxy(redis_server) as proxy:
        cache = opened(open_client(proxy.settings(timeout_seconds=0.5, retry_delay_ms=10)))
        cache.set("k", "old", HOUR)
        cache.get("k")
        assert becomes_local(cache, "k")
        proxy.black_hole()
        server.delete("k")
        assert eventually(lambda: cache.get_or_set("k", Loader(cache, lambda _run: "new"), HOUR) == "new")
        proxy.heal()
        proxy.close_connections()
        assert eventually(lambda: cache.local_stats.state == "on")
        assert cache.get("k") is None


@pytest.mark.parametrize("denied", ["-client|tracking", "resetchannels"])
def test_where_tracking_is_denied_the_tier_is_off_and_says_so(
    redis_server: Server, open_client: OpenClient, server: Any, denied: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything else works."""
    server.execute_command("ACL", "SETUSER", "app", "reset", "on", ">secret", "~*", "&*", "+@all", denied)
    cache = open_client(redis_server.settings(username="app", password="secret")).cache.local()
    loader = Loader(cache)
    assert [1] * 3 == [cache.get_or_set("k", loader, HOUR) for _unused in range(3)]
    assert eventually(lambda: cache.local_stats.state.startswith("off: "))
    assert "local tier of the cache is off" in caplog.text
    assert [1] * 3 == [cache.get_or_set("k", loader, HOUR) for _unused in range(3)]
    assert (0, 1) == (cache.stats.local_hits, loader.runs)
    server.execute_command("ACL", "DELUSER", "app")


def test_a_user_with_few_rights_is_enough(target: Target, open_client: OpenClient) -> None:
    """On every topology."""
    with modest_user(target) as rights:
        cache = opened(open_client(target.settings(**rights)))
        cache.set("k", 1, HOUR)
        cache.get("k")
        assert becomes_local(cache, "k")


def test_close_leaves_no_connection(redis_server: Server, open_client: OpenClient) -> None:
    """And connect() begins anew."""
    with FaultProxy(redis_server) as proxy:
        client = open_client(proxy.settings())
        cache = opened(client)
        client.close()
        assert eventually(lambda: proxy.open_connections == 0)
        client.connect()
        cache.set("k", 1, HOUR)
        assert eventually(lambda: cache.local_stats.state == "on")
        cache.get("k")
        assert becomes_local(cache, "k")


def test_a_client_that_is_dropped_leaves_no_thread(redis_server: Server) -> None:
    """Also without close()."""
    before = threading.active_count()
    client = Client.from_settings(redis_server.settings())
    opened(client)
    assert threading.active_count() == before + 1
    del client
    assert eventually(lambda: threading.active_count() == before)


def test_a_forked_process_has_a_tier_of_its_own(redis_server: Server) -> None:
    """The parent's memory and connection stay the parent's."""
    with Client.from_settings(redis_server.settings()) as client:
        cache = opened(client)
        cache.set("k", 1, HOUR)
        cache.get("k")
        child = os.fork()
        if not child:
            good = False
            try:
                good = cache.local_stats.entries == 0 and eventually(lambda: cache.local_stats.state == "on")
                cache.get("k")
                good = good and becomes_local(cache, "k")
            finally:
                os._exit(0 if good else 1)
        assert 0 == os.waitpid(child, 0)[1]
        assert becomes_local(cache, "k")


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["sentinel", "cluster"])
def test_a_failover_serves_nothing_old(redis_factory: RedisFactory, open_client: OpenClient, topology: Any) -> None:
    """The new primary's reports are followed."""
    target = replicated(redis_factory, topology)
    client, other = (open_client(target.settings(timeout_seconds=15.0, retry_delay_ms=10)) for _unused in range(2))
    cache = opened(client)
    cache.set("k", 1, HOUR)
    cache.get("k")
    assert becomes_local(cache, "k")
    target.wait_until_in_sync()
    target.kill_primary(*(["k"] if topology == "cluster" else []))
    other.cache.set("k", 2, HOUR)
    assert eventually(lambda: cache.get("k") == 2, 20)
    assert eventually(lambda: cache.local_stats.state == "on", 20)
    cache.get("k")
    assert becomes_local(cache, "k")
    other.cache.set("k", 3, HOUR)
    assert eventually(lambda: cache.get("k") == 3)
    assert len(servers_of(target)) > 1


def test_a_change_is_seen_soon(redis_server: Server, open_client: OpenClient) -> None:
    """Without waiting for a heartbeat: 50 changes are seen in less time than one heartbeat takes for each."""
    cache = opened(open_client(redis_server.settings()))
    other = open_client(redis_server.settings())
    started = time.monotonic()
    for number in range(50):
        other.cache.set("k", number, HOUR)
        assert eventually(lambda number=number: cache.get("k") == number)  # type: ignore[misc]
    assert time.monotonic() - started < 50 * 0.5
