# SPDX-License-Identifier: MIT
"""Plans: what is done with one key, for every pair of desired and found state."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.errors import RefusedError, WrongTypeError
from keyfleet.core.keys.plan import WRITE_SCRIPT, Found, KeyEntry, make_plan, parse_entries


def entry(**raw: Any) -> KeyEntry:
    """Return one parsed entry, key ``k``."""
    return parse_entries([{"key": "k", **raw}], {})[0]


TEXT = Found("string", -1, b"1")
TEXT_60 = Found("string", 60_000, b"1")
HASH = Found("hash", 60_000, {b"a": b"1"})
LIST = Found("list", -1)


@pytest.mark.parametrize(
    ("raw", "found", "action", "command"),
    [
        ({"value": 1}, Found(), "created", ("SET", b"k", b"1")),
        ({"value": 1}, TEXT, "unchanged", ()),
        ({"value": 2}, TEXT, "updated", ("SET", b"k", b"2", "KEEPTTL")),
        ({"value": 2}, TEXT_60, "updated", ("SET", b"k", b"2", "KEEPTTL")),
        ({"value": 2, "persist": True}, TEXT_60, "updated", ("SET", b"k", b"2")),
        ({"value": 2, "ttl_seconds": 9}, TEXT_60, "updated", ("SET", b"k", b"2", "PX", 9000)),
        ({"value": 1, "ttl_seconds": 9}, Found(), "created", ("SET", b"k", b"1", "PX", 9000)),
        ({"value": 1, "ttl_seconds": 9}, TEXT, "ttl", ("PEXPIRE", b"k", 9000)),
        ({"value": 1, "persist": True}, TEXT_60, "ttl", ("PERSIST", b"k")),
        ({"value": 1, "persist": True}, TEXT, "unchanged", ()),
        ({"value": 1, "persist": False}, TEXT_60, "unchanged", ()),
        ({"value": 1, "only_if": "missing"}, Found(), "created", ("SET", b"k", b"1", "NX")),
        ({"value": 1, "only_if": "missing"}, LIST, "unchanged", ()),
        ({"value": 1, "only_if": "exists"}, Found(), "unchanged", ()),
        ({"value": 2, "only_if": "exists"}, TEXT, "updated", ("SET", b"k", b"2", "KEEPTTL", "XX")),
        ({"value": 1, "replace_type": True}, LIST, "updated", ("SET", b"k", b"1")),
        ({"value": [1], "type": "json"}, Found("string", -1, b"[ 1 ]"), "unchanged", ()),
        ({"ttl_seconds": 9}, LIST, "ttl", ("PEXPIRE", b"k", 9000)),
        ({"persist": True}, LIST, "unchanged", ()),
        ({"ttl_seconds": 9, "only_if": "exists"}, Found(), "unchanged", ()),
        ({"state": "absent"}, Found(), "unchanged", ()),
        ({"state": "absent", "value": 1, "type": "hash", "ttl_seconds": 1}, LIST, "deleted", ("UNLINK", b"k")),
        ({"state": "absent"}, Found("ReJSON-RL", -1), "deleted", ("UNLINK", b"k")),
    ],
)
def test_one_command_makes_up_the_difference(raw: dict[str, Any], found: Found, action: str, command: tuple[Any, ...]) -> None:
    """Texts, TTLs and deletions take one plain command, none if nothing differs."""
    plan = make_plan(entry(**raw), found)
    assert (action, command) == (plan.action, plan.command)


@pytest.mark.parametrize(
    ("raw", "found", "action", "type_found", "words"),
    [
        ({"value": {"a": 1}}, Found(), "created", "none", [3, "HSET", b"a", b"1"]),
        ({"value": {"a": 1}, "ttl_seconds": 9}, Found(), "created", "none", [3, "HSET", b"a", b"1", 2, "PEXPIRE", 9000]),
        ({"value": {"b": 1}}, HASH, "updated", "hash", [3, "HSET", b"b", b"1", 2, "HDEL", b"a"]),
        ({"value": {"b": 1}, "persist": True}, HASH, "updated", "hash", [3, "HSET", b"b", b"1", 2, "HDEL", b"a", 1, "PERSIST"]),
        ({"value": {"b": 1}, "replace_type": True}, LIST, "updated", "list", [1, "DEL", 3, "HSET", b"b", b"1"]),
    ],
)
def test_collections_are_written_by_a_script(raw: dict[str, Any], found: Found, action: str, type_found: str, words: list[Any]) -> None:
    """The script gets the type the key was read with, and every command with the number of its words."""
    plan = make_plan(entry(type="hash", **raw), found)
    assert (action, ("EVAL", WRITE_SCRIPT, 1, b"k", type_found, *words)) == (plan.action, plan.command)


@pytest.mark.parametrize(
    ("remaining_ms", "options", "action"),
    [
        (100_000, {}, "unchanged"),
        (50_000, {}, "unchanged"),
        (49_999, {}, "ttl"),
        (100_001, {}, "ttl"),
        (-1, {}, "ttl"),
        (89_999, {"ttl_tolerance_seconds": 10}, "ttl"),
        (90_000, {"ttl_tolerance_seconds": 10}, "unchanged"),
        (99_999, {"ttl_tolerance_seconds": 0}, "ttl"),
        (1, {"ttl_tolerance_seconds": 500}, "unchanged"),
        (-1, {"ttl_tolerance_seconds": 500}, "ttl"),
    ],
)
def test_ttl_may_run_down_within_the_tolerance(remaining_ms: int, options: dict[str, int], action: str) -> None:
    """Half of the TTL by default; a key without a TTL and a longer TTL are always corrected."""
    plan = make_plan(entry(value=1, ttl_seconds=100, **options), Found("string", remaining_ms, b"1"))
    assert (action, 100_000 if action == "ttl" else remaining_ms) == (plan.action, plan.after.ttl_ms)


def test_a_kept_ttl_is_in_the_prediction() -> None:
    """After a write the TTL is the old one unless the entry says otherwise; a replaced key takes its TTL with it."""
    assert 60_000 == make_plan(entry(value=2), TEXT_60).after.ttl_ms
    assert -1 == make_plan(entry(value=2, persist=True), TEXT_60).after.ttl_ms
    assert -1 == make_plan(entry(value=2, replace_type=True), HASH).after.ttl_ms


def test_another_type_is_an_error_that_names_both() -> None:
    """A key of another type is kept unless it may be replaced."""
    with pytest.raises(WrongTypeError, match="key 'k' holds a list, not a string"):
        make_plan(entry(value=[1], type="json"), LIST)


def test_a_ttl_alone_creates_no_key() -> None:
    """Without a value there is nothing to create."""
    with pytest.raises(RefusedError, match="key 'k' does not exist"):
        make_plan(entry(ttl_seconds=9), Found())


def test_entries_take_from_the_task_what_they_do_not_give() -> None:
    """Of ttl_seconds and persist, an entry that gives one takes neither."""
    defaults = {"type": "list", "state": "present", "ttl_seconds": 9, "ttl_tolerance_seconds": 1, "prefix": "p:", "only_if": None}
    raw = [
        {"key": "a", "value": [1]},
        {"key": "b", "value": 1, "type": "string", "persist": True, "prefix": ""},
        {"key": "c", "state": "absent"},
    ]
    first, second, third = parse_entries(raw, defaults, "ignored:")
    assert (b"p:a", "list", 9000, 1000, False) == (first.key, first.kind.name, first.ttl_ms, first.tolerance_ms, first.persist)
    assert (b"b", "string", None, True) == (second.key, second.kind.name, second.ttl_ms, second.persist)
    assert (b"p:c", False) == (third.key, third.present)


def test_the_prefix_of_the_connection_counts_if_none_is_given() -> None:
    """A prefix from the environment is the default."""
    assert [b"env:a"] == [parsed.key for parsed in parse_entries([{"key": "a", "value": 1}], {"prefix": None}, "env:")]


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"key": ""}, "the key is empty"),
        ({"value": None}, "needs a value, ttl_seconds or persist"),
        ({"value": 1, "ttl_seconds": 0}, "ttl_seconds is 0; allowed are 1 to"),
        ({"value": 1, "ttl_seconds": 10**12}, "ttl_seconds is 1000000000000; allowed are 1 to"),
        ({"value": 1, "ttl_seconds": 1, "ttl_tolerance_seconds": -1}, "ttl_tolerance_seconds is -1"),
        ({"value": 1, "ttl_seconds": 1, "persist": True}, "exclude each other"),
        ({"state": "absent", "only_if": "missing"}, "only_if missing makes no sense"),
        ({"value": [1]}, "use type json"),
    ],
)
def test_bad_entries_are_refused_by_name(raw: dict[str, Any], says: str) -> None:
    """The error says which entry, which key and why."""
    with pytest.raises(RefusedError, match=rf"entry 1 \(key '{raw.get('key', 'k')}'\): .*{says}"):
        parse_entries([{"key": "other", "value": 1}, {"key": "k", **raw}], {})


def test_all_bad_entries_are_refused_at_once() -> None:
    """The first ten are named, the rest counted; a key named twice is one of them."""
    raw = [{"key": "a", "value": 1}, {"key": "a", "value": 2}, *({"key": f"k{number}"} for number in range(12))]
    with pytest.raises(RefusedError, match=r"entry 1 \(key 'a'\): entry 0 names the same key; .*entry 10 .*; and 3 more$"):
        parse_entries(raw, {})
