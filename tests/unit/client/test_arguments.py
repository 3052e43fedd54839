# SPDX-License-Identifier: MIT
"""What callers may give is checked once, before either packer: both send the same, and errors name the key and the type."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyfleet import Client, Key
from keyfleet._protocol import arguments as _arguments
from keyfleet._protocol import resp as _resp
from keyfleet._protocol.arguments import MAX_BYTES, plain
from keyfleet._protocol.builder import Commands
from keyfleet._protocol.command import Operation
from keyfleet._protocol.pubsub import publish
from keyfleet._protocol.scripts import Script


class Word(str, enum.Enum):
    ONE = "one"


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    def __str__(self) -> str:
        return "something else"


class Fraction(float):
    def __repr__(self) -> str:
        return "something else"


class Raw(bytes):
    pass


MAKE = Commands("p:")
NO_VALUES: list[Any] = [None, True, {"a": 1}, ["a"], bytearray(b"a"), memoryview(b"a"), 1j, object(), timedelta(1)]
TAKING: dict[str, Callable[[Any], Operation[Any]]] = {
    "set": lambda value: MAKE.set("k", value),
    "set_many": lambda value: MAKE.set_many({"k": value}),
    "set_many with a TTL": lambda value: MAKE.set_many({"k": value}, ttl_seconds=1),
    "hset": lambda value: MAKE.hset("k", {"f": value}),
    "hset of one": lambda value: MAKE.hset("k", "f", value),
    "lpush": lambda value: MAKE.lpush("k", "a", value),
    "rpush": lambda value: MAKE.rpush("k", value),
    "lrem": lambda value: MAKE.lrem("k", value),
    "publish": lambda value: publish("k", value, False),
}
SEND_PLAIN = [(Word.ONE, "one"), (Number.ONE, 1), (Text("a"), "a"), (Fraction(1.5), 1.5), (Raw(b"x"), b"x"), (Key("k"), "k")]
WITH_TTL: dict[str, Callable[[Any], Operation[Any]]] = {
    "set": lambda ttl: MAKE.set("k", "v", ttl_seconds=ttl),
    "set_json": lambda ttl: MAKE.set_json("k", 1, ttl_seconds=ttl),
    "set_many": lambda ttl: MAKE.set_many({"k": "v"}, ttl_seconds=ttl),
    "expire": lambda ttl: MAKE.expire("k", ttl),
    "incr": lambda ttl: MAKE.incr("k", ttl_seconds=ttl),
    "hexpire": lambda ttl: MAKE.hexpire("k", ttl, "f"),
}


@pytest.mark.parametrize("value", NO_VALUES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", TAKING)
def test_what_is_no_value_is_refused(name: str, value: Any) -> None:
    """The error names the key and the type; nothing has been built."""
    with pytest.raises(TypeError, match=f"'k' is of type {type(value).__name__}; allowed: str, bytes, int, float"):
        TAKING[name](value)


@pytest.mark.parametrize("value", NO_VALUES, ids=lambda value: type(value).__name__)
def test_commands_and_scripts_refuse_the_same(value: Any) -> None:
    """They have no key to name."""
    with pytest.raises(TypeError, match=f"command 'SET' is of type {type(value).__name__}"):
        MAKE.execute("SET", Key("k"), value)
    with pytest.raises(TypeError, match=f"is of type {type(value).__name__}"):
        MAKE.script(Script("return 1"), ["k"], [value], False)


@pytest.mark.parametrize("field", [None, True, 1j])
def test_a_field_is_checked_like_a_value(field: Any) -> None:
    """It is sent in the same way."""
    for build in (MAKE.hget, MAKE.hdel, MAKE.hincrby, MAKE.httl, lambda key, field: MAKE.hset(key, {field: 1})):
        with pytest.raises(TypeError, match=f"'k' is of type {type(field).__name__}"):
            build("k", field)


@pytest.mark.parametrize(("given", "sent"), SEND_PLAIN)
def test_subclasses_are_sent_as_what_they_are(given: Any, sent: Any) -> None:
    """Not as what they print."""
    found = plain("k", given)
    assert type(found) in (str, bytes, int, float)
    assert _resp._pack((sent,)) == _resp._pack((found,)) == hiredis.pack_command((found,))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.text() | st.binary() | st.integers() | st.floats(), min_size=1))
def test_both_packers_send_the_same(values: list[Any]) -> None:
    """Whatever passes the check."""
    arguments = tuple(plain("k", value) for value in values)
    assert hiredis.pack_command(arguments) == _resp._pack(arguments)


@pytest.mark.parametrize("value", ["\ud800", "a\udc80", Text("\ud800")])
def test_half_of_a_pair_is_refused(value: str) -> None:
    """It has no form in UTF-8."""
    with pytest.raises(ValueError, match="surrogate"):
        MAKE.set("k", value)
    with pytest.raises(ValueError, match="surrogate"):
        MAKE.get(value)


@pytest.mark.parametrize("key", [None, 1, b"k", ["k"], True])
def test_a_key_is_a_text(key: Any) -> None:
    """Also where several are given: a list is not one of them."""
    for build in (MAKE.get, MAKE.delete, MAKE.exists, MAKE.hgetall, MAKE.ttl, lambda name: MAKE.blpop(name, timeout_seconds=1)):
        with pytest.raises(TypeError, match=f"a key is of type {type(key).__name__}; keys are texts, each an argument of its own"):
            build(key)
    with pytest.raises(TypeError, match=f"a key is of type {type(key).__name__}"):
        MAKE.get_many([key]).combine([[b"v"]])


def test_a_list_of_keys_is_any_iterable_but_a_text() -> None:
    """Of a text each letter would be a key."""
    for keys in (["a", "b"], ("a", "b"), iter("ab"), {"a": 1, "b": 2}.keys(), dict.fromkeys("ab")):
        assert {"a": "1", "b": None} == MAKE.get_many(keys).combine([[b"1", None]])
    for build in (MAKE.get_many, MAKE.get_many_json):
        with pytest.raises(TypeError, match="keys is a single str; give a list of texts"):
            build("abc")
    with pytest.raises(TypeError, match="keys is a single str"):
        MAKE.script(Script("return 1"), "abc", [], False)
    with pytest.raises(TypeError, match="arguments is a single str"):
        MAKE.script(Script("return 1"), [], "abc", False)


def test_fields_are_a_mapping_or_one_and_its_value() -> None:
    """Everything else is said to be wrong."""
    assert ("HSET", "p:h", "f", 1) == MAKE.hset("h", "f", 1).commands[0].arguments
    assert ("HSET", "p:h", "f", b"null") == MAKE.hset_json("h", "f", None).commands[0].arguments
    with pytest.raises(TypeError, match="fields is of type str; give a mapping, or one field and its value"):
        MAKE.hset("h", "f")
    with pytest.raises(TypeError, match="a value is for a single field"):
        MAKE.hset("h", {"f": 1}, 2)


@pytest.mark.parametrize("number", [1.5, "5", None, True])
def test_counts_are_whole_numbers(number: Any) -> None:
    """The name of the argument is said."""
    for called, build in {
        "amount": lambda: MAKE.incr("k", number),
        "count": lambda: MAKE.lrem("k", "v", number),
        "start": lambda: MAKE.lrange("k", number),
    }.items():
        with pytest.raises(TypeError, match=f"{called} is of type {type(number).__name__}; it must be a whole number"):
            build()
    with pytest.raises(TypeError, match="amount is of type"):
        MAKE.decr("k", number)


@pytest.mark.parametrize("name", WITH_TTL)
def test_a_ttl_is_seconds_or_a_timedelta(name: str) -> None:
    """Both give the same command."""
    build = WITH_TTL[name]
    assert build(90).commands[0].arguments == build(timedelta(minutes=1, seconds=30)).commands[0].arguments
    assert 90000 in build(90).commands[0].arguments
    for ttl in ("5", None, True) if name in ("expire", "hexpire") else ("5", True):
        with pytest.raises(TypeError, match=f"ttl_seconds is of type {type(ttl).__name__}"):
            build(ttl)


@pytest.mark.parametrize("ttl", [0, -1, math.nan, math.inf, 1e300, 2**62, timedelta(0)])
@pytest.mark.parametrize("name", WITH_TTL)
def test_a_ttl_has_a_range(name: str, ttl: Any) -> None:
    """What the server would refuse, after a while, is refused now."""
    with pytest.raises(ValueError, match="ttl_seconds is"):
        WITH_TTL[name](ttl)


@pytest.mark.parametrize("timeout", [-1, math.nan, math.inf, 1e12])
def test_a_wait_has_a_range(timeout: float) -> None:
    """0 is for no limit."""
    with pytest.raises(ValueError, match="timeout_seconds is"):
        MAKE.blpop("k", timeout_seconds=timeout)
    assert 0 == MAKE.blpop("k", timeout_seconds=0).block_seconds
    assert 1.5 == MAKE.blpop("k", timeout_seconds=timedelta(seconds=1.5)).block_seconds


def test_a_budget_has_a_range() -> None:
    """The same as in the settings."""
    client = Client.from_url("redis://127.0.0.1:1")
    for budget in (0, -1, math.nan, math.inf, 86400):
        with pytest.raises(ValueError, match=r"timeout_seconds is .*; allowed are numbers above 0, below 86400"):
            client.within(budget)
    for wrong in ("1", None, True):
        with pytest.raises(TypeError, match=f"timeout_seconds is of type {type(wrong).__name__}"):
            client.within(wrong)
    assert 1.5 == client.within(timedelta(seconds=1.5))._budget


def test_values_have_a_size() -> None:
    """Servers close the connection of whoever sends more than 512 MB; these bytes take no memory, as nothing is written to them."""
    at_most = bytes(MAX_BYTES)
    assert at_most is MAKE.set("k", at_most).arguments[2]
    with pytest.raises(ValueError, match=f"'k' has {MAX_BYTES + 1} bytes; servers take {MAX_BYTES}"):
        MAKE.set("k", bytes(MAX_BYTES + 1))


def test_the_size_of_a_text_is_that_of_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the number of its letters."""
    monkeypatch.setattr(_arguments, "MAX_BYTES", 4)
    assert "éé".encode() == plain("k", "éé")
    for value in ("ééa", "aaaaa", b"aaaaa", Raw(b"aaaaa")):
        with pytest.raises(ValueError, match="has 5 bytes"):
            plain("k", value)


@pytest.mark.parametrize("argument", [None, True, {}, bytearray(b"a")])
def test_the_packer_of_our_own_takes_nothing_else(argument: Any) -> None:
    """What was not checked must not be sent as what it prints."""
    with pytest.raises(TypeError):
        _resp._pack((argument,))
