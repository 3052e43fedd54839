# SPDX-License-Identifier: MIT
"""Values: from plain data to what the server stores, compared, and the commands that make up the difference."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.errors import RefusedError
from keyfleet.core.keys.types import TYPES, WORDS_PER_COMMAND, Stream, StreamEntry, printable


@pytest.mark.parametrize(
    ("kind", "raw", "stored"),
    [
        ("string", 1, b"1"),
        ("string", 1.5, b"1.5"),
        ("string", True, b"true"),
        ("string", False, b"false"),
        ("string", "", b""),
        ("string", "é", "é".encode()),
        ("string", "\udcff", b"\xff"),
        ("json", {"b": [1, None, True], "a": "é"}, '{"b":[1,null,true],"a":"é"}'.encode()),
        ("json", ' {"a": 1} ', b'{"a":1}'),
        ("json", '"text"', b'"text"'),
        ("json", [], b"[]"),
        ("hash", {"a": 1, "b": True}, {b"a": b"1", b"b": b"true"}),
        ("list", [1, "1", 1.0], [b"1", b"1", b"1.0"]),
        ("set", ["b", "a", "b"], frozenset({b"a", b"b"})),
        ("zset", {"a": 1, "b": "2.5", "c": "-inf"}, {b"a": 1.0, b"b": 2.5, b"c": float("-inf")}),
        ("stream", [{"fields": {"a": 1}}], Stream([StreamEntry(b"", {b"a": b"1"})])),
        ("stream", [{"id": "5-1", "fields": {"a": 1}}], Stream([StreamEntry(b"5-1", {b"a": b"1"})])),
    ],
)
def test_plain_data_becomes_what_the_server_stores(kind: str, raw: Any, stored: Any) -> None:
    """Numbers and booleans take the text form that Redis keeps."""
    assert stored == TYPES[kind].encode(raw)


SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("kind", "raw", "says"),
    [
        ("string", {"a": SECRET}, "a mapping has no text form; use type json"),
        ("string", [SECRET], "a list has no text form; use type json"),
        ("json", f"{{{SECRET}", "must be JSON"),
        ("json", float("nan"), "no JSON form"),
        ("hash", [SECRET], "must be a mapping of field to value, not a list"),
        ("hash", {"a": None}, "a null has no text form"),
        ("hash", {}, "use state absent"),
        ("list", SECRET, "must be a list of items, not a text"),
        ("list", [], "use state absent"),
        ("list", [[SECRET]], "a list has no text form"),
        ("set", {"a": SECRET}, "must be a list of members, not a mapping"),
        ("zset", {"a": SECRET}, "every score must be a number"),
        ("zset", {"a": True}, "every score must be a number"),
        ("zset", {"a": "nan"}, "every score must be a number"),
        ("zset", ["a"], "must be a mapping of member to score, not a list"),
        ("stream", {"fields": SECRET}, "must be a list of entries"),
        ("stream", [], "use state absent"),
        ("stream", [{"a": SECRET}], "must be a mapping with fields"),
        ("stream", [{"fields": {}}], "at least one field"),
        ("stream", [{"id": "1", "fields": {"a": SECRET}}], "must have the form 1700000000000-0"),
        ("stream", [{"id": "1-1", "fields": {"a": 1}}, {"fields": {"a": 1}}], "every entry of a stream has an id or none has"),
        ("stream", [{"id": "2-1", "fields": {"a": 1}}, {"id": "1-9", "fields": {"a": 1}}], "must rise"),
        ("stream", [{"id": "1-1", "fields": {"a": 1}}, {"id": "1-1", "fields": {"a": 1}}], "must rise"),
        ("stream", [{"id": "0-0", "fields": {"a": 1}}], "must rise, from 0-1"),
    ],
)
def test_what_does_not_fit_is_refused_without_quoting_it(kind: str, raw: Any, says: str) -> None:
    """The error says what is allowed and never the value, which may be a secret."""
    with pytest.raises(ValueError, match=says) as caught:
        TYPES[kind].encode(raw)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("found", "differs"),
    [
        (b'{ "b" : 2, "a" : 1 }', False),
        (b'{"a":1,"b":2.0}', True),
        (b'{"a":true,"b":2}', True),
        (b"not json", True),
        (b"\xff\xfe", True),
    ],
)
def test_json_is_compared_by_meaning(found: bytes, differs: bool) -> None:
    """Spaces and the order of names do not matter; 1, 1.0 and true are three things; what is no JSON differs."""
    kind = TYPES["json"]
    assert differs == kind.differs(kind.encode({"a": 1, "b": 2}), found)


@pytest.mark.parametrize(
    ("kind", "wanted", "found", "commands"),
    [
        ("hash", {"a": 1, "b": 2}, None, [("HSET", b"a", b"1", b"b", b"2")]),
        ("hash", {"a": 1, "b": 2}, {b"a": b"1", b"c": b"3"}, [("HSET", b"b", b"2"), ("HDEL", b"c")]),
        ("hash", {"a": 1}, {b"a": b"1"}, []),
        ("list", ["a", "b"], None, [("RPUSH", b"a", b"b")]),
        ("list", ["a", "b"], [b"b", b"a"], [("RPUSH", b"a", b"b"), ("LTRIM", -2, -1)]),
        ("list", ["a", "b"], [b"a", b"b"], []),
        ("set", ["a", "b"], None, [("SADD", b"a", b"b")]),
        ("set", ["a", "b"], frozenset({b"b", b"c"}), [("SADD", b"a"), ("SREM", b"c")]),
        ("set", ["a", "b"], frozenset({b"b", b"a"}), []),
        ("zset", {"a": 1, "b": "inf"}, None, [("ZADD", "1.0", b"a", "inf", b"b")]),
        ("zset", {"a": 1, "b": 2}, {b"a": 1.0, b"b": 3.0, b"c": 1.0}, [("ZADD", "2.0", b"b"), ("ZREM", b"c")]),
        ("zset", {"a": 0.1}, {b"a": 0.1}, []),
    ],
)
def test_commands_make_up_the_difference(kind: str, wanted: Any, found: Any, commands: list[Any]) -> None:
    """Only what differs is sent; nothing if nothing differs."""
    value_type = TYPES[kind]
    value = value_type.encode(wanted)
    assert commands == value_type.changes(value, found)
    if found is not None:
        assert bool(commands) == value_type.differs(value, found)


def test_long_values_are_cut_into_commands() -> None:
    """No command has more than a thousand words, pairs stay together."""
    commands = TYPES["hash"].changes({str(number).encode(): b"x" for number in range(1200)}, None)
    assert [1001, 1001, 401] == [len(command) for command in commands]
    assert WORDS_PER_COMMAND % 2 == 0


def stream(*entries: dict[str, Any]) -> Stream:
    """Return the comparable form of the entries."""
    value: Stream = TYPES["stream"].encode(list(entries))
    return value


FOUND = Stream([StreamEntry(b"1-1", {b"a": b"1"}), StreamEntry(b"2-1", {b"a": b"2"})], b"3-0")


@pytest.mark.parametrize(
    ("wanted", "commands"),
    [
        (stream({"fields": {"a": 2}}, {"fields": {"a": 1}}), []),
        (stream({"fields": {"a": 1}}, {"fields": {"a": 1}}), [("XADD", b"*", b"a", b"1")]),
        (stream({"fields": {"a": 3}}, {"fields": {"a": 2}}), [("XADD", b"*", b"a", b"3")]),
        (stream({"id": "1-1", "fields": {"a": 1}}), []),
        (stream({"id": "1-1", "fields": {"a": 1}}, {"id": "3-1", "fields": {"b": 1}}), [("XADD", b"3-1", b"b", b"1")]),
    ],
)
def test_streams_get_the_entries_they_lack(wanted: Stream, commands: list[Any]) -> None:
    """Without ids the same fields must be there as often as desired, with ids under their id."""
    kind = TYPES["stream"]
    assert commands == kind.changes(wanted, FOUND)
    assert bool(commands) == kind.differs(wanted, FOUND)
    assert len(FOUND.entries) + len(commands) == len(kind.after(wanted, FOUND).entries)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (stream({"id": "1-1", "fields": {"a": 9}}), "stream entry 1-1 exists with other fields"),
        (stream({"id": "1-2", "fields": {"a": 9}}), "1-2 cannot be added: the stream has reached 3-0"),
        (stream({"id": "3-0", "fields": {"a": 9}}), "3-0 cannot be added: the stream has reached 3-0"),
    ],
)
def test_streams_refuse_what_cannot_be(wanted: Stream, says: str) -> None:
    """Entries cannot be changed, and none can be added below the highest id."""
    with pytest.raises(RefusedError, match=says):
        TYPES["stream"].changes(wanted, FOUND)


@pytest.mark.parametrize(("stored", "shown"), [(b"a", "a"), ("é".encode(), "é"), (b"\xff\x00", "b'\\xff\\x00'")])
def test_bytes_are_shown_as_text_or_escaped(stored: bytes, shown: str) -> None:
    """What is not UTF-8 is shown with escapes, never a crash."""
    assert shown == printable(stored)


@pytest.mark.parametrize(
    ("kind", "raw", "shown"),
    [
        ("string", "a", "a"),
        ("json", {"a": 1}, '{"a":1}'),
        ("hash", {"a": 1}, {"a": "1"}),
        ("list", ["b", "a"], ["b", "a"]),
        ("set", ["b", "a"], ["a", "b"]),
        ("zset", {"b": 1, "a": "inf"}, {"b": "1.0", "a": "inf"}),
        ("stream", [{"fields": {"a": 1}}], [{"id": "*", "fields": {"a": "1"}}]),
    ],
)
def test_values_are_shown_as_plain_data(kind: str, raw: Any, shown: Any) -> None:
    """A diff gets plain data in a fixed order."""
    assert shown == TYPES[kind].show(TYPES[kind].encode(raw))
