# SPDX-License-Identifier: MIT
"""The cache: one load for many callers, of one process and of several; what is served, and what never is."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import threading
import time
from typing import Any

import pytest
from keyfleet import AsyncClient, Client, DecodeError, Settings
from keyfleet.core.connect.client import close
from keyfleet.testing.servers import Server
from support.caches import Loader, at_once, eventually
from support.clients import OpenBoth, OpenClient

ON_MANAGED_SERVICES = True

ON_EVERY_SERVER = True
HOUR = 3600


@pytest.fixture
def client(redis_server: Server, open_client: OpenClient) -> Client:
    """A client of the session's server."""
    return open_client(redis_server.settings(key_prefix="app:"))


# What is stored


def test_a_value_is_loaded_once_on_every_topology(either: Client) -> None:
    """With a prefix that SCAN takes for a pattern; each key has a TTL."""
    for number in range(20):
        loader = Loader(either, lambda run, number=number: {"id": number, "run": run})
        assert [{"id": number, "run": 1}] * 3 == [either.cache.get_or_set(f"u:{number}", loader, HOUR) for _unused in range(3)]
        assert 0.89 * HOUR < (either.ttl(f"u:{number}") or 0) <= HOUR
    stats = either.cache.stats
    assert (40, 20, 20, 0) == (stats.hits, stats.misses, stats.loads, stats.discarded)


@pytest.mark.parametrize("value", [None, False, 0, "", [], {}, 1.5, "ü"])
def test_every_value_of_json_is_cached(client: Client, value: Any) -> None:
    """Also those that are false: one run of five."""
    loader = Loader(client, lambda _run: value)
    assert [value] * 5 == [client.cache.get_or_set("k", loader, HOUR) for _unused in range(5)]
    assert 1 == loader.runs
    assert value == client.cache.get("k", "default")


def test_get_and_set(client: Client) -> None:
    """Set replaces what is there, get knows its default; both are of the same entries as get_or_set."""
    cache = client.cache
    assert "none" == cache.get("k", "none")
    cache.set("k", [1], HOUR)
    assert [1] == cache.get("k")
    assert [1] == cache.get_or_set("k", Loader(client), HOUR)
    cache.set("k", [2], 0.05)
    assert [2] == cache.get("k")
    assert eventually(lambda: cache.get("k") is None)


def test_jitter_shortens_each_ttl_differently(client: Client) -> None:
    """So that what was stored together does not expire together."""
    for number in range(20):
        client.cache.with_options(jitter=0.5).set(f"k{number}", 1, HOUR)
        client.cache.with_options(jitter=0).set(f"l{number}", 1, HOUR)
    ttls = [client.ttl(f"k{number}") or 0 for number in range(20)]
    assert all(0.5 * HOUR - 5 < ttl <= HOUR for ttl in ttls)
    assert max(ttls) - min(ttls) > HOUR / 10
    assert all(HOUR - 5 < (client.ttl(f"l{number}") or 0) <= HOUR for number in range(20))


def test_wrong_arguments_are_refused_before_anything_is_loaded(client: Client) -> None:
    """Naming what is wrong."""
    loader = Loader(client)
    for ttl in (0, -1, 1e30):
        with pytest.raises(ValueError, match="ttl_seconds"):
            client.cache.get_or_set("k", loader, ttl)
    with pytest.raises(ValueError, match="a tag is ''"):
        client.cache.get_or_set("k", loader, 1, tags=[""])
    with pytest.raises(TypeError, match="tags is a single str"):
        client.cache.get_or_set("k", loader, 1, tags="abc")
    with pytest.raises(ValueError, match="refresh_ahead_seconds"):
        client.cache.with_options(refresh_ahead_seconds=1).get_or_set("k", loader, 1)
    assert 0 == loader.runs


# One load


def test_two_hundred_callers_of_one_process_load_once(client: Client) -> None:
    """Threads, or tasks of one loop; all get the value."""
    loader = Loader(client, lambda run: {"run": run}, 0.1)
    assert [{"run": 1}] * 200 == at_once(200, lambda _number: client.cache.get_or_set("k", loader, HOUR))
    assert 1 == loader.runs
    assert 1 == client.cache.stats.loads


