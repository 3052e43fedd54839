# SPDX-License-Identifier: MIT
"""Sets and sorted sets, and the calls that change a TTL or take a value, alone and in pipelines, for both clients everywhere."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from keyfleet import Client, DecodeError, WrongTypeError

ON_MANAGED_SERVICES = True

BAD = b"\xff"


def test_sets(either: Client) -> None:
    """Members once each, in no order."""
    assert [3, 0, 1] == [either.sadd("s", "a", "b", 3), either.sadd("s", "a"), either.srem("s", "b", "none")]
    assert {"a", "3"} == either.smembers("s")
    assert [True, False, True] == [either.sismember("s", "a"), either.sismember("s", "b"), either.sismember("s", 3)]
    assert [[True, False], [], 2] == [either.smismember("s", "a", "b"), either.smismember("s"), either.scard("s")]
    assert {"a", "3"} == set(either.srandmember("s", 5))
    assert 7 == len(either.srandmember("s", -7))
    assert {"a", "3"} == {either.spop("s"), either.spop("s")}
    assert [None, set(), [], 0, 0, 0] == [
        *(either.spop("s"), either.smembers("s"), either.srandmember("s"), either.scard("s"), either.sadd("s"), either.srem("s"))
    ]


def test_sorted_sets(either: Client) -> None:
    """In the order of scores, by position or by score, from either end."""
    assert [3, 0, 1] == [
        either.zadd("z", {"a": 1, "b": 2.5, "c": math.inf}),
        either.zadd("z", {"a": 1}),
        either.zadd("z", {"a": 0}, changed=True),
    ]
    assert ["a", "b", "c"] == either.zrange("z")
    assert [("c", math.inf), ("b", 2.5)] == either.zrange("z", 0, 1, reverse=True, withscores=True)
    assert ["a", "b"] == either.zrangebyscore("z", -math.inf, 2.5)
    assert [("b", 2.5)] == either.zrangebyscore("z", "(0", "(10", withscores=True)
    assert [["b"], ["c", "b"]] == [either.zrangebyscore("z", offset=1, count=1), either.zrangebyscore("z", 1, reverse=True)]
    assert [2.5, None, 1, None] == [either.zscore("z", "b"), either.zscore("z", "none"), either.zrank("z", "b"), either.zrank("z", "none")]
    assert [3, 2, 4.0, -1.0] == [
        either.zcard("z"),
        either.zcount("z", 0, 2.5),
        either.zincrby("z", "b", 1.5),
        either.zincrby("z", "new", -1),
    ]
    assert [1, 1, ("a", 0.0), ("c", math.inf), None] == [
        *(either.zrem("z", "new", "none"), either.zremrangebyscore("z", 1, "(5")),
        *(either.zpopmin("z"), either.zpopmax("z"), either.zpopmin("z")),
    ]
    assert [[], 0, 0] == [either.zrange("z"), either.zadd("z", {}), either.zrem("z")]


def test_scores_change_only_on_their_condition(either: Client) -> None:
    """New ones only, existing ones only, to a higher one only, to a lower one only."""
    either.zadd("z", {"a": 5})
    assert [1, 0, 0] == [
        either.zadd("z", {"a": 1, "b": 1}, nx=True),
        either.zadd("z", {"c": 1}, xx=True),
        either.zadd("z", {"a": 4}, gt=True),
    ]
    assert [1, 1] == [either.zadd("z", {"a": 6}, gt=True, changed=True), either.zadd("z", {"a": 2}, lt=True, changed=True)]
    assert [("b", 1.0), ("a", 2.0)] == either.zrange("z", withscores=True)
    for options in ({"nx": True, "xx": True}, {"nx": True, "gt": True}, {"gt": True, "lt": True}):
        with pytest.raises(ValueError, match="exclude each other"):
            either.zadd("z", {"a": 1}, **options)
    for scores in ({"a": math.nan}, {"a": "1"}, {"a": True}):
        with pytest.raises((TypeError, ValueError), match="score is"):
            either.zadd("z", scores)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="scores is of type list; give a mapping of members to scores"):
        either.zadd("z", ["a"])  # type: ignore[arg-type]
    for bound in ("a", "[5", "(", math.nan):
        with pytest.raises(ValueError, match="lowest is"):
            either.zrangebyscore("z", bound)


def test_a_value_is_taken_or_gets_a_ttl(either: Client) -> None:
    """In one step."""
    either.set_many({"a": "1", "b": "2"})
    assert ["1", None, b"2"] == [either.getdel("a"), either.getdel("a"), either.getdel("b", as_bytes=True)]
    either.set("k", "v")
    assert "v" == either.getex("k", ttl_seconds=timedelta(minutes=2))
    assert 119 < (either.ttl("k") or 0) <= 120
    assert [b"v", math.inf, None] == [either.getex("k", persist=True, as_bytes=True), either.ttl("k"), either.getex("none", ttl_seconds=1)]
    for options in ({}, {"ttl_seconds": 1, "persist": True}):
        with pytest.raises(ValueError, match="getex takes either ttl_seconds or persist=True"):
            either.getex("k", **options)


def test_fields_by_name(either: Client) -> None:
    """Several in one call, None where there is none."""
    either.hset("h", {"a": "1", "b": BAD})
    assert {"a": b"1", "b": BAD, "c": None} == either.hmget("h", ["a", "b", "c"], as_bytes=True)
    assert {"a": "1", "b": None} == either.hmget("h", iter("ab"), undecodable="miss")
    assert [{}, True, False] == [either.hmget("h", []), either.hexists("h", "a"), either.hexists("h", "c")]
    with pytest.raises(DecodeError, match="key 'h'"):
        either.hmget("h", ["b"])
    with pytest.raises(TypeError, match="fields is a single str"):
        either.hmget("h", "ab")


def test_a_ttl_changes_only_on_its_condition(either: Client) -> None:
    """Where there is none, where there is one, to a later time, to an earlier one; and to a point in time."""
    either.set("k", "v")
    assert [False, True, False] == [either.expire("k", 50, xx=True), either.expire("k", 50, nx=True), either.expire("k", 60, nx=True)]
    assert [False, True, False, True] == [
        *(
            either.expire("k", 40, gt=True),
            either.expire("k", 70, gt=True),
            either.expire("k", 80, lt=True),
            either.expire("k", 30, lt=True),
        )
    ]
    now = datetime.now(timezone.utc)
    assert either.expireat("k", now + timedelta(seconds=100))
    assert 95 < (either.ttl("k") or 0) <= 101
    assert [False, True, True] == [
        *(either.expireat("k", now.timestamp() + 50, gt=True), either.expireat("k", now.timestamp() - 50), either.exists("k") == 0)
    ]
    with pytest.raises(ValueError, match="when has no time zone"):
        either.expireat("k", datetime.now())
    with pytest.raises(ValueError, match="when is"):
        either.expireat("k", 1e300)


def test_other_types_are_named(either: Client) -> None:
    """What the key holds, and what the call needs."""
    either.set("k", "v")
    for call, wanted in ((either.smembers, "set"), (either.zcard, "zset")):
        with pytest.raises(WrongTypeError, match=f"{wanted}"):
            call("k")


@pytest.mark.parametrize("is_transaction", [False, True])
def test_in_pipelines(either: Client, is_transaction: bool) -> None:
    """With the same arguments and results, in order."""
    with either.pipeline(transaction=is_transaction) as pipe:
        pipe.sadd("{g}s", "a", "b").smembers("{g}s").scard("{g}s").sismember("{g}s", "a").smismember("{g}s", "a", "z").srem("{g}s", "a")
        pipe.srandmember("{g}s").spop("{g}s")
        pipe.zadd("{g}z", {"a": 1, "b": 2}).zrange("{g}z", withscores=True).zrangebyscore("{g}z", 2).zscore("{g}z", "a").zcard("{g}z")
        pipe.zincrby("{g}z", "a", 5).zrank("{g}z", "a").zcount("{g}z", 5, 9).zrem("{g}z", "b").zpopmax("{g}z").zremrangebyscore(
            "{g}z", 0, 9
        )
        pipe.set("{g}k", "v").getex("{g}k", ttl_seconds=9).expire("{g}k", 5, gt=True).expireat("{g}k", 1e10).getdel("{g}k")
        pipe.hset("{g}h", "f", 1).hmget("{g}h", ["f", "g"]).hexists("{g}h", "f").get_bytes("{g}k").sadd("{g}s")
        expected: list[Any] = [
            *(2, {"a", "b"}, 2, True, [True, False], 1, ["b"], "b"),
            *(2, [("a", 1.0), ("b", 2.0)], ["b"], 1.0, 2, 6.0, 1, 1, 1, ("a", 6.0), 0),
            *(True, "v", False, True, "v", 1, {"f": "1", "g": None}, True, None, 0),
        ]
        assert expected == pipe.execute()
