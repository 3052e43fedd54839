# SPDX-License-Identifier: MIT
"""Names of keys: their form, that no two sets of parts share one, and that a group has one slot."""

from __future__ import annotations

import itertools
import subprocess
import sys
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from keyfleet._protocol.key_names import KeyGroup, Prefix
from redis.crc import key_slot

# What users have, and what could be mixed up: separators, escapes of separators, and escapes of those.
PARTS = [
    "42",
    "ada@example.com",
    "https://example.com/a?b=%20&c=d:e#f",
    "2001:db8::5",
    "0f8fad5b-d9cb-469f-a165-70867728950e",
    "Ünï çødé 🗝",
    " ",
    "\n",
    "*",
    ":",
    "::",
    "%",
    "%3A",
    "%25",
    "%253A",
    "%3a",
    "a:b",
    "a",
    "b",
    "a%3Ab",
]
COMBINATIONS = [parts for count in (1, 2, 3) for parts in itertools.product(PARTS, repeat=count)]


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        (Prefix.SESSION, "session:42"),
        (Prefix.CACHE, "cache:42"),
        (Prefix.RATELIMIT, "ratelimit:42"),
        (Prefix.LOCK, "lock:42"),
        (Prefix.REFRESH_TOKEN, "refresh_token:42"),
    ],
)
def test_a_name_is_prefix_and_parts(prefix: Prefix, name: str) -> None:
    """A number is its text; the prefix is usable as a text."""
    assert name == prefix.key("42") == prefix.key(42) == prefix + "42" == f"{prefix}42" == str(prefix) + "42"


def test_all_prefixes_are_tested() -> None:
    """No prefix begins another, so a pattern of one kind finds no other."""
    assert 5 == len(Prefix)
    assert [] == [(one, other) for one, other in itertools.permutations(Prefix, 2) if other.startswith(one)]


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("user", 7), "cache:user:7"),
        (("ada@example.com",), "cache:ada@example.com"),
        (("https://a/b?c=%20",), "cache:https%3A//a/b?c=%2520"),
        (("::1",), "cache:%3A%3A1"),
        ((-1,), "cache:-1"),
    ],
)
def test_what_users_have_stays_readable(parts: tuple[str | int, ...], name: str) -> None:
    """Only the separator and the escape character are encoded."""
    assert name == Prefix.CACHE.key(*parts)


def test_different_parts_never_make_the_same_name() -> None:
    """With and without a group, over all combinations of up to three awkward parts, each name gives its parts back."""
    groups = [KeyGroup("a"), KeyGroup("a:b"), KeyGroup("a%3Ab"), KeyGroup("ünï")]
    names = {Prefix.CACHE.key(*parts): parts for parts in COMBINATIONS}
    assert COMBINATIONS == [Prefix.CACHE.parts(name) for name in names]
    grouped = {group.key(Prefix.CACHE, *parts): (group, parts) for group in groups for parts in [(), *COMBINATIONS]}
    assert list(grouped.values()) == [(group, group.parts(Prefix.CACHE, name)) for name, (group, _unused) in grouped.items()]
    assert len(COMBINATIONS) == len(names)
    assert len(groups) * (len(COMBINATIONS) + 1) == len(grouped)
    assert set() == names.keys() & grouped.keys()


def test_a_group_has_one_slot_whatever_the_key() -> None:
    """The tag decides alone, also behind a key prefix of the client, and other tags are elsewhere."""
    for tag in ("42", "user:42", "ada@example.com", "ünï", "%", " "):
        group = KeyGroup(tag)
        names = [group.key(prefix, *parts) for prefix in Prefix for parts in [(), *COMBINATIONS[:420]]]
        assert {key_slot(tag.encode())} == {key_slot((before + name).encode()) for name in names for before in ("", "app:")}
    assert 90 < len({key_slot(KeyGroup(f"user:{number}").key(Prefix.SESSION).encode()) for number in range(100)})


def test_a_group_has_this_form() -> None:
    """The tag stands as it is; without parts the group has one key of the kind."""
    together = KeyGroup("user:42")
    assert ["session:{user:42}:a", "lock:{user:42}:a%3Ab:7", "session:{user:42}"] == [
        together.key(Prefix.SESSION, "a"),
        together.key(Prefix.LOCK, "a:b", 7),
        together.key(Prefix.SESSION),
    ]
    assert together == KeyGroup("user:42")
    assert 1 == len({together, KeyGroup("user:42")})


SECRET = "hunter2"
BAD: list[tuple[Any, type[Exception], str]] = [
    ("", ValueError, "part 2 is empty; it must have at least one character"),
    (f"{SECRET}{{", ValueError, "part 2 has a brace; braces choose the slot of a key on a cluster: use KeyGroup for that, or encode them"),
    (f"{SECRET}}}", ValueError, "part 2 has a brace"),
    (None, TypeError, "part 2 is of type NoneType; it must be a text or a whole number"),
    (True, TypeError, "part 2 is of type bool"),
    (1.5, TypeError, "part 2 is of type float"),
    (SECRET.encode(), TypeError, "part 2 is of type bytes"),
]


@pytest.mark.parametrize(("bad", "kind", "message"), BAD)
def test_a_bad_part_is_refused_by_its_number(bad: Any, kind: type[Exception], message: str) -> None:
    """Session ids and tokens are secrets, so that the part itself is not quoted."""
    for make in (Prefix.SESSION.key, lambda *parts: KeyGroup("g").key(Prefix.SESSION, *parts)):
        with pytest.raises(kind, match=f"^{message}") as caught:
            make("a", bad)
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("tag", "kind", "message"),
    [
        ("", ValueError, "tag is empty"),
        ("{a}", ValueError, "tag has a brace"),
        ("a}", ValueError, "tag has a brace"),
        (42, TypeError, "tag is of type int; it must be a text$"),
    ],
)
def test_a_bad_tag_is_refused(tag: Any, kind: type[Exception], message: str) -> None:
    """An empty pair of braces chooses no slot, and a brace within ends the tag too early."""
    with pytest.raises(kind, match=f"^{message}"):
        KeyGroup(tag)


def test_a_name_without_parts_is_refused() -> None:
    """It would be the prefix alone."""
    with pytest.raises(ValueError, match=r"^a name that begins with lock: needs at least one part$"):
        Prefix.LOCK.key()


@pytest.mark.parametrize(
    "name", ["session:", "sessions:a", "cache:a", "session:a::b", "session:%", "session:%3a", "session:{g}:a", "", "a"]
)
def test_a_foreign_name_has_no_parts(name: str) -> None:
    """Only what key makes is taken apart."""
    with pytest.raises(ValueError, match=r"^(part [12] |the name was not made by key)"):
        Prefix.SESSION.parts(name)
    with pytest.raises(ValueError, match=r"^(part [12] |the name was not made by key)"):
        KeyGroup("h").parts(Prefix.SESSION, name)


def test_an_enumeration_of_numbers_counts_as_its_number() -> None:
    """On every version of Python."""
    assert "lock:3" == Prefix.LOCK.key(IntEnum("Shard", {"THIRD": 3}).THIRD)  # type: ignore[attr-defined]


def test_names_need_no_package() -> None:
    """The file stands alone: a Python without site-packages runs it."""
    file = Path(__file__).parents[3] / "python_lib" / "keyfleet" / "_protocol" / "key_names.py"
    done = subprocess.run([sys.executable, "-I", "-S", str(file)], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