def _ask(settings: Settings, gate: Any, answers: Any) -> None:
    """Be one of several processes: 50 threads ask for the same value."""
    with Client.from_settings(settings) as client:

        def load() -> int:
            client.incr("runs")
            time.sleep(0.1)
            return 7

        gate.wait()
        answers.put(at_once(50, lambda _number: client.cache.get_or_set("k", load, HOUR)))


def test_four_processes_load_once(redis_server: Server) -> None:
    """Each with 50 threads; a lease in the server makes one of them load."""
    fork = multiprocessing.get_context("fork")
    gate, answers = fork.Barrier(4), fork.Queue()
    processes = [fork.Process(target=_ask, args=(redis_server.settings(), gate, answers)) for _unused in range(4)]
    for process in processes:
        process.start()
    assert [[7] * 50] * 4 == [answers.get(timeout=30) for _unused in processes]
    for process in processes:
        process.join(30)
    raw = redis_server.client()
    assert b"1" == raw.get("runs")
    close(raw)


def test_a_first_caller_that_is_cancelled_takes_no_other_along(redis_server: Server) -> None:
    """19 of 19 others are answered, by one run."""

    async def run() -> None:
        runs = 0

        async def load() -> int:
            nonlocal runs
            runs += 1
            await asyncio.sleep(0.1)
            return 7

        async with AsyncClient.from_settings(redis_server.settings()) as client:
            tasks = [asyncio.create_task(client.cache.get_or_set("k", load, HOUR)) for _unused in range(20)]
            while not runs:
                await asyncio.sleep(0.001)
            tasks[0].cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(found[0], asyncio.CancelledError)
            assert [7] * 19 == found[1:]
            assert 1 == runs

    asyncio.run(run())


def test_a_loader_ends_when_all_its_callers_are_cancelled(redis_server: Server) -> None:
    """And the next caller need not wait for the lease."""

    async def run() -> None:
        ended = []

        async def load() -> int:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            return 7

        async with AsyncClient.from_settings(redis_server.settings()) as client:
            tasks = [asyncio.create_task(client.cache.get_or_set("k", load, HOUR)) for _unused in range(20)]
            while not client.cache.stats.loads:
                await asyncio.sleep(0.001)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            while not ended:
                await asyncio.sleep(0.001)
            assert 8 == await client.cache.get_or_set("k", lambda: 8, HOUR)
            assert ["cancelled"] == ended

    asyncio.run(run())


def test_an_interrupted_leader_of_threads_is_replaced(redis_server: Server) -> None:
    """An exception that is none of the loader's, as Ctrl-C, is for its thread alone."""
    runs = []

    def load() -> int:
        runs.append(threading.get_ident())
        time.sleep(0.05)
        if len(runs) == 1:
            raise KeyboardInterrupt
        return 7

    def ask(_number: int) -> Any:
        try:
            return client.cache.get_or_set("k", load, HOUR)  # type: ignore[attr-defined]
        except KeyboardInterrupt:
            return "interrupted"

    with Client.from_settings(redis_server.settings()) as client:
        assert sorted(["interrupted", *[7] * 9], key=str) == sorted(at_once(10, ask), key=str)
        assert 2 == len(runs)


def _hang(settings: Settings) -> None:
    """Be a process that is killed while it loads."""
    with Client.from_settings(settings) as client:
        client.cache.with_options(lease_seconds=0.5).get_or_set("k", lambda: client.set("began", 1) and time.sleep(60), HOUR)


def test_a_process_that_is_killed_while_it_loads_is_replaced(client: Client, redis_server: Server) -> None:
    """When its lease is over, not when the entry would expire."""
    process = multiprocessing.get_context("fork").Process(target=_hang, args=(redis_server.settings(key_prefix="app:"),))
    process.start()
    assert eventually(lambda: client.get("began") == "1")
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join(30)
    loader = Loader(client)
    assert [1] * 5 == at_once(5, lambda _number: client.cache.get_or_set("k", loader, HOUR))
    assert (1, 1) == (loader.runs, client.cache.stats.waits)


