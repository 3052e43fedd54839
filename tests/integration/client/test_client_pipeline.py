# SPDX-License-Identifier: MIT
"""Pipelines: the client's calls sent together, in order, each with its own rule for what is sent again."""

from __future__ import annotations

import logging
import math

import pytest
from keyfleet import Client, ClosedError, DecodeError, DeniedError, OutcomeUnknown, Policy, ServerError, UnreachableError, WrongTypeError
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.servers import Cluster, Server
from support.clients import OpenClient

ON_MANAGED_SERVICES = True

pytestmark = pytest.mark.floor


def test_results_are_those_of_the_client_in_order(either: Client) -> None:
    """Every kind of result: texts, numbers, booleans, JSON, TTLs, hashes, lists, many keys."""
    with either.pipeline() as pipe:
        pipe.set("a", "grün").get("a").get("missing").set("a", 1, nx=True).set("a", 7, get=True).incr("a", 3).decr("a")
        pipe.set_json("j", {"x": None}).get_json("j").get_json("missing", default=4).set_json("null", None).get_json("null", default=4)
        pipe.set_many({"m1": "1", "m2": "2"}).get_many(["m1", "missing", "m2"]).set_many_json({"n": [1]}).get_many_json(["n", "missing"])
        pipe.exists("m1", "m2", "missing").delete("m1", "m2", "missing").unlink("n").delete()
        pipe.ttl("a").expire("a", 100).persist("a").ttl("missing")
        pipe.hset("h", {"f": "1", "g": "x"}).hget("h", "f").hincrby("h", "f", 4).hgetall("h").hdel("h", "g", "z").hset("h", {}).hdel("h")
        pipe.hset_json("hj", {"f": [1]}).hget_json("hj", "f").hget_json("hj", "z", default=0).hgetall_json("hj")
        pipe.rpush("l", "a", "b").lpush("l", "z").lrange("l").llen("l").lpop("l").rpop("l").lrem("l", "a").lpop("l").lmove("l", "l")
        expected = [
            *(True, "grün", None, False, "grün", 10, 9),
            *(True, {"x": None}, 4, True, None),
            *(True, {"m1": "1", "missing": None, "m2": "2"}, True, {"n": [1], "missing": None}),
            *(2, 2, 1, 0),
            *(math.inf, True, True, None),
            *(2, "1", 5, {"f": "5", "g": "x"}, 1, 0, 0),
            *(1, [1], 0, {"f": [1]}),
            *(2, 3, ["z", "a", "b"], 3, "z", "b", 1, None, None),
        ]
        assert len(expected) == len(pipe)
        assert expected == pipe.execute()
        assert (0, expected) == (len(pipe), pipe.results)
        assert [] == pipe.execute()


def test_a_new_ttl_comes_with_the_counter_and_in_order(either: Client) -> None:
    """The script behind it is unknown to a fresh server; that must not let later calls overtake it."""
    for name in ("n1", "n2"):
        with either.pipeline() as pipe:
            pipe.incr(name, ttl_seconds=100).incr(name).get(name).ttl(name)
            first, second, value, left = pipe.execute()
        assert (1, 2, "2") == (first, second, value)
        assert 0 < left <= 100


def test_the_first_error_is_raised_and_the_rest_is_there(either: Client) -> None:
    """Other calls have run; an error belongs to the call that it is for."""
    either.set("text", "x")
    either.set("binary", b"\xff")
    pipe = either.pipeline()
    pipe.set("a", 1).hgetall("text").incr("text").get("binary").get("a")
    with pytest.raises(WrongTypeError, match="key 'text'"):
        pipe.execute()
    assert [bool, WrongTypeError, ServerError, DecodeError, str] == [type(result) for result in pipe.results]
    results = pipe.set("a", 2).hgetall("text").execute(raise_on_error=False)
    assert (True, WrongTypeError) == (results[0], type(results[1]))
    assert "2" == either.get("a")


