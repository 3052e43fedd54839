# SPDX-License-Identifier: MIT
"""The module redis_key on one server: every state a task can meet, with the current redis-py and with the distribution's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from keyfleet.testing.servers import Server, start_server
from support.modules import DEBIAN_PYTHON, Result, assert_check_predicts, run_module

Run = Callable[..., Result]
USERS = [
    "default on nopass ~* &* +@all",
    "reader on >correct-horse ~* +@read",
    "no-hset on >correct-horse ~* +@all -hset",
    "no-eval on >correct-horse ~* +@all -eval",
    "app on >correct-horse ~app:* +@all",
]


@pytest.fixture(params=[sys.executable, DEBIAN_PYTHON], ids=["current", "distribution"])
def key(request: pytest.FixtureRequest, redis_server: Server) -> Run:
    """Run redis_key on the server and assert that check mode predicts it; ``predict=False`` runs it once."""

    def run(*, predict: bool = True, **args: Any) -> Result:
        options = {name: args.pop(name) for name in ("check", "diff", "environ") if name in args}
        runner = assert_check_predicts if predict and not options.get("check") else run_module
        return runner("redis_key", {"login_port": redis_server.port, **args}, python=request.param, **options)

    return run


def action(result: Result) -> str:
    """Return what was done to the one key of the task."""
    assert not result.failed, result.data
    [entry] = result["entries"]
    assert 1 == result["counts"][entry["action"]]
    return str(entry["action"])


def test_distribution_python_has_its_own_redis(redis_server: Server) -> None:
    """The helper must not lend the newer redis-py of the test environment to the distribution's interpreter."""
    import ansible
    import redis

    assert not (Path(ansible.__file__).parents[1] / "redis").samefile("/usr/lib/python3/dist-packages/redis")
    result = run_module("redis_key", {"login_port": redis_server.port, "key": "k", "value": 1}, python=DEBIAN_PYTHON)
    assert (True, False) == (result.changed, result.failed)
    client = redis_server.client()
    assert b"1" == client.get("k")
    assert redis.VERSION[0] >= 6


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({}, "one of the following is required: key, entries"),
        ({"key": "k", "entries": [{"key": "k"}]}, "mutually exclusive"),
        ({"value": 1, "entries": [{"key": "k"}]}, "mutually exclusive"),
        ({"key": "k", "value": 1, "ttl_seconds": 1, "persist": True}, "mutually exclusive"),
        ({"key": "k"}, "state present needs a value, ttl_seconds or persist"),
        ({"key": "", "value": 1}, "the key is empty"),
        ({"key": "k", "value": 1, "type": "text"}, "value of type must be one of"),
        ({"key": "k", "value": 1, "ttl_seconds": 0}, "ttl_seconds is 0; allowed are 1 to"),
        ({"key": "k", "type": "hash", "value": [1]}, "must be a mapping of field to value, not a list"),
        ({"entries": [{"value": 1}]}, "missing required arguments: key"),
        ({"entries": [{"key": "k", "valeu": 1}]}, "entries.valeu"),
    ],
)
def test_missing_or_wrong_argument(redis_server: Server, args: dict[str, Any], says: str) -> None:
    """A task that cannot be meant is refused, saying why, and writes nothing."""
    result = run_module("redis_key", {"login_port": redis_server.port, **args})
    assert result.failed
    assert says in result["msg"]
    assert 0 == redis_server.client().dbsize()


def test_check_mode_writes_nothing(redis_server: Server, key: Run) -> None:
    """Check mode reports the change and does not make it."""
    assert "created" == action(key(key="k", value=1, check=True))
    assert 0 == redis_server.client().dbsize()


def test_create_repeat_change(redis_server: Server, key: Run) -> None:
    """Created once, unchanged after that, updated when the value differs."""
    client = redis_server.client()
    assert "created" == action(key(key="k", value="one"))
    assert "unchanged" == action(key(key="k", value="one"))
    assert "updated" == action(key(key="k", value="two"))
    assert b"two" == client.get("k")


def test_absent_and_absent_again(redis_server: Server, key: Run) -> None:
    """Deleted once, unchanged after that."""
    redis_server.client().set("k", 1)
    assert "deleted" == action(key(key="k", state="absent"))
    assert "unchanged" == action(key(key="k", state="absent"))
    assert 0 == redis_server.client().dbsize()


def test_absent_works_on_every_type(redis_server: Server, key: Run) -> None:
    """What the key holds does not matter for its deletion."""
    client = redis_server.client()
    client.set("string", 1)
    client.hset("hash", "a", 1)
    client.rpush("list", 1)
    client.sadd("set", 1)
    client.zadd("zset", {"a": 1})
    client.xadd("stream", {"a": 1})
    names = ["string", "hash", "list", "set", "zset", "stream"]
    result = key(state="absent", entries=[{"key": name} for name in names], diff=True)
    assert 6 == result["counts"]["deleted"]
    assert names == [diff["before"]["type"] for diff in result["diff"]]
    assert 0 == client.dbsize()