def test_a_loader_that_outlives_its_lease_still_stores(client: Client) -> None:
    """If no other caller has taken over, there is no reason to throw the value away."""
    loader = Loader(client, seconds=0.1)
    cache = client.cache.with_options(lease_seconds=0.02)
    assert [1, 1] == [cache.get_or_set("k", loader, HOUR) for _unused in range(2)]
    assert (1, 0) == (loader.runs, cache.stats.discarded)


def test_an_error_of_the_loader_reaches_all_who_wait_and_is_not_stored(client: Client) -> None:
    """One run for each wave; the next caller loads immediately."""
    trouble = LookupError("no such user")

    def fail(_run: int) -> Any:
        raise trouble

    loader = Loader(client, fail, 0.05)
    assert [trouble] * 20 == at_once(20, lambda _number: client.cache.get_or_set("k", loader, HOUR))
    assert 1 == loader.runs
    assert 0 == client.exists("k")
    assert 5 == client.cache.get_or_set("k", Loader(client, lambda _run: 5), HOUR)
    assert (1, 2) == (client.cache.stats.load_errors, client.cache.stats.loads)


def test_a_value_that_cannot_be_written_is_the_callers_error(client: Client) -> None:
    """The lease is given back."""
    with pytest.raises(TypeError, match="no JSON form"):
        client.cache.get_or_set("k", Loader(client, lambda _run: object()), HOUR)
    assert 0 == client.exists("k")


# Never the old value


def test_what_was_loaded_before_an_invalidation_is_not_stored_after_it(open_both: OpenBoth, redis_server: Server) -> None:
    """Whoever deletes the key, with whatever client: the caller gets its value, the next one loads."""
    for client in open_both(redis_server.settings()):
        raw = redis_server.client()

        def load(_run: int, raw: Any = raw) -> str:
            raw.delete("k")
            return "old"

        assert "old" == client.cache.get_or_set("k", Loader(client, load), HOUR)
        assert 1 == client.cache.stats.discarded
        assert "new" == client.cache.get_or_set("k", Loader(client, lambda _run: "new"), HOUR)
        raw.delete("k")
        close(raw)


INTERLEAVINGS = 1000


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["server", "cluster"])
def test_no_interleaving_serves_the_old_value(request: pytest.FixtureRequest, topology: str) -> None:
    """Of 1,000 random ones: two clients load and share loads, a third changes the truth and invalidates."""
    target = request.getfixturevalue(f"redis_{topology}")

    async def run() -> tuple[int, int]:
        dice, stale = random.Random(1), 0  # noqa: S311
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
                stale += await client.cache.get_or_set(key, load, HOUR) < known

            for number in range(INTERLEAVINGS):
                key, invalidated = f"k{number % 7}", truth
                callers = [asyncio.create_task(ask(dice.choice((first, second)), key)) for _unused in range(6)]
                await asyncio.sleep(dice.choice((0, 0, 0.0005, 0.001)))
                truth += 1
                await writer.delete(key)
                invalidated = truth
                late = [asyncio.create_task(ask(client, key)) for client in (first, second)]
                await asyncio.gather(*callers, *late)
                stale += await first.cache.get_or_set(key, load, HOUR) < truth
                await writer.delete(key)
            discarded = first.cache.stats.discarded + second.cache.stats.discarded
        return stale, discarded

    stale, discarded = asyncio.run(run())
    assert 0 == stale
    assert discarded > INTERLEAVINGS / 20, "the invalidations must meet loads"


