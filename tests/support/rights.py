"""What a user needs at least for each call of the client and each module: found by a real server that records what it denied."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from keyfleet import Client, HealthReport, Settings
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.testing.servers import Server

from .modules import ROOT, run_module

USER, PASSWORD = "tried", "password-of-the-tried"
PAGE = ROOT / "docs/operations/smallest_rights.md"
Case = Callable[[Settings], object]  # returns what came out; a call that is denied raises, or returns something else

FILLED = [
    ["SET", "k", "1"],
    ["SET", "j", "{}"],
    ["HSET", "h", "f", "1"],
    ["SADD", "s", "m"],
    ["ZADD", "z", "1", "m"],
    ["RPUSH", "l", "a", "b"],
]

CALLS: Mapping[str, Callable[[Client], object]] = {
    "blmove": lambda client: client.blmove("l", "l2", timeout_seconds=1),
    "blpop": lambda client: client.blpop("l", timeout_seconds=1),
    "brpop": lambda client: client.brpop("l", timeout_seconds=1),
    "decr": lambda client: client.decr("k"),
    "delete": lambda client: client.delete("k"),
    "exists": lambda client: client.exists("k"),
    "expire": lambda client: client.expire("k", 9),
    "expireat": lambda client: client.expireat("k", 99_999_999_999),
    "flush": lambda client: client.flush(),
    "get": lambda client: client.get("k"),
    "get_bytes": lambda client: client.get_bytes("k"),
    "get_json": lambda client: client.get_json("j"),
    "get_many": lambda client: client.get_many(["k", "j"]),
    "get_many_json": lambda client: client.get_many_json(["j"]),
    "getdel": lambda client: client.getdel("k"),
    "getex": lambda client: client.getex("k", ttl_seconds=9),
    "hdel": lambda client: client.hdel("h", "f"),
    "health": lambda client: statuses(client.health()),
    "health(write_probe=True)": lambda client: statuses(client.health(write_probe=True)),
    "hexists": lambda client: client.hexists("h", "f"),
    "hexpire": lambda client: client.hexpire("h", 9, "f"),
    "hget": lambda client: client.hget("h", "f"),
    "hget_json": lambda client: client.hget_json("h", "f"),
    "hgetall": lambda client: client.hgetall("h"),
    "hgetall_json": lambda client: client.hgetall_json("h"),
    "hincrby": lambda client: client.hincrby("h", "f"),
    "hmget": lambda client: client.hmget("h", ["f"]),
    "hset": lambda client: client.hset("h", {"g": 1}),
    "hset_json": lambda client: client.hset_json("h", {"g": 1}),
    "httl": lambda client: client.httl("h", "f"),
    "incr": lambda client: client.incr("k"),
    "incr(ttl_seconds=9)": lambda client: client.incr("new", ttl_seconds=9),
    "info": lambda client: sorted(client.info()),
    "llen": lambda client: client.llen("l"),
    "lmove": lambda client: client.lmove("l", "l2"),
    "lpop": lambda client: client.lpop("l"),
    "lpush": lambda client: client.lpush("l", "c"),
    "lrange": lambda client: client.lrange("l"),
    "lrem": lambda client: client.lrem("l", "a"),
    "memory_by_prefix": lambda client: bool(client.memory_by_prefix()),
    "persist": lambda client: client.persist("k"),
    "ping": lambda client: client.ping(),
    "publish": lambda client: client.publish("c", "x"),
    "rpop": lambda client: client.rpop("l"),
    "rpush": lambda client: client.rpush("l", "c"),
    "sadd": lambda client: client.sadd("s", "n"),
    "scan": lambda client: sorted(client.scan()),
    "scard": lambda client: client.scard("s"),
    "set": lambda client: client.set("k", "2", ttl_seconds=9),
    "set_json": lambda client: client.set_json("k", {}),
    "set_many": lambda client: client.set_many({"k": "2"}),
    "set_many_json": lambda client: client.set_many_json({"k": 2}),
    "sismember": lambda client: client.sismember("s", "m"),
    "slow_log": lambda client: len(client.slow_log()),
    "smembers": lambda client: client.smembers("s"),
    "smismember": lambda client: client.smismember("s", "m"),
    "spop": lambda client: client.spop("s"),
    "srandmember": lambda client: client.srandmember("s"),
    "srem": lambda client: client.srem("s", "m"),
    "subscribe": lambda client: _subscribed(client, "c"),
    "subscribe(patterns=…)": lambda client: _subscribed(client, patterns=["c*"]),
    "ttl": lambda client: client.ttl("k"),
    "unlink": lambda client: client.unlink("k"),
    "zadd": lambda client: client.zadd("z", {"n": 2}),
    "zcard": lambda client: client.zcard("z"),
    "zcount": lambda client: client.zcount("z"),
    "zincrby": lambda client: client.zincrby("z", "m"),
    "zpopmax": lambda client: client.zpopmax("z"),
    "zpopmin": lambda client: client.zpopmin("z"),
    "zrange": lambda client: client.zrange("z"),
    "zrangebyscore": lambda client: client.zrangebyscore("z"),
    "zrank": lambda client: client.zrank("z", "m"),
    "zrem": lambda client: client.zrem("z", "m"),
    "zremrangebyscore": lambda client: client.zremrangebyscore("z", 0, 9),
    "zscore": lambda client: client.zscore("z", "m"),
}
MODULES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "redis_health": ("redis_health", {}),
    "redis_health: write_probe": ("redis_health", {"write_probe": True}),
    "redis_invalidate": ("redis_invalidate", {"patterns": ["k*"]}),
    "redis_key: a text": ("redis_key", {"key": "k", "value": "2"}),
    "redis_key: absent": ("redis_key", {"key": "k", "state": "absent"}),
}


def _subscribed(client: Client, *channels: str, patterns: Iterable[str] = ()) -> object:
    """Return that a subscription was confirmed; one that is denied raises."""
    with client.subscribe(*channels, patterns=list(patterns)) as subscription:
        return subscription.next(timeout_seconds=0.01) is None


def statuses(report: HealthReport) -> list[tuple[str, str, bool]]:
    """Return what became of each check, and whether there is something to say about it."""
    return sorted((check.name, check.status, bool(check.reason)) for check in report.checks)


def client_case(call: Callable[[Client], object]) -> Case:
    """Return the case of a call on a client of its own, which is open already: opening needs no right."""

    def case(settings: Settings) -> object:
        with Client.from_settings(settings) as client:
            return call(client)

    return case


def module_case(name: str, options: Mapping[str, Any]) -> Case:
    """Return the case of a module."""

    def case(settings: Settings) -> object:
        login = {"login_host": settings.host, "login_port": settings.port, "login_user": USER, "login_password": PASSWORD}
        result = run_module(name, {**login, **options})
        if result.failed:
            raise PermissionError(result["msg"])
        return (result.changed, [(check["name"], check["status"], bool(check["reason"])) for check in result.get("checks", [])])

    return case


CASES: Mapping[str, Case] = {
    **{f"client.{name}": client_case(call) for name, call in CALLS.items()},
    **{name: module_case(module, options) for name, (module, options) in MODULES.items()},
}


class Rights:
    """A server that lets a user try with some commands."""

    def __init__(self, server: Server) -> None:
        self.admin: AnyClient = server.client()
        self.settings = server.settings(username=USER, password=PASSWORD, environment="test")

    def knows(self, commands: Iterable[str]) -> bool:
        """Return whether the server has all of these commands."""
        return all(self.admin.execute_command("COMMAND INFO", command)[0] is not None for command in commands if "|" not in command)

    def run(self, case: Case, commands: Iterable[str]) -> tuple[object, list[str]]:
        """Return what a case returned, None if it was denied, and the commands that the server denied meanwhile."""
        self.admin.flushall()
        self.admin.script_flush()
        for words in FILLED:
            self.admin.execute_command(*words)
        rules = ["reset", "on", f">{PASSWORD}", "~*", "&*", *(f"+{command}" for command in commands)]
        self.admin.execute_command("ACL", "SETUSER", USER, *rules)
        self.admin.execute_command("ACL", "LOG", "RESET")
        try:
            result = case(self.settings)
        except Exception:  # noqa: BLE001 - the server says why
            result = None
        return result, [_text(entry, "object") for entry in self.admin.acl_log() if _text(entry, "reason") == "command"]

    def smallest(self, case: Case) -> list[str]:
        """Return the commands without any of which the case does not come out as with all of them."""
        needed: set[str] = set()
        while True:
            result, denied = self.run(case, needed)
            if not set(denied) - needed:
                break
            needed |= set(denied)
        assert result is not None, f"needs {sorted(needed)}, and does not work with them"
        for command in sorted(needed):
            if self.run(case, needed - {command})[0] == result:
                needed.remove(command)
        return sorted(needed)


def _text(entry: Mapping[Any, Any], name: str) -> str:
    value = entry.get(name, entry.get(name.encode()))
    return value.decode() if isinstance(value, bytes) else str(value)


def read_page(page: Path = PAGE) -> dict[str, list[str]]:
    """Return the commands of each case on the page."""
    cases = page.read_text(encoding="utf-8").partition("## Procedures")[0]
    rows = (re.split(r"(?<!\\)\|", line) for line in cases.splitlines() if line.startswith("| `"))
    return {words[1].strip().strip("`"): re.findall(r"`([^`]+)`", words[2].replace("\\|", "|")) for words in rows}
