# SPDX-License-Identifier: MIT
"""Rate limits: counts are exact, nothing that is refused is consumed, and the server's clock alone counts."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from keyfleet import AsyncClient, Client, Limit, Policy, RateLimitedError, RateLimitResult, Settings
from keyfleet.core.connect.client import close
from keyfleet.testing.servers import Cluster, Server
from support.clients import OpenClient

ON_MANAGED_SERVICES = True

ALGORITHMS = ["gcra", "fixed", "sliding"]
DAY = 86400


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_limit_admits_what_it_says(either: Client, algorithm: Any) -> None:
    """What is left falls with each call; a refusal says when to come back."""
    results = [either.rate_limits.check("user:42", 3, DAY, algorithm=algorithm) for _unused in range(4)]
    assert [True, True, True, False] == [result.allowed for result in results]
    assert [2, 1, 0, 0] == [result.remaining for result in results]
    assert {(3, "server")} == {(result.limit, result.source) for result in results}
    assert [0, 0, 0] == [result.retry_after_seconds for result in results[:3]]
    assert 0 < results[3].retry_after_seconds <= 2 * DAY
    assert results[3].reset_at > time.time()
    assert either.rate_limits.check("user:43", 3, DAY, algorithm=algorithm), "another subject"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_cost_that_is_refused_consumes_nothing(either: Client, algorithm: Any) -> None:
    """The rest is there for a smaller one."""
    limits = either.rate_limits
    assert 7 == limits.check("a", 10, DAY, cost=3, algorithm=algorithm).remaining
    refused = limits.check("a", 10, DAY, cost=8, algorithm=algorithm)
    assert (False, 7) == (refused.allowed, refused.remaining)
    assert (True, 0) == limits.check("a", 10, DAY, cost=7, algorithm=algorithm)[:2]
    assert not limits.check("a", 10, DAY, algorithm=algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_peek_and_reset(either: Client, algorithm: Any) -> None:
    """Peek changes nothing, reset gives the whole budget back."""
    limits = either.rate_limits
    assert (True, 2) == limits.peek("a", 2, DAY, algorithm=algorithm)[:2]
    limits.check("a", 2, DAY, cost=2, algorithm=algorithm)
    assert (False, 0) == limits.peek("a", 2, DAY, algorithm=algorithm)[:2]
    assert not limits.check("a", 2, DAY, algorithm=algorithm)
    assert limits.reset("a", 2, DAY, algorithm=algorithm) is True
    assert limits.reset("a", 2, DAY, algorithm=algorithm) is False
    assert (True, 1) == limits.check("a", 2, DAY, algorithm=algorithm)[:2]


def test_several_limits_are_consumed_together_or_not_at_all(either: Client) -> None:
    """One that refuses keeps the others from counting."""
    several = [Limit(5, DAY), Limit(3, DAY, "fixed"), Limit(9, DAY, "sliding"), Limit(9, DAY, "fixed", name="other")]
    results = [either.rate_limits.check_all("u", several) for _unused in range(4)]
    assert [True, True, True, False] == [result.allowed for result in results]
    assert [4, 2, 8, 8] == [result.remaining for result in results[0].each]
    assert [(True, 2), (False, 0), (True, 6), (True, 6)] == [(result.allowed, result.remaining) for result in results[3].each]
    assert (3, 0) == (results[3].limit, results[3].remaining), "the one that refuses decides"
    assert 4 == either.rate_limits.reset_all("u", several)


def test_each_check_is_one_command(either: Client) -> None:
    """One call of the client, for several limits too."""
    limits = either.rate_limits
    limits.check_all("u", [Limit(5, 1), Limit(50, 60)])
    before = either.stats.calls
    limits.check_all("u", [Limit(5, 1), Limit(50, 60)])
    limits.check("u", 5, 1)
    assert 2 == either.stats.calls - before


def test_a_refusal_is_repeated_without_asking(either: Client) -> None:
    """Until it ends, for the same cost and above; a smaller cost, peek and other clients ask."""
    limits = either.rate_limits
    limits.check("a", 5, DAY, cost=3)
    first = limits.check("a", 5, DAY, cost=4)
    before = either.stats.calls
    again = limits.check("a", 5, DAY, cost=4)
    assert ("server", "local", False) == (first.source, again.source, again.allowed)
    assert 0 < again.retry_after_seconds <= first.retry_after_seconds
    assert before == either.stats.calls
    assert limits.check("a", 5, DAY, cost=2), "this much is left"
    assert "server" == limits.check("a", 5, DAY, cost=4, local_refusals=False).source
    assert "local" == either.within(1).rate_limits.check("a", 5, DAY, cost=4).source
    limits.reset("a", 5, DAY)
    assert limits.check("a", 5, DAY, cost=4)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_key_has_a_ttl(redis_server: Server, open_client: OpenClient, algorithm: Any) -> None:
    """It is set in the same command as the state; a TTL that was removed from outside comes back."""
    client, raw = open_client(redis_server.settings()), redis_server.client()
    client.rate_limits.check("a", 5, 60, algorithm=algorithm)
    (name,) = raw.keys("*")
    assert 0 < raw.pttl(name) <= 120_000
    raw.persist(name)
    client.rate_limits.check("a", 5, 60, algorithm=algorithm)
    assert 0 < raw.pttl(name) <= 120_000
    assert 0 == raw.config_resetstat() - 1
    client.rate_limits.check("a", 5, 60, algorithm=algorithm)
    written = {command: raw.info("commandstats")[f"cmdstat_{command}"]["calls"] for command in ("set", "get", "time", "evalsha")}
    assert {"set": 1, "get": 1, "time": 1, "evalsha": 1} == written
    close(raw)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_command_of_a_script_leaves_a_key_without_a_ttl(redis_server: Server, open_client: OpenClient, algorithm: Any) -> None:
    """As MONITOR shows each of them: what is written is written by SET with PX."""
    client, raw = open_client(redis_server.settings()), redis_server.client()
    client.rate_limits.check("warm", 1, 1)
    with raw.monitor() as monitor:
        for _unused in range(3):
            client.rate_limits.check("a", 2, 60, algorithm=algorithm, local_refusals=False)
        client.rate_limits.check_all("b", [Limit(2, 60, algorithm), Limit(2, 600, algorithm)])
        client.execute("ECHO", "over")
        seen: list[list[str]] = []
        while not seen or seen[-1][0] != "ECHO":
            found = monitor.next_command()
            if found["client_type"] == "lua" or found["command"].upper().startswith("ECHO"):
                seen.append(found["command"].upper().split())
    assert {"TIME", "GET", "SET", "ECHO"} == {words[0] for words in seen}
    assert [4] == [len([words for words in seen if words[0] == "SET"])]
    assert all(words[-2] == "PX" and int(words[-1]) > 0 for words in seen if words[0] == "SET")
    close(raw)


ON_EVERY_SERVER = True


def hammer(settings: Settings, runs: int, algorithm: Any, begin: Any, admitted: Any) -> None:
    """Check 100 times in each run, another subject in each, and add how many were admitted."""
    with Client.from_settings(settings) as client:
        for run in range(runs):
            begin.wait(60)
            allowed = sum(client.rate_limits.check(run, 100, DAY, algorithm=algorithm).allowed for _unused in range(100))
            with admitted.get_lock():
                admitted[run] += allowed


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_processes_together_admit_exactly_the_limit(redis_server: Server, algorithm: Any, count: Callable[[int, int], int]) -> None:
    """4 processes of 100 calls each, limit 100, in every run."""
    runs = count(10, 100)
    context = multiprocessing.get_context("spawn")
    begin, admitted = context.Barrier(4), context.Array("i", runs)
    settings = redis_server.settings(timeout_seconds=30)
    workers = [context.Process(target=hammer, args=(settings, runs, algorithm, begin, admitted)) for _unused in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
    assert [0, 0, 0, 0] == [worker.exitcode for worker in workers]
    assert [100] * runs == list(admitted)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_tasks_and_threads_together_admit_exactly_the_limit(redis_server: Server, algorithm: Any) -> None:
    """300 tasks and 200 calls of threads, limit 100."""
    settings = redis_server.settings(timeout_seconds=30)

    async def tasks() -> int:
        async with AsyncClient.from_settings(settings) as client:
            calls = (client.rate_limits.check("a", 100, DAY, algorithm=algorithm) for _unused in range(300))
            return sum(result.allowed for result in await asyncio.gather(*calls))

    admitted: list[int] = []
    with Client.from_settings(settings) as client:

        def work() -> None:
            admitted.append(sum(client.rate_limits.check("a", 100, DAY, algorithm=algorithm).allowed for _unused in range(50)))

        threads = [threading.Thread(target=work) for _unused in range(4)]
        for thread in threads:
            thread.start()
        admitted.append(asyncio.run(tasks()))
        for thread in threads:
            thread.join()
    assert 100 == sum(admitted)


def test_a_burst_of_ten_admits_ten_at_the_same_time(redis_server: Server, open_client: OpenClient) -> None:
    """100 a second with a burst of 10: one second brings 100 more, and no more than that."""
    client, raw = open_client(redis_server.settings()), redis_server.client()
    before = raw.time()
    allowed = sum(client.rate_limits.check("a", 100, 1, burst=10, local_refusals=False).allowed for _unused in range(1000))
    after = raw.time()
    elapsed = after[0] - before[0] + (after[1] - before[1]) / 1e6
    close(raw)
    assert 10 <= allowed <= 10 + 100 * elapsed + 1


class Clock:
    """Runs the script with a clock of the test instead of TIME, on a real server, to step through hours."""

    def __init__(self, client: Client, raw: Any) -> None:
        from keyfleet._protocol.scripts import load

        self.now = 1_700_000_000_000_000
        self._client, self._raw = client, raw
        source = load("rate_limits/check").source
        assert "local time = redis.call('TIME')" in source
        self._source = source.replace("redis.call('TIME')", "{0, ARGV[#ARGV]}")

    def check(self, limit: Limit, cost: int = 1) -> RateLimitResult:
        """Check *limit* at the present of this clock."""
        from keyfleet._capabilities.rate_limits import command, result_of

        made = command("", "a", (limit,), cost, consumes=True)
        count = int(made.arguments[2])
        keys, arguments = made.arguments[3 : 3 + count], made.arguments[3 + count :]
        reply = self._raw.eval(self._source, count, *keys, *arguments, self.now)
        self._raw.persist(keys[0])  # the server's own clock does not move with ours
        return result_of(reply, [limit])


@pytest.fixture
def clock(redis_server: Server) -> Any:
    """The clock, on an empty server."""
    raw = redis_server.client()
    yield Clock(None, raw)  # type: ignore[arg-type]
    close(raw)


def test_gcra_counts_fractions(clock: Clock) -> None:
    """42 a minute, burst 2, one call a second: 11 of 14."""
    admitted = 0
    for _unused in range(14):
        admitted += clock.check(Limit(42, 60, burst=2)).allowed
        clock.now += 1_000_000
    assert 11 == admitted


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("limit", "window"), [(3, 10), (7, 60), (100, 60), (1, 30), (999, 3600)])
def test_a_caller_that_waits_as_answered_is_admitted_and_not_before(clock: Clock, algorithm: Any, limit: int, window: float) -> None:
    """A microsecond before the end of retry_after is too early; over all windows no more is admitted than the limit says."""
    wanted, start, admitted = Limit(limit, window, algorithm), clock.now, 0
    for _unused in range(min(3 * limit, 300)):
        result = clock.check(wanted)
        admitted += result.allowed
        if not result.allowed:
            retry = round(result.retry_after_seconds * 1e6)
            clock.now += retry - 1
            assert not clock.check(wanted)
            clock.now += 1
            assert clock.check(wanted)
            admitted += 1
    windows = (clock.now - start) / (window * 1e6)
    assert admitted <= limit * (windows + 1) + (limit if algorithm == "sliding" else 0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_clock_that_goes_back_locks_no_caller_out(clock: Clock, algorithm: Any) -> None:
    """After a failover to a server whose clock is an hour behind, capacity comes back as usual."""
    for _unused in range(5):
        clock.check(Limit(5, 60, algorithm))
    clock.now -= 3600 * 1_000_000
    clock.check(Limit(5, 60, algorithm))
    clock.now += 121 * 1_000_000
    assert 4 == clock.check(Limit(5, 60, algorithm)).remaining


def test_the_callers_clock_does_not_count(redis_server: Server, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose clock is a minute off sees the same limit."""
    client = open_client(redis_server.settings())
    client.rate_limits.check("a", 2, 60, algorithm="fixed")
    honest = time.time
    monkeypatch.setattr(time, "time", lambda: honest() + 60)
    assert [0, 0] == [client.rate_limits.check("a", 2, 60, algorithm="fixed", local_refusals=False).remaining for _unused in range(2)]
    assert not client.rate_limits.check("a", 2, 60, algorithm="fixed")


