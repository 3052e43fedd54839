# SPDX-License-Identifier: MIT
"""Any command through the client's transport, and Lua scripts, also for users who may do little."""

from __future__ import annotations

import pytest
from keyfleet import Client, DeniedError, Key, OutcomeUnknown, ServerError
from keyfleet._protocol.command import Repeat
from keyfleet._protocol.kinds import OF_CONNECTION, READS, SAMES, WAITING, kind_of
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.servers import Cluster, Server
from support.clients import OpenClient
from support.managed import Managed
from support.targets import Target

ON_MANAGED_SERVICES = True

pytestmark = pytest.mark.floor

COUNT = "return redis.call('INCRBY', KEYS[1], ARGV[1])"
PREFIX = "p:"


@pytest.fixture
def client(redis_server: Server, open_client: OpenClient) -> Client:
    """A client with a prefix."""
    return open_client(redis_server.settings(key_prefix=PREFIX))


# Any command


def test_a_reply_is_left_as_it_is(either: Client, target: Target) -> None:
    """Bytes, numbers, lists, None; on a cluster the Key chooses the server, and everywhere it gets the prefix."""
    for number in range(20):
        assert 1 == either.execute("zadd", Key(f"z{number}"), 1.5, "m")
    assert [b"m", b"1.5"] == either.execute("ZRANGE", Key("z7"), 0, -1, "WITHSCORES")
    assert [None, b"zset"] == [either.execute("ZSCORE", Key("z7"), b"missing"), either.execute("TYPE", Key("z7"))]
    if isinstance(target, Managed) and target.shape == "serverless":
        with pytest.raises(DeniedError, match="'object encoding'"):
            either.execute(b"OBJECT", "ENCODING", Key("z7"))
    else:
        assert b"listpack" == either.execute(b"OBJECT", "ENCODING", Key("z7"))
    assert sorted(f"z{number}" for number in range(20)) == sorted(either.scan())
    assert b"hello" == either.execute("ECHO", "hello")


def test_what_is_no_key_is_sent_as_it_stands(client: Client, redis_server: Server) -> None:
    """Only a Key is put under the prefix, wherever it stands."""
    client.execute("SET", "k", "plain")
    client.execute("SET", Key("k"), "ours")
    client.execute("ZADD", Key("a"), 1, "a")
    assert 1 == client.execute("ZUNIONSTORE", Key("all"), 1, Key("a"), "WEIGHTS", 2)
    with redis_server.client() as admin:
        assert [b"k", b"p:a", b"p:all", b"p:k"] == sorted(admin.keys())


def test_errors_are_those_of_the_server(client: Client) -> None:
    """In its own words."""
    client.set("text", "x")
    with pytest.raises(DeniedError, match="nosuch"):
        client.execute("NOSUCH", 1)
    with pytest.raises(ServerError, match="WRONGTYPE"):
        client.execute("ZCARD", Key("text"))


def test_wrong_arguments_are_refused_at_once(client: Client) -> None:
    """What would harm other calls on the same connection, or hold them up."""
    for words in (("SELECT", 1), ("subscribe", "c"), ("MULTI",), ("CLIENT", "reply", "OFF"), (b"WATCH", Key("k")), ("WAIT", 1, 0)):
        with pytest.raises(ValueError, match="is about the connection"):
            client.execute(*words)
    with pytest.raises(ValueError, match="BZPOPMIN waits on the server; say how long with timeout_seconds"):
        client.execute("BZPOPMIN", Key("z"), 1)
    with pytest.raises(ValueError, match="XREAD waits"):
        client.execute("XREAD", "block", 100, "STREAMS", Key("s"), "$")
    with pytest.raises(ValueError, match="execute has no arguments"):
        client.execute()
    for wrong in (None, True, ["k"]):
        with pytest.raises(TypeError, match="allowed: str, bytes, int, float"):
            client.execute("GET", wrong)  # type: ignore[arg-type]
    assert 0 == client.stats.connections_opened


def test_a_waiting_command_has_its_own_time(redis_server: Server, open_client: OpenClient) -> None:
    """None when it is over, although the budget was over before."""
    client = open_client(redis_server.settings(timeout_seconds=0.2))
    assert None is client.execute("BZPOPMIN", Key("z"), 0.5, timeout_seconds=0.5)
    assert None is client.execute("XREAD", "BLOCK", 500, "STREAMS", Key("s"), "$", timeout_seconds=0.5)
    assert (0, 0) == (client.stats.failures, client.stats.retries)


