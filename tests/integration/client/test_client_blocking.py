# SPDX-License-Identifier: MIT
"""Lists as queues: pops that wait have their own time and connection, and what is lost is never lost in silence."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from keyfleet import Client, OutcomeUnknown, Policy, PoolTimeoutError, UnreachableError, WrongTypeError
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.servers import Cluster, Server
from support.clients import OpenClient

BUDGET_SECONDS = 0.3


def blocked(server: Server) -> int:
    """Return how many connections wait for an element."""
    with server.client() as admin:
        return int(admin.info("clients")["blocked_clients"])


def test_lists_are_queues(either: Client) -> None:
    """Both ends, the middle, and moves; keys without prefix."""
    assert [2, 3] == [either.rpush("{q}", "a", "b"), either.lpush("{q}", "z")]
    assert (["z", "a", "b"], ["a"], 3) == (either.lrange("{q}"), either.lrange("{q}", 1, 1), either.llen("{q}"))
    assert ["z", "b"] == [either.lpop("{q}"), either.rpop("{q}")]
    assert "a" == either.lmove("{q}", "{q}done")
    assert [1, 0] == [either.lrem("{q}done", "a"), either.lrem("{q}done", "a")]
    assert [None, None, None, 0, []] == [
        either.lpop("{q}"),
        either.rpop("{q}"),
        either.lmove("{q}", "{q}done"),
        either.llen("{q}"),
        either.lrange("{q}"),
    ]


def test_what_is_there_is_popped_at_once(either: Client) -> None:
    """The first list that has one; the key comes without prefix."""
    either.rpush("{q}2", "a", "b", "c")
    assert ("{q}2", "a") == either.blpop("{q}1", "{q}2", timeout_seconds=5)
    assert ("{q}2", "c") == either.brpop("{q}1", "{q}2", timeout_seconds=5)
    assert "b" == either.blmove("{q}2", "{q}1", timeout_seconds=5, take="right", put="left")
    assert ["b"] == either.lrange("{q}1")


def test_an_empty_list_gives_none_when_the_time_is_over(redis_server: Server, open_client: OpenClient) -> None:
    """Two seconds with a budget far below; nothing is an error, nothing is tried again."""
    client = open_client(redis_server.settings(timeout_seconds=BUDGET_SECONDS))
    begun = time.monotonic()
    assert None is client.blpop("q", timeout_seconds=2)
    assert time.monotonic() - begun >= 2
    assert [None, None] == [client.brpop("q", timeout_seconds=0.0001), client.blmove("q", "q", timeout_seconds=0.01)]
    assert (0, 0) == (client.stats.retries, client.stats.failures)


def test_waiting_for_ever_outlasts_the_budget(redis_server: Server, open_client: OpenClient) -> None:
    """And an element ends it."""
    client = open_client(redis_server.settings(timeout_seconds=BUDGET_SECONDS))
    with ThreadPoolExecutor() as pool:
        popped = pool.submit(client.blpop, "q", timeout_seconds=0)
        wait_until(lambda: blocked(redis_server) == 1, "the pop to wait")
        time.sleep(5 * BUDGET_SECONDS)  # a pop that ends with the budget has no element
        client.rpush("q", "late")
        assert ("q", "late") == popped.result(10)


def test_other_calls_go_on_meanwhile(redis_server: Server, open_client: OpenClient) -> None:
    """Waiting calls have connections of their own, the others share theirs."""
    client = open_client(redis_server.settings())
    with ThreadPoolExecutor() as pool:
        popped = [pool.submit(client.blpop, f"q{number}", timeout_seconds=0) for number in range(3)]
        wait_until(lambda: blocked(redis_server) == 3, "the pops to wait")
        assert ["1"] * 50 == [client.get("k") for _unused in range(50) if client.set("k", 1)]
        assert [True] * 20 == list(pool.map(lambda number: client.set(f"k{number}", number), range(20)))
        assert 3 == blocked(redis_server)
        for number in range(3):
            client.rpush(f"q{number}", number)
        assert [(f"q{number}", str(number)) for number in range(3)] == [pop.result(10) for pop in popped]
    assert 0 == client.stats.failures


def test_too_many_waiting_calls_are_an_error_of_their_own(redis_server: Server, open_client: OpenClient) -> None:
    """The limit of the policy holds for them, too."""
    client = open_client(redis_server.settings(timeout_seconds=BUDGET_SECONDS), Policy(max_blocking_connections=3))
    with ThreadPoolExecutor() as pool:
        popped = [pool.submit(client.blpop, "q", timeout_seconds=0) for _unused in range(4)]
        wait_until(lambda: blocked(redis_server) + sum(pop.done() for pop in popped) == 4, "the pops to wait, or to be refused")
        with redis_server.client() as admin:
            admin.rpush("q", *range(4))
        results = [pop.exception(10) or pop.result(10) for pop in popped]
    refused = [result for result in results if isinstance(result, PoolTimeoutError)]
    assert 1 == len(refused)
    assert "max_blocking_connections" in str(refused[0])
    assert 4 - len(refused) == sum(isinstance(result, tuple) for result in results)


def test_a_connection_that_ends_while_waiting_is_reported(redis_server: Server, open_client: OpenClient) -> None:
    """An element may have been taken: the caller decides."""
    client = open_client(redis_server.settings())
    for pop in (client.blpop, client.brpop):
        with ThreadPoolExecutor() as pool:
            popped = pool.submit(pop, "q", timeout_seconds=0)
            wait_until(lambda: blocked(redis_server) == 1, "the pop to wait")
            with redis_server.client() as admin:
                admin.execute_command("CLIENT", "KILL", "TYPE", "normal")
            with pytest.raises(OutcomeUnknown):
                popped.result(10)
    client.rpush("q", "a")
    assert ("q", "a") == client.blpop("q", timeout_seconds=1)


def test_no_element_is_lost_with_the_reply_to_a_move(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """What was taken is in the worker's own list; the call says that it may be, and nothing is moved twice."""
    server = redis_factory.server()
    proxy = redis_factory.proxy(server)
    client = open_client(proxy.settings())
    client.rpush("jobs", "1", "2")
    proxy.lose_reply("BLMOVE")
    with pytest.raises(OutcomeUnknown):
        client.blmove("jobs", "mine", timeout_seconds=1)
    assert (["2"], ["1"], 1) == (client.lrange("jobs"), client.lrange("mine"), proxy.commands["BLMOVE"])
    proxy.lose_request("BLMOVE")
    with pytest.raises(OutcomeUnknown):
        client.blmove("jobs", "mine", timeout_seconds=1)
    assert (["2"], ["1"]) == (client.lrange("jobs"), client.lrange("mine"))
    assert 1 == client.lrem("mine", "1")
    assert "2" == client.blmove("jobs", "mine", timeout_seconds=1)