def test_a_limit_that_changes_keeps_what_was_used(redis_server: Server, open_client: OpenClient) -> None:
    """A deployment that lowers it does not give everything back."""
    limits = open_client(redis_server.settings()).rate_limits
    limits.check("a", 10, DAY, cost=6, algorithm="fixed")
    assert (False, 0) == limits.check("a", 5, DAY, algorithm="fixed")[:2]
    assert (True, 13) == limits.check("a", 20, DAY, algorithm="fixed")[:2]


def test_the_decorator_checks_before_each_call(redis_server: Server) -> None:
    """For functions and coroutine functions; what is refused does not run."""
    ran = []
    with Client.from_settings(redis_server.settings()) as client:

        @client.rate_limits.limited(2, DAY, id=lambda user: f"report:{user}")
        def report(user: str) -> str:
            ran.append(user)
            return user

        assert ["ada", "ada", "bob"] == [report("ada"), report("ada"), report("bob")]
        with pytest.raises(RateLimitedError, match="the limit of 2 is used up") as caught:
            report("ada")
        assert 0 < caught.value.retry_after_seconds <= DAY

    async def main() -> None:
        async with AsyncClient.from_settings(redis_server.settings()) as client:

            @client.rate_limits.limited(1, DAY, id="all")
            async def report() -> str:
                return "done"

            assert "done" == await report()
            with pytest.raises(RateLimitedError):
                await report()

    asyncio.run(main())
    assert ["ada", "ada", "bob"] == ran