def test_a_lost_reply_follows_the_rule_of_the_command(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Reads and some others are sent again, or what the caller calls repeatable; the rest never."""
    proxy = redis_factory.proxy(redis_factory.server())
    client = open_client(proxy.settings())
    proxy.lose_reply("SADD")
    with pytest.raises(OutcomeUnknown):
        client.execute("SADD", Key("s"), "a")
    proxy.lose_reply("SADD")
    assert 0 == client.execute("SADD", Key("s"), "b", repeatable=True)
    proxy.lose_reply("SCARD")
    assert 2 == client.execute("SCARD", Key("s"))
    proxy.lose_reply("DEL")
    assert 0 == client.execute("DEL", Key("s"))
    assert {"SADD": 3, "SCARD": 2, "DEL": 2} == {name: proxy.commands[name] for name in ("SADD", "SCARD", "DEL")}


def test_keys_of_several_slots_are_refused_at_once(redis_cluster: Cluster, open_client: OpenClient) -> None:
    """By execute as by scripts."""
    client = open_client(redis_cluster.settings())
    with pytest.raises(ValueError, match="keys 'a' and 'b' are in slots"):
        client.execute("SINTERSTORE", Key("a"), Key("b"))
    with pytest.raises(ValueError, match="keys 'a' and 'b' are in slots"):
        client.script(COUNT)(keys=["a", "b"])
    assert 0 == client.stats.connections_opened


def test_the_table_agrees_with_the_server(target: Target) -> None:
    """What the table calls a read, no server calls a write; what waits, waits; and no name is misspelled."""
    with Client.from_settings(target.settings()) as client:
        known = {entry[0].decode().upper(): set(entry[2]) for entry in client.execute("COMMAND")}
    named = {name.partition(" ")[0] for name in READS | SAMES | WAITING | OF_CONNECTION}
    assert named - set(known) <= {"HEXPIRETIME", "HPEXPIRETIME", "HPTTL", "HTTL", "WAITAOF"}  # not in every version
    assert [] == [name for name in READS & set(known) if b"write" in known[name]]
    assert [] == [name for name in SAMES if b"write" not in known[name]]
    waiting = {name for name, flags in known.items() if b"blocking" in flags}
    assert waiting - OF_CONNECTION == WAITING | {"XREAD", "XREADGROUP"}


def test_options_may_forbid_what_the_name_allows() -> None:
    """SET may have NX, CONFIG may change."""
    words = (("CONFIG", "GET"), ("CONFIG", "SET"), ("SET", "K"), ("DEL", "K"))
    assert [Repeat.READ, Repeat.NEVER, Repeat.NEVER, Repeat.SAME] == [kind_of(pair, False).repeat for pair in words]


# Scripts


def test_a_script_runs_on_every_topology(either: Client) -> None:
    """Keys get the prefix and choose the server; the reply is left as it is."""
    count = either.script(COUNT)
    assert [5, 3, 6] == [count(keys=["n"], arguments=[5]), count(keys=["other"], arguments=["3"]), count(["n"], [1])]
    assert ["6", "3"] == [either.get("n"), either.get("other")]
    assert [b"a", 1, None] == either.script("return {ARGV[1], 1, false}")(arguments=["a"])
    assert b"v" == either.script("return ARGV[1]")(keys=[], arguments=[b"v"])


def test_its_text_is_sent_only_where_it_is_unknown(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Once, and again after the server has forgotten it."""
    server = redis_factory.server()
    proxy = redis_factory.proxy(server)
    client = open_client(proxy.settings())
    count = client.script(COUNT)
    assert [1, 2, 3] == [count(["n"], [1]) for _unused in range(3)]
    assert (3, 1) == (proxy.commands["EVALSHA"], proxy.commands["EVAL"])
    with server.client() as admin:
        admin.script_flush()
    assert [4, 5] == [count(["n"], [1]) for _unused in range(2)]
    assert (5, 2, 0) == (proxy.commands["EVALSHA"], proxy.commands["EVAL"], proxy.commands["SCRIPT"])


def test_an_error_of_a_script_is_reported(client: Client) -> None:
    """With the server's words."""
    with pytest.raises(ServerError, match="out of range, says the script"):
        client.script("return redis.error_reply('ERR out of range, says the script')")()
    client.set("text", "x")
    with pytest.raises(ServerError, match="WRONGTYPE"):
        client.script("return redis.call('LLEN', KEYS[1])")(["text"])


def test_a_script_is_not_run_twice_in_silence(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Unless it says that it may be."""
    proxy = redis_factory.proxy(redis_factory.server())
    client = open_client(proxy.settings())
    count, store = client.script(COUNT), client.script("return redis.call('SET', KEYS[1], ARGV[1])", repeatable=True)
    count(["n"], [1])
    proxy.lose_reply("EVALSHA")
    with pytest.raises(OutcomeUnknown):
        count(["n"], [1])
    assert "2" == client.get("n")
    proxy.lose_reply("EVAL")
    assert b"OK" == store(["k"], ["v"])
    assert (3, 3) == (proxy.commands["EVALSHA"], proxy.commands["EVAL"])


def test_users_without_dangerous_commands_are_served(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """No KEYS, no FLUSHDB, no SCRIPT at all, nothing of @dangerous: everything of the client works, the forbidden is denied."""
    server = redis_factory.server()
    with server.client() as admin:
        rules = ["on", ">pw", f"~{PREFIX}*", "+@all", "-@dangerous", "-keys", "-flushdb", "-flushall", "-script"]
        admin.execute_command("ACL", "SETUSER", "app", *rules)
    client = open_client(server.settings(username="app", password="pw", key_prefix=PREFIX))
    assert 5 == client.script(COUNT)(["n"], [5])
    assert 6 == client.incr("n", ttl_seconds=100)
    assert [True, 1, {"n": "6"}] == client.pipeline().set("a", 1).incr("life", ttl_seconds=9).get_many(["n"]).execute()
    assert [2] == client.pipeline(transaction=True).incr("life", ttl_seconds=9).execute()
    assert [1, "x"] == [client.rpush("l", "x"), client.blmove("l", "l", timeout_seconds=1)]
    assert ["a", "l", "life", "n"] == sorted(client.scan())
    for words in (("KEYS", "*"), ("FLUSHDB",), ("SCRIPT", "FLUSH")):
        with pytest.raises(DeniedError):
            client.execute(*words)
    with pytest.raises(DeniedError, match="a key of the command is denied"):
        client.execute("GET", "k")


# In pipelines


@pytest.mark.parametrize("is_transaction", [False, True])
def test_a_pipeline_sends_the_text_of_a_script_once(client: Client, redis_server: Server, is_transaction: bool) -> None:
    """And its SHA-1 behind that, so that no call overtakes one that the server would not know."""
    count = client.script(COUNT)
    for _again in range(2):
        with redis_server.client() as admin:
            admin.script_flush()
            admin.config_resetstat()
            with client.pipeline(transaction=is_transaction) as pipe:
                pipe.set("n", 0)
                for _number in range(5):
                    pipe.run_script(count, keys=["n"], arguments=[2])
                pipe.get("n").command("APPEND", Key("n"), "0").get("n")
                assert [True, 2, 4, 6, 8, 10, "10", 3, "100"] == pipe.execute()
            stats = admin.info("commandstats")
        assert [1, 4] == [stats["cmdstat_eval"]["calls"], stats["cmdstat_evalsha"]["calls"]]


def test_a_pipeline_runs_scripts_on_every_server(either: Client) -> None:
    """On a cluster each slot gets the text."""
    count = either.script(COUNT)
    with either.pipeline() as pipe:
        for number in range(20):
            pipe.run_script(count, [f"n{number % 10}"], [1])
        assert [1] * 10 + [2] * 10 == pipe.execute()


def test_a_pipeline_refuses_what_waits(client: Client) -> None:
    """It would hold up the calls behind it."""
    with client.pipeline() as pipe, pytest.raises(ValueError, match="BLPOP waits on the server"):
        pipe.command("BLPOP", Key("l"), 1)


def test_a_transaction_takes_commands_without_a_key(either: Client) -> None:
    """They are in no slot, and go where the others go."""
    count = either.script("return 7")
    with either.pipeline(transaction=True) as pipe:
        pipe.set("{g}a", 1).command("ECHO", "x").run_script(count).get("{g}a")
        assert [True, b"x", 7, "1"] == pipe.execute()