def test_a_lost_pop_or_push_is_never_an_empty_list(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Also where the policy falls back: None would say that there is nothing to do."""
    proxy = redis_factory.proxy(redis_factory.server())
    client = open_client(proxy.settings(), Policy(on_error="fallback"))
    proxy.lose_reply("RPUSH")
    with pytest.raises(OutcomeUnknown):
        client.rpush("q", "a")
    proxy.lose_reply("LPOP")
    with pytest.raises(OutcomeUnknown):
        client.lpop("q")
    assert (1, 1, 0) == (proxy.commands["RPUSH"], proxy.commands["LPOP"], client.llen("q"))
    proxy.refuse()
    proxy.close_connections()
    short = client.within(BUDGET_SECONDS)
    assert 0 == short.llen("q")
    with pytest.raises(UnreachableError):
        short.blpop("q", timeout_seconds=0)


def test_a_full_stop_of_the_server_ends_the_wait(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Silence is waited for as long as the pop and the budget last, and not forever."""
    server = redis_factory.server()
    client = open_client(server.settings(timeout_seconds=BUDGET_SECONDS))
    client.ping()
    server.pause()
    try:
        with pytest.raises((OutcomeUnknown, UnreachableError)):  # as there was a connection to send it on, or none
            client.blpop("q", timeout_seconds=0.5)
    finally:
        server.resume()


def test_wrong_arguments_are_refused_at_once(either: Client) -> None:
    """Variable, value and what is allowed."""
    for seconds in (-1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=r"timeout_seconds is .*; allowed are numbers above 0, up to 2000000, and 0 for no limit"):
            either.blpop("q", timeout_seconds=seconds)
    with pytest.raises(ValueError, match="blpop has no keys"):
        either.blpop(timeout_seconds=1)
    with pytest.raises(ValueError, match="rpush of 'q' has no values"):
        either.rpush("q")
    with pytest.raises(ValueError, match="take is 'top'; allowed: left, right"):
        either.lmove("q", "q", take="top")  # type: ignore[arg-type]
    either.set("text", "x")
    with pytest.raises(WrongTypeError, match="key 'text' holds a string, not a list"):
        either.blpop("text", timeout_seconds=1)


def test_keys_of_several_slots_are_refused_at_once(redis_cluster: Cluster, open_client: OpenClient) -> None:
    """A cluster would refuse them later."""
    client = open_client(redis_cluster.settings())
    with pytest.raises(ValueError, match="keys 'a' and 'b' are in slots"):
        client.blpop("a", "b", timeout_seconds=1)
    with pytest.raises(ValueError, match="keys 'a' and 'b' are in slots"):
        client.blmove("a", "b", timeout_seconds=1)
    assert 0 == client.stats.connections_opened


def test_every_job_is_done_once_by_many_workers(redis_server: Server, open_client: OpenClient) -> None:
    """Workers and producers share one client; each job goes to exactly one."""
    client = open_client(redis_server.settings(), Policy(max_connections=9))
    done: list[str] = []

    def work() -> None:
        while (found := client.blpop("jobs", "end", timeout_seconds=10)) is not None and found[0] == "jobs":
            done.append(found[1])

    workers = [threading.Thread(target=work) for _unused in range(6)]
    for worker in workers:
        worker.start()
    for number in range(300):
        client.rpush("jobs", number)
    wait_until(lambda: client.llen("jobs") == 0, "the jobs to be taken")
    client.rpush("end", *range(6))
    for worker in workers:
        worker.join(20)
    assert sorted(map(str, range(300))) == sorted(done)


@pytest.mark.parametrize("event", ["failover", "move"])
def test_waiting_calls_follow_their_key(redis_factory: RedisFactory, open_client: OpenClient, event: str) -> None:
    """Beyond the budget as well: the server sends them away, which is neither a failure nor a reason to give servers a pause."""
    cluster = redis_factory.cluster(replicas=1)
    client = open_client(cluster.settings(timeout_seconds=5))
    short = client.within(BUDGET_SECONDS)
    primary = cluster.primary_of("q")
    with ThreadPoolExecutor() as pool:
        popped = [pool.submit(short.blpop, "q", timeout_seconds=0) for _unused in range(6)]
        wait_until(lambda: blocked(primary) == 6, "the pops to wait")
        time.sleep(2 * BUDGET_SECONDS)
        if event == "failover":
            cluster.failover("q")
        else:
            target = next(node for node in cluster.primaries() if node is not primary)
            for _step in cluster.move_slots([cluster.slot_of("q")], target):
                pass
        wait_until(lambda: blocked(cluster.primary_of("q")) == 6 or any(pop.done() for pop in popped), "the pops to wait elsewhere")
        assert 6 == client.rpush("q", *range(6))
        assert {("q", str(number)) for number in range(6)} == {pop.result(20) for pop in popped}
    assert (0, 0) == (client.stats.failures, client.stats.breaker_opens)