def test_diff(redis_server: Server, key: Run) -> None:
    """Before and after of what changes, in check mode too; nothing for what does not."""
    redis_server.client().set("k", "one", ex=1000)
    for check in (True, False):
        [diff] = key(key="k", value="two", check=check, diff=True, predict=False)["diff"]
        assert ("one", "two") == (diff["before"]["value"], diff["after"]["value"])
        assert diff["before"]["ttl_seconds"] == diff["after"]["ttl_seconds"]
    assert [] == key(key="k", value="two", diff=True)["diff"]
    [diff] = key(key="k", state="absent", diff=True)["diff"]
    assert ("two", "") == (diff["before"]["value"], diff["after"])


def test_hidden_values_are_nowhere_in_the_output(key: Run) -> None:
    """Neither diff nor invocation nor an error holds them, and the diff still shows that the value changes."""
    first = key(key="k", value="s3cr3t-1", hide_values=True, diff=True, predict=False)
    second = key(key="k", value="s3cr3t-2", hide_values=True, diff=True)
    many = key(entries=[{"key": "h", "type": "hash", "value": {"s3cr3t-3": "s3cr3t-4"}}], hide_values=True, diff=True)
    bad = key(key="k", type="json", value="{s3cr3t-5", hide_values=True)
    worse = key(key="k", value="s3cr3t-6", hide_values=True, state="persent", predict=False)
    for result in (first, second, many, bad, worse):
        assert "s3cr3t" not in result.stdout + result.stderr
    assert (True, True, True, True) == (second.changed, many.changed, bad.failed, worse.failed)
    [diff] = second["diff"]
    assert diff["before"]["value"] != diff["after"]["value"]


def test_wrong_type(redis_server: Server, key: Run) -> None:
    """A key of another type fails, named, untouched; with replace_type it is replaced."""
    client = redis_server.client()
    client.rpush("k", "a")
    result = key(key="k", type="hash", value={"a": 1})
    assert (True, False, "WrongTypeError") == (result.failed, result.changed, result["error"])
    assert "key 'k' holds a list, not a hash" == result["msg"]
    assert [b"a"] == client.lrange("k", 0, -1)
    assert "updated" == action(key(key="k", type="hash", value={"a": 1}, replace_type=True))
    assert {b"a": b"1"} == client.hgetall("k")
    assert "updated" == action(key(key="k", value=1, replace_type=True))
    assert b"1" == client.get("k")


def test_server_down(key: Run) -> None:
    """Nothing listens: the address and the reason, quickly."""
    result = key(key="k", value=1, login_port=1)
    assert (True, False, "UnreachableError") == (result.failed, result.changed, result["error"])
    assert "127.0.0.1:1" == result["address"]
    assert result["msg"].startswith("cannot reach 127.0.0.1:1: ")


@pytest.mark.parametrize("given", [{}, {"login_password": "wrong-horse"}, {"login_user": "nobody", "login_password": "wrong-horse"}])
def test_wrong_password(password_server: Server, key: Run, given: dict[str, str]) -> None:
    """A missing or wrong password is not reported as a server that is down, and is not printed."""
    result = key(key="k", value=1, login_port=password_server.port, **given)
    assert (True, "CredentialsError") == (result.failed, result["error"])
    assert "wrong-horse" not in result.stdout + result.stderr


def test_right_password(password_server: Server, key: Run) -> None:
    """The password opens the server and is not printed."""
    result = key(key="k", value=1, login_port=password_server.port, login_password=password_server.password)
    assert "created" == action(result)
    assert password_server.password
    assert password_server.password not in result.stdout + result.stderr


@pytest.fixture(scope="module")
def acl_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose users may not do everything."""
    with start_server(tmp_path_factory.mktemp("acl"), directives={"user": USERS}) as server:
        yield server


@pytest.mark.parametrize(
    ("user", "args", "command"),
    [
        ("reader", {"key": "k", "value": 1}, "set"),
        ("reader", {"key": "here", "state": "absent"}, "unlink"),
        ("reader", {"key": "here", "ttl_seconds": 9}, "pexpire"),
        ("no-hset", {"key": "k", "type": "hash", "value": {"a": 1}, "ttl_seconds": 9}, "hset"),
        ("no-eval", {"key": "k", "type": "list", "value": ["a"]}, "eval"),
    ],
)
def test_denied_command(acl_server: Server, key: Run, user: str, args: dict[str, Any], command: str) -> None:
    """What the server denies is named, and nothing of the key is written."""
    client = acl_server.client()
    client.flushall()
    client.set("here", 1)
    result = key(predict=False, login_port=acl_server.port, login_user=user, login_password="correct-horse", **args)
    assert (True, False, "DeniedError", command) == (result.failed, result.changed, result["error"], result["command"])
    assert ([b"here"], -1) == (client.keys("*"), client.ttl("here"))


def test_denied_key(acl_server: Server, key: Run) -> None:
    """A key outside the user's patterns fails; the others of the task are done."""
    acl_server.client().flushall()
    entries = [{"key": "app:1", "value": 1}, {"key": "other", "value": 1}]
    result = key(login_port=acl_server.port, login_user="app", login_password="correct-horse", entries=entries)
    assert (True, True, "DeniedError") == (result.failed, result.changed, result["error"])
    assert ["other"] == [failure["key"] for failure in result["failures"]]
    assert [b"app:1"] == acl_server.client().keys("*")


