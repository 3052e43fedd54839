# SPDX-License-Identifier: MIT
"""What docs/client/guarantees.md says about each call after a lost reply is what its command says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from keyfleet import Client
from keyfleet._protocol.builder import Commands
from keyfleet._protocol.command import Operation, Repeat
from keyfleet._sync.calls.capabilities import Capabilities

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "client" / "guarantees.md").read_text(encoding="utf-8")
WORDS = {"again, it changes nothing": Repeat.READ, "again, twice is the same as once": Repeat.SAME, "never": Repeat.NEVER}
BUILD: dict[str, Callable[[Commands], Operation[Any]]] = {
    "blmove": lambda make: make.blmove("a", "b", timeout_seconds=1),
    "blpop": lambda make: make.blpop("k", timeout_seconds=1),
    "brpop": lambda make: make.brpop("k", timeout_seconds=1),
    "decr": lambda make: make.decr("k"),
    "delete": lambda make: make.delete("k"),
    "exists": lambda make: make.exists("k"),
    "expire": lambda make: make.expire("k", 1),
    "get": lambda make: make.get("k"),
    "get_bytes": lambda make: make.get_bytes("k"),
    "get_json": lambda make: make.get_json("k"),
    "get_many": lambda make: make.get_many(["k"]),
    "get_many_json": lambda make: make.get_many_json(["k"]),
    "hdel": lambda make: make.hdel("k", "f"),
    "hexpire": lambda make: make.hexpire("k", 1, "f"),
    "hget": lambda make: make.hget("k", "f"),
    "hget_json": lambda make: make.hget_json("k", "f"),
    "hgetall": lambda make: make.hgetall("k"),
    "hgetall_json": lambda make: make.hgetall_json("k"),
    "hincrby": lambda make: make.hincrby("k", "f"),
    "hset": lambda make: make.hset("k", {"f": 1}),
    "hset_json": lambda make: make.hset_json("k", {"f": 1}),
    "httl": lambda make: make.httl("k", "f"),
    "incr": lambda make: make.incr("k", ttl_seconds=1),
    "llen": lambda make: make.llen("k"),
    "lmove": lambda make: make.lmove("a", "b"),
    "lpop": lambda make: make.lpop("k"),
    "lpush": lambda make: make.lpush("k", "v"),
    "lrange": lambda make: make.lrange("k", 0, 1),
    "lrem": lambda make: make.lrem("k", "v", 1),
    "persist": lambda make: make.persist("k"),
    "ping": lambda make: make.ping(),
    "rpop": lambda make: make.rpop("k"),
    "rpush": lambda make: make.rpush("k", "v"),
    "scan": lambda make: make.scan(0, "*", None, 10),
    "set": lambda make: make.set("k", "v", ttl_seconds=1),
    "set(nx=True)": lambda make: make.set("k", "v", nx=True),
    "set(xx=True)": lambda make: make.set("k", "v", xx=True),
    "set(get=True)": lambda make: make.set("k", "v", get=True),
    "set_json": lambda make: make.set_json("k", "v"),
    "set_many": lambda make: make.set_many({"k": "v"}),
    "set_many_json": lambda make: make.set_many_json({"k": "v"}),
    "ttl": lambda make: make.ttl("k"),
    "unlink": lambda make: make.unlink("k"),
    "expireat": lambda make: make.expireat("k", 1),
    "expire(nx=True)": lambda make: make.expire("k", 1, nx=True),
    "expireat(nx=True)": lambda make: make.expireat("k", 1, nx=True),
    "getdel": lambda make: make.getdel("k"),
    "getex": lambda make: make.getex("k", persist=True),
    "hmget": lambda make: make.hmget("k", ["f"]),
    "hexists": lambda make: make.hexists("k", "f"),
    "sadd": lambda make: make.sadd("k", "m"),
    "srem": lambda make: make.srem("k", "m"),
    "smembers": lambda make: make.smembers("k"),
    "sismember": lambda make: make.sismember("k", "m"),
    "smismember": lambda make: make.smismember("k", "m"),
    "scard": lambda make: make.scard("k"),
    "spop": lambda make: make.spop("k"),
    "srandmember": lambda make: make.srandmember("k"),
    "zadd": lambda make: make.zadd("k", {"m": 1}),
    "zadd(nx=True)": lambda make: make.zadd("k", {"m": 1}, nx=True),
    "zincrby": lambda make: make.zincrby("k", "m"),
    "zrem": lambda make: make.zrem("k", "m"),
    "zscore": lambda make: make.zscore("k", "m"),
    "zrank": lambda make: make.zrank("k", "m"),
    "zcard": lambda make: make.zcard("k"),
    "zcount": lambda make: make.zcount("k"),
    "zrange": lambda make: make.zrange("k"),
    "zrangebyscore": lambda make: make.zrangebyscore("k"),
    "zremrangebyscore": lambda make: make.zremrangebyscore("k", 0, 1),
    "zpopmin": lambda make: make.zpopmin("k"),
    "zpopmax": lambda make: make.zpopmax("k"),
}
# They open and close, report what is known already, make an object that sends, or read the whole server, where nothing is lost.
OTHERS = {
    *("from_env", "from_settings", "from_url", "settings", "policy", "stats", "raw", "within", "connect", "wait_until_ready", "close"),
    *("is_connected", "is_live", "info", "health", "slow_log", "memory_by_prefix", "flush"),
    *("execute", "pipeline", "script", "publish", "subscribe"),
    *(name for name in vars(Capabilities) if not name.startswith("_")),  # the page of each has its own table
}


def documented() -> dict[str, Repeat]:
    """Return what the page says, by call."""
    said = {}
    for words, repeat in WORDS.items():
        row = re.search(rf"^\| ([^|]*) \| {re.escape(words)} \|", PAGE, re.MULTILINE)
        assert row, words
        said.update(dict.fromkeys(re.findall(r"`([^`]+)`", row.group(1)), repeat))
    return said


def test_the_table_says_what_the_commands_say() -> None:
    """Every call once, with what is done when its reply is lost."""
    assert documented() == {name: build(Commands("p:")).commands[0].kind.repeat for name, build in BUILD.items()}


def test_the_table_is_complete() -> None:
    """A call that is added to the client is added to the table."""
    assert {name for name in dir(Client) if not name.startswith("_")} == {name.partition("(")[0] for name in BUILD} | OTHERS


PAGES = sorted((ROOT / "docs" / "client").glob("*.md"))
NAMED = sorted({name for page in PAGES for name in re.findall(r"`(test_(?!\w*\*)\w+\.py)`", page.read_text(encoding="utf-8"))})


@pytest.mark.parametrize("name", NAMED)
def test_the_tests_that_are_named_exist(name: str) -> None:
    """A guarantee without its test is none."""
    assert (ROOT / "tests" / "integration" / "client" / name).is_file()