def test_subjects_of_any_text_are_apart(redis_cluster: Cluster, open_client: OpenClient) -> None:
    """Braces, percent signs and colons come from outside; on a cluster several limits of a subject share a slot."""
    client = open_client(redis_cluster.settings())
    several = [Limit(1, DAY), Limit(1, DAY, "fixed"), Limit(1, DAY, "sliding", name="a:b{c}")]
    for subject in ("{a}b", "{a}", "a", "%7Ba%7D", "a:b", "ü", 7):
        assert client.rate_limits.check_all(subject, several), subject
        assert not client.rate_limits.check_all(subject, several), subject


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda limits: limits.check("a", 0, 60), "limit is 0"),
        (lambda limits: limits.check("a", 1, 0), "window_seconds is 0"),
        (lambda limits: limits.check("a", 1, 60, algorithm="leaky"), "algorithm is 'leaky'; allowed: gcra, fixed, sliding"),
        (lambda limits: limits.check("a", 1, 60, algorithm="fixed", burst=2), "burst is 2, algorithm fixed"),
        (lambda limits: limits.check("a", 5, 60, cost=6), "cost is 6; allowed are 1 to 5"),
        (lambda limits: limits.check("a", 5, 60, cost=0), "cost is 0"),
        (lambda limits: limits.check("", 5, 60), "id is empty"),
        (lambda limits: limits.check("a", 5, 60, on_outage="open"), "on_outage is 'open'; allowed: raise, allow, refuse"),
        (lambda limits: limits.check_all("a", []), "give at least one"),
        (lambda limits: limits.check_all("a", [Limit(5, 60), Limit(6, 60)]), "a name to those"),
        (lambda limits: limits.check("a", 999_983, 365 * DAY), "cannot be counted exactly"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_sent(call: Callable[[Any], object], message: str) -> None:
    """The error names the argument, the value and what is allowed."""
    with Client.from_url("redis://127.0.0.1:1", policy=Policy()) as client, pytest.raises(ValueError, match=message):
        call(client.rate_limits)