def test_prefix(redis_server: Server, key: Run) -> None:
    """The prefix stands before the key, in the result too; an entry's own counts more than the task's."""
    result = key(
        prefix="a:", entries=[{"key": "k", "value": 1}, {"key": "k", "value": 1, "prefix": "b:"}, {"key": "k", "value": 1, "prefix": ""}]
    )
    assert ["a:k", "b:k", "k"] == [entry["key"] for entry in result["entries"]]
    assert {b"a:k", b"b:k", b"k"} == set(redis_server.client().keys("*"))


def test_only_if_missing(redis_server: Server, key: Run) -> None:
    """A key that exists stays as it is, whatever it holds; a missing one is created."""
    client = redis_server.client()
    client.rpush("k", "a")
    assert "unchanged" == action(key(key="k", value=1, only_if="missing", ttl_seconds=9))
    assert ([b"a"], -1) == (client.lrange("k", 0, -1), client.ttl("k"))
    assert "created" == action(key(key="new", value=1, only_if="missing"))
    assert "created" == action(key(key="new-hash", type="hash", value={"a": 1}, only_if="missing"))
    assert "unchanged" == action(key(key="new-hash", type="hash", value={"a": 2}, only_if="missing"))


def test_only_if_exists(redis_server: Server, key: Run) -> None:
    """A missing key is not created; one that exists is managed."""
    client = redis_server.client()
    assert "unchanged" == action(key(key="k", value=1, only_if="exists"))
    assert 0 == client.dbsize()
    client.set("k", 0)
    assert "updated" == action(key(key="k", value=1, only_if="exists"))
    assert "unchanged" == action(key(key="k", value=1, only_if="exists"))


def test_ttl_within_tolerance_is_kept(redis_server: Server, key: Run) -> None:
    """The second run is unchanged while the TTL runs down within the tolerance; below it is renewed, above it is cut."""
    client = redis_server.client()
    desired = {"key": "k", "value": 1, "ttl_seconds": 1000, "ttl_tolerance_seconds": 100}
    assert "created" == action(key(**desired))
    assert "unchanged" == action(key(**desired))
    client.pexpire("k", 950_000)
    assert "unchanged" == action(key(**desired))
    assert client.pttl("k") <= 950_000
    for remaining in (890_000, 5_000_000):
        client.pexpire("k", remaining)
        assert "ttl" == action(key(**desired))
        assert 900_000 < client.pttl("k") <= 1_000_000
    client.persist("k")
    assert "ttl" == action(key(**desired))


def test_ttl_is_kept_unless_asked_for(redis_server: Server, key: Run) -> None:
    """A new value does not end the TTL, for every kind of write; with ttl_seconds the TTL starts anew."""
    client = redis_server.client()
    client.set("text", 1, ex=500)
    client.rpush("list", "a")
    client.expire("list", 500)
    assert "updated" == action(key(key="text", value=2))
    assert "updated" == action(key(key="list", type="list", value=["b"]))
    for name in ("text", "list"):
        assert 400 < client.ttl(name) <= 500
    assert "updated" == action(key(key="list", type="list", value=["c"], ttl_seconds=1000))
    assert 900 < client.ttl("list") <= 1000


def test_persist(redis_server: Server, key: Run) -> None:
    """The TTL is removed once, alone or together with a new value."""
    client = redis_server.client()
    client.set("k", 1, ex=500)
    assert "ttl" == action(key(key="k", value=1, persist=True))
    assert "unchanged" == action(key(key="k", value=1, persist=True))
    client.hset("h", "a", 1)
    client.expire("h", 500)
    assert "updated" == action(key(key="h", type="hash", value={"a": 2}, persist=True))
    assert (-1, -1) == (client.ttl("k"), client.ttl("h"))


def test_ttl_alone(redis_server: Server, key: Run) -> None:
    """Without a value only the TTL of an existing key of any type is managed; a missing key is a failure."""
    client = redis_server.client()
    client.rpush("k", "a")
    assert "ttl" == action(key(key="k", ttl_seconds=500))
    assert "unchanged" == action(key(key="k", ttl_seconds=500))
    assert "ttl" == action(key(key="k", persist=True))
    assert [b"a"] == client.lrange("k", 0, -1)
    assert "key 'gone' does not exist" in key(key="gone", ttl_seconds=500)["msg"]


def test_missing_redis_py_is_named(tmp_path: Path, redis_server: Server) -> None:
    """On a host without redis-py, or with one that is too old, the error names what is missing."""
    (tmp_path / "redis.py").write_text("raise ImportError('not here')\n")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).resolve().parents[3] / ".collections")])
    result = run_module("redis_key", {"login_port": redis_server.port, "key": "k", "value": 1}, environ={"PYTHONPATH": path})
    assert result.failed
    assert "(redis >= 4.3)" in result["msg"]