def test_what_is_not_json_is_raised_or_missed_as_the_call_says(either: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Counted and logged like the client's own."""
    either.set("k", "{")
    either.set("j", "1")
    with either.pipeline() as pipe, caplog.at_level(logging.WARNING, "keyfleet"):
        pipe.get_json("k").get_json("k", 3, undecodable="miss").get_many_json(["k", "j"], undecodable="miss").get_many_json(["k", "j"])
        results = pipe.execute(raise_on_error=False)
    assert [DecodeError, int, dict, DecodeError] == [type(result) for result in results]
    assert [3, {"k": None, "j": 1}] == results[1:3]
    assert (2, 2) == (either.stats.undecodable, len(caplog.records))


def test_wrong_arguments_raise_at_once_and_leaving_sends_nothing(either: Client) -> None:
    """Nothing is queued for a call that could not be; a block left without execute is given up."""
    with either.pipeline() as pipe:
        pipe.set("a", 1)
        with pytest.raises(ValueError, match="ttl_seconds"):
            pipe.expire("a", 0)
        with pytest.raises(ValueError, match="at least one"):
            pipe.rpush("l")
        with pytest.raises(TypeError):
            pipe.set_json("a", object())
        assert 1 == len(pipe)
    assert (0, 0) == (len(pipe), either.exists("a"))


def test_many_calls_reach_all_nodes_in_one_write_each(target_of_many: tuple[Client, list[Server]]) -> None:
    """A thousand calls count as one; each server got its own part, once."""
    client, servers = target_of_many
    client.ping()
    pipe = client.pipeline()
    for number in range(500):
        pipe.set(f"k{number}", number).get(f"k{number}")
    calls = client.stats.calls
    assert [item for number in range(500) for item in (True, str(number))] == pipe.execute()
    assert (calls + 1, 0) == (client.stats.calls, client.stats.retries)
    with_keys = [connection.dbsize() for connection in map(Server.client, servers)]
    assert 500 == sum(with_keys)
    assert all(count > 100 for count in with_keys)


@pytest.fixture
def target_of_many(redis_cluster: Cluster, open_client: OpenClient) -> tuple[Client, list[Server]]:
    """A client of three primaries, and these."""
    return open_client(redis_cluster.settings()), redis_cluster.primaries()


# Transactions


def test_a_transaction_is_one_step(either: Client) -> None:
    """All or nothing, no retries, results of each; on a cluster a hash tag keeps the keys together."""
    with either.pipeline(transaction=True) as pipe:
        pipe.set("{t}a", 1).incr("{t}a", ttl_seconds=5).get_many(["{t}a", "{t}b"])
        pipe.hset("{t}h", {"f": 1}).delete("{t}a", "{t}b").get_json("{t}a", 3)
        assert [True, 2, {"{t}a": "2", "{t}b": None}, 1, 1, 3] == pipe.execute()
        assert [] == pipe.execute()


def test_an_error_within_a_transaction_is_its_calls_own(either: Client) -> None:
    """The server runs the rest, and their results are returned."""
    either.set("{t}text", "x")
    pipe = either.pipeline(transaction=True)
    pipe.set("{t}a", 1).hgetall("{t}text").incr("{t}a")
    with pytest.raises(WrongTypeError, match=r"key '{t}text'"):
        pipe.execute()
    assert [True, WrongTypeError, 2] == [pipe.results[0], type(pipe.results[1]), pipe.results[2]]


def test_a_transaction_over_slots_is_refused_before_anything_is_sent(redis_cluster: Cluster, open_client: OpenClient) -> None:
    """Both keys are named, and the way out."""
    client = open_client(redis_cluster.settings(key_prefix="p:"))
    pipe = client.pipeline(transaction=True).set("a", 1).set("b", 2)
    with pytest.raises(ValueError, match=r"keys 'a' and 'b' are in slots .*KeyGroup"):
        pipe.execute()
    assert (0, 0) == (client.exists("a", "b"), client.stats.retries)


def test_what_keeps_a_transaction_from_running_is_reported(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """The server says EXECABORT in the end; the reason came before."""
    server = redis_factory.server()
    with server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-incrby")
        admin.execute_command("ACL", "SETUSER", "plain", "on", ">pw", "~*", "+@all", "-multi")
    client = open_client(server.settings(username="app", password="pw"))
    pipe = client.pipeline(transaction=True).set("a", 1).incr("a").get("a")
    with pytest.raises(DeniedError, match="incrby"):
        pipe.execute()
    assert [DeniedError] * 3 == [type(result) for result in pipe.results]
    assert 0 == client.exists("a")
    pipe = open_client(server.settings(username="plain", password="pw")).pipeline(transaction=True).set("a", 1)
    with pytest.raises(DeniedError, match=r"multi.*the commands between MULTI and EXEC were run one by one"):
        pipe.execute()


def test_a_transaction_has_a_connection_of_its_own(redis_server: Server, open_client: OpenClient) -> None:
    """What the server sees between MULTI and EXEC is the transaction alone, on one connection."""
    client = open_client(redis_server.settings())
    client.set("n", 0)
    with redis_server.client() as admin, admin.monitor() as monitor:
        client.pipeline(transaction=True).incr("n").incr("n").execute()
        seen: list[tuple[str, str]] = []
        while not seen or seen[-1][1] != "EXEC":
            event = monitor.next_command()
            seen.append((event["client_port"], event["command"].split()[0]))
    sent = [(port, name) for port, name in seen if name != "CLIENT"]  # with which a new connection announces its client
    assert ["MULTI", "INCRBY", "INCRBY", "EXEC"] == [name for _port, name in sent]
    assert 1 == len({port for port, _name in sent})


# Faults


def test_an_answer_is_final_and_the_rest_is_sent_again_or_unknown(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Behind a lost connection all of the unanswered share one fate: a call among them that may not run twice leaves all unknown."""
    server = redis_factory.server()
    proxy = redis_factory.proxy(server)
    client = open_client(proxy.settings())
    client.ping()
    proxy.reset_counts()
    proxy.lose_reply("SET second")
    pipe = client.pipeline().incr("first").set("second", 2).incr("third").get("first")
    results = pipe.execute(raise_on_error=False)
    assert [1, OutcomeUnknown, OutcomeUnknown, OutcomeUnknown] == [results[0], *map(type, results[1:])]
    assert (1, 1, 1) == (proxy.commands["INCRBY"] - 1, proxy.commands["SET"], client.stats.calls - 1)
    with server.client() as admin:
        assert [b"1", b"2", b"1"] == admin.mget("first", "second", "third")
    proxy.lose_reply("SET second")
    assert [2, True, 0, None] == client.pipeline().incr("first").set("second", 3).exists("fourth").get("fourth").execute()
    assert (3, 3) == (proxy.commands["INCRBY"], proxy.commands["SET"])


def test_a_lost_exec_is_unknown_if_a_call_of_it_may_not_run_twice(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Or if one reads what another one writes. It is sent again if all may be."""
    proxy = redis_factory.proxy(redis_factory.server())
    client = open_client(proxy.settings())
    proxy.lose_reply("EXEC")
    with pytest.raises(OutcomeUnknown):
        client.pipeline(transaction=True).set("a", 1).incr("n").execute()
    assert "1" == client.get("n")
    proxy.lose_reply("EXEC")
    with pytest.raises(OutcomeUnknown):
        client.pipeline(transaction=True).get("a").delete("a").execute()
    proxy.lose_reply("EXEC")
    assert [True, 0] == client.pipeline(transaction=True).set("a", 1).exists("b").execute()
    assert 4 == proxy.commands["EXEC"]


def test_an_unreachable_server_is_an_error_for_each_call_or_a_fallback(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """One failure of one call; what has no fallback stays an error."""
    proxy = redis_factory.proxy(redis_factory.server())
    proxy.refuse()
    settings = proxy.settings(timeout_seconds=0.3, retry_delay_ms=50)
    raising, falling = open_client(settings), open_client(settings, Policy(on_error="fallback"))
    with pytest.raises(UnreachableError):
        raising.pipeline().get("a").set("a", 1).execute()
    assert (1, 1, 0) == (raising.stats.calls, raising.stats.failures, raising.stats.fallbacks)
    pipe = falling.pipeline().get("a").set("a", 1).get_json("a", 5).get_many(["a", "b"]).delete("a").incr("n").rpush("l", 1)
    results = pipe.execute(raise_on_error=False)
    assert [None, False, 5, {"a": None, "b": None}, 0] == results[:5]
    assert [UnreachableError, UnreachableError] == [type(result) for result in results[5:]]
    assert (1, 1, 5) == (falling.stats.calls, falling.stats.failures, falling.stats.fallbacks)
    with pytest.raises(UnreachableError):
        falling.pipeline(transaction=True).get("a").execute()


def test_calls_follow_their_slots_while_these_move(redis_cluster: Cluster, open_client: OpenClient) -> None:
    """ASK for what is not there any more, MOVED for what has gone; in order, nothing twice."""
    client = open_client(redis_cluster.settings(timeout_seconds=10))
    for number in range(4):
        client.set(f"{{m}}{number}", 0)
    source = redis_cluster.primary_of("{m}")
    target = next(node for node in redis_cluster.primaries() if node is not source)
    rounds = 0
    for _step in redis_cluster.move_slots([redis_cluster.slot_of("{m}")], target):
        rounds += 1
        pipe = client.pipeline()
        for number in range(4):
            pipe.incr(f"{{m}}{number}").get(f"{{m}}{number}").set(f"{{m}}new{rounds}{number}", 1).incr(f"other{number}")
        assert [result for _unused in range(4) for result in (rounds, str(rounds), True, rounds)] == pipe.execute()
        key = f"{{m}}transaction{rounds}"  # several keys on two sides of a move can be in no transaction until it is over
        assert [True, 2] == client.pipeline(transaction=True).set(key, 1).incr(key).execute()
    assert rounds > 5
    assert redis_cluster.primary_of("{m}") is target


def test_a_read_behind_a_change_sees_it_across_a_role_flip(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """The former primary refuses the change and answers the read; the new one gets both, in order."""
    group = redis_factory.sentinel()
    primary, replica = group.servers[:2]
    proxy = redis_factory.proxy(primary)
    client = open_client(proxy.settings())
    client.set("k", "old")
    with primary.client() as old, replica.client() as new:
        old.wait(1, 5000)
        new.replicaof("no", "one")
        old.replicaof(replica.host, replica.port)
    proxy.switch_to(replica)
    assert [True, "new"] == client.pipeline().set("k", "new").get("k").execute()


def test_a_closed_client_runs_no_pipeline(either: Client) -> None:
    """Like every other call."""
    pipe = either.pipeline().set("a", 1)
    either.close()
    with pytest.raises(ClosedError):
        pipe.execute()