def test_threads_see_no_old_value_either(redis_server: Server) -> None:
    """Eight threads ask while one changes the truth and deletes, 300 times."""
    truth, stale, is_over = 0, 0, threading.Event()

    def load() -> int:
        found = truth
        time.sleep(0.0005)
        return found

    def ask(number: int) -> int:
        nonlocal truth
        if number == 0:
            for _unused in range(300):
                truth += 1
                client.delete("k")
                invalidated[0] = truth
                time.sleep(0.001)
            is_over.set()
            return 0
        found = 0
        while not is_over.is_set():
            known = invalidated[0]
            found += client.cache.get_or_set("k", load, HOUR) < known
        return found

    invalidated = [0]
    with Client.from_settings(redis_server.settings()) as client:
        stale = sum(found if isinstance(found, int) else 1000 for found in at_once(9, ask))
        assert client.cache.stats.loads > 100
    assert 0 == stale


# Refresh ahead, stale on error


def test_an_aging_entry_is_served_and_loaded_anew_once(open_both: OpenBoth, redis_server: Server) -> None:
    """Once over all clients; no caller waits for it."""
    first, second = open_both(redis_server.settings())
    loaders = [Loader(client, lambda run: f"value {run}", 0.05) for client in (first, second)]
    caches = [client.cache.with_options(refresh_ahead_seconds=HOUR - 0.2, jitter=0) for client in (first, second)]
    assert "value 1" == caches[0].get_or_set("k", loaders[0], HOUR)
    served: list[Any] = []

    def ask(number: int) -> None:
        served.append(caches[number].get_or_set("k", loaders[number], HOUR))

    def is_refreshed() -> bool:
        at_once(2, ask)
        return sum(cache.stats.refreshes for cache in caches) == 1 and sum(loader.runs for loader in loaders) == 2

    assert eventually(is_refreshed)
    assert {"value 1"} == set(served[:10])
    assert eventually(lambda: caches[0].get("k") != "value 1" or loaders[1].runs == 1)


def test_a_stale_value_is_served_if_loading_fails(client: Client) -> None:
    """Beyond its TTL, and only then: an invalidated one is gone."""
    cache = client.cache.with_options(stale_on_error_seconds=HOUR, jitter=0)

    def fail(_run: int) -> Any:
        raise OSError("the database is down")

    failing = Loader(client, fail)
    assert 1 == cache.get_or_set("k", Loader(client), 0.05)
    assert eventually(lambda: cache.get("k") is None)
    assert [1] * 10 == at_once(10, lambda _number: cache.get_or_set("k", failing, 0.05))
    assert cache.stats.stale == 10
    assert HOUR - 100 < (client.ttl("k") or 0)
    assert 2 == cache.get_or_set("k", Loader(client, lambda _run: 2), HOUR), "loading works again"
    client.delete("k")
    with pytest.raises(OSError, match="the database is down"):
        cache.get_or_set("k", failing, HOUR)


# What cannot be read


@pytest.mark.parametrize("raw", [b"plain", b"kfc0" + b"0" * 60, b"kfc1V" + b"0" * 50, b"kfc1V" + b"0" * 45 + b"\0" * 13 + b"{broken"])
def test_an_entry_that_cannot_be_read_is_a_miss(client: Client, redis_server: Server, raw: bytes) -> None:
    """It is reported and replaced; only `get(strict=True)` raises."""
    reported: list[DecodeError] = []
    cache = client.cache.with_options(on_undecodable=reported.append)
    server = redis_server.client()
    server.set("app:k", raw)
    with pytest.raises(DecodeError):
        cache.get("k", strict=True)
    assert cache.get("k") is None
    loader = Loader(client)
    assert [1, 1] == [cache.get_or_set("k", loader, HOUR) for _unused in range(2)]
    assert {"k"} == {error.key for error in reported}
    assert len(reported) == cache.stats.undecodable
    assert server.ttl("app:k") > 0
    close(server)


def test_a_hook_that_fails_changes_no_call(client: Client, redis_server: Server) -> None:
    """It is logged."""

    def fail(_error: DecodeError) -> None:
        raise RuntimeError("hook")

    server = redis_server.client()
    server.set("app:k", "plain")
    close(server)
    assert 1 == client.cache.with_options(on_undecodable=fail).get_or_set("k", Loader(client), HOUR)
