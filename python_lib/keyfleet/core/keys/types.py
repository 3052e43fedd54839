# SPDX-License-Identifier: MIT
"""
The types of value that keys hold: from plain data to what the server stores, reading, comparing, and the commands that make up
the difference. Pure but for `ValueType.queue_read`, which only queues commands on a pipeline.

A scalar is stored as text: numbers as Python prints them (``1``, ``1.5``), booleans as ``true`` and ``false``.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import RefusedError
from . import json_text

Word = Any  # bytes, str, int or float: an argument of a command, as redis-py takes it
Command = tuple[Word, ...]
# Lua's unpack() takes some 8,000 values; long argument lists also keep a server busy for long.
WORDS_PER_COMMAND = 1000
EMPTY = "the value is empty, and the server keeps no empty collections; use state absent"


def encode_scalar(raw: object) -> bytes:
    """
    Return what the server stores for a text, number or boolean.

    Raises:
        ValueError: for anything else; the text never holds the value.
    """
    if isinstance(raw, bool):
        return b"true" if raw else b"false"
    if isinstance(raw, (str, int, float)):
        return str(raw).encode("utf-8", "surrogateescape")
    raise ValueError(f"a {_kind(raw)} has no text form; use type json to store structures")


def printable(stored: bytes) -> str:
    """Return the text, or ``b'…'`` with escapes for bytes that are not UTF-8."""
    try:
        return stored.decode("utf-8")
    except UnicodeDecodeError:
        return repr(stored)


def _kind(raw: object) -> str:
    names = {dict: "mapping", list: "list", tuple: "list", str: "text", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names.get(type(raw), type(raw).__name__)


def _items(raw: object, what: str) -> Sequence[Any]:
    if not isinstance(raw, (list, tuple)):
        raise ValueError(f"the value must be a list of {what}, not a {_kind(raw)}")
    if not raw:
        raise ValueError(EMPTY)
    return raw


def _mapping(raw: object, what: str) -> Mapping[Any, Any]:
    if not isinstance(raw, Mapping):
        raise ValueError(f"the value must be a mapping of {what}, not a {_kind(raw)}")
    if not raw:
        raise ValueError(EMPTY)
    return raw


def _commands(name: str, words: Sequence[Word]) -> list[Command]:
    """Return as many commands as the words need."""
    return [(name, *words[start : start + WORDS_PER_COMMAND]) for start in range(0, len(words), WORDS_PER_COMMAND)]


class ValueType:
    """
    One type of value.

    Attributes:
        name: As users call it.
        stored_as: As the server's TYPE calls it.
    """

    name = ""
    stored_as = ""

    def encode(self, raw: object) -> Any:
        """
        Return the comparable form of what a user gave.

        Raises:
            ValueError: if *raw* does not fit; the text never holds the value.
        """
        raise NotImplementedError

    def queue_read(self, pipe: Any, key: bytes, wanted: Any) -> int:
        """Queue the commands that read *key*, as far as it matters for *wanted* (None: all of it); return their number."""
        raise NotImplementedError

    def parse(self, replies: Sequence[Any]) -> Any:
        """Return the comparable form of the replies to `queue_read`."""
        return replies[0]

    def differs(self, wanted: Any, found: Any) -> bool:
        """Return whether a write is needed."""
        return bool(wanted != found)

    def changes(self, wanted: Any, found: Any) -> list[Command]:
        """Return the commands, without their key, that turn *found* (None: no key) into *wanted*; none if nothing differs."""
        raise NotImplementedError

    def after(self, wanted: Any, found: Any) -> Any:
        """Return what the key holds after the changes."""
        return wanted

    def show(self, value: Any) -> Any:
        """Return *value* as plain data for a diff."""
        raise NotImplementedError


class StringType(ValueType):
    """A text; SET writes it with its TTL in one command, so that there are no `changes` to list."""

    name = stored_as = "string"

    def encode(self, raw: object) -> bytes:
        return encode_scalar(raw)

    def queue_read(self, pipe: Any, key: bytes, wanted: Any) -> int:
        pipe.get(key)
        return 1

    def show(self, value: bytes) -> str:
        return printable(value)


class JsonType(StringType):
    """A structure, stored as JSON text; two texts are equal if they mean the same."""

    name = "json"

    def encode(self, raw: object) -> bytes:
        if isinstance(raw, str):
            try:
                raw = json_text.decode(raw.encode())
            except ValueError:
                raise ValueError('a text given as value of type json must be JSON; a JSON string is written "\\"text\\""') from None
        try:
            return json_text.encode(raw)
        except (TypeError, ValueError):
            raise ValueError("the value has no JSON form") from None

    def differs(self, wanted: bytes, found: bytes) -> bool:
        try:
            return _canonical_json(wanted) != _canonical_json(found)
        except ValueError:  # what is stored is no JSON
            return True


def _canonical_json(text: bytes) -> str:
    # Compared as text, since in Python 1 == True == 1.0.
    return json.dumps(json_text.decode(text), sort_keys=True)


class HashType(ValueType):
    """Fields and their values; fields that are not desired are removed."""

    name = stored_as = "hash"

    def encode(self, raw: object) -> dict[bytes, bytes]:
        return {encode_scalar(field): encode_scalar(value) for field, value in _mapping(raw, "field to value").items()}

    def queue_read(self, pipe: Any, key: bytes, wanted: Any) -> int:
        pipe.hgetall(key)
        return 1

    def changes(self, wanted: dict[bytes, bytes], found: Any) -> list[Command]:
        before = found or {}
        words = [word for field, value in wanted.items() if before.get(field) != value for word in (field, value)]
        return _commands("HSET", words) + _commands("HDEL", [field for field in before if field not in wanted])

    def show(self, value: dict[bytes, bytes]) -> dict[str, str]:
        return {printable(field): printable(text) for field, text in value.items()}


class ListType(ValueType):
    """Items in order; a list that differs is written anew."""

    name = stored_as = "list"

    def encode(self, raw: object) -> list[bytes]:
        return [encode_scalar(item) for item in _items(raw, "items")]

    def queue_read(self, pipe: Any, key: bytes, wanted: Any) -> int:
        pipe.lrange(key, 0, -1)
        return 1

    def changes(self, wanted: list[bytes], found: Any) -> list[Command]:
        if wanted == found:
            return []
        # Keeping the new tail leaves the key, and with it its TTL, in place.
        return _commands("RPUSH", wanted) + ([("LTRIM", -len(wanted), -1)] if found else [])

    def show(self, value: list[bytes]) -> list[str]:
        return [printable(item) for item in value]


class SetType(ValueType):
    """Members without order; members that are not desired are removed."""

    name = stored_as = "set"

    def encode(self, raw: object) -> frozenset[bytes]:
        return frozenset(encode_scalar(item) for item in _items(raw, "members"))

    def queue_read(self, pipe: Any, key: bytes, wanted: Any) -> int:
        pipe.smembers(key)
        return 1

    def parse(self, replies: Sequence[Any]) -> frozenset[bytes]:
        return frozenset(replies[0])

    def changes(self, wanted: frozenset[bytes], found: Any) -> list[Command]:
        before = found or frozenset()
        return _commands("SADD", sorted(wanted - before)) + _commands("SREM", sorted(before - wanted))

    def show(self, value: frozenset[bytes]) -> list[str]:
        return sorted(printable(item) for item in value)


class SortedSetType(ValueType):
    """Members and their scores; members that are not desired are removed."""

    name = stored_as = "zset"

    def encode(self, raw: object) -> dict[bytes, float]:
        return {encode_scalar(member): self._score(score) for member, score in _mapping(raw, "member to score").items()}

    @staticmethod
    def _score(raw: object) -> float:
        try:
            score = float("nan") if isinstance(raw, bool) else float(raw)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            score = float("nan")
        if math.isnan(score):
            raise ValueError("every score must be a number, inf or -inf")
        return score

    def queue_read(self, pipe: Any, key: bytes, wanted: Any) -> int:
        pipe.zrange(key, 0, -1, withscores=True)
        return 1

    def parse(self, replies: Sequence[Any]) -> dict[bytes, float]:
        return {member: float(score) for member, score in replies[0]}

    def changes(self, wanted: dict[bytes, float], found: Any) -> list[Command]:
        before = found or {}
        words = [word for member, score in wanted.items() if before.get(member) != score for word in (repr(score), member)]
        return _commands("ZADD", words) + _commands("ZREM", [member for member in before if member not in wanted])

    def show(self, value: dict[bytes, float]) -> dict[str, str]:
        # Scores as text: JSON has no inf.
        return {printable(member): repr(score) for member, score in sorted(value.items(), key=lambda pair: (pair[1], pair[0]))}


class StreamEntry(NamedTuple):
    """An entry of a stream; without an id when the server shall choose it."""

    id: bytes
    fields: dict[bytes, bytes]


class Stream(NamedTuple):
    """Entries in order, and the highest id the stream has ever had."""

    entries: list[StreamEntry]
    last_id: bytes = b"0-0"


class StreamType(ValueType):
    """
    A log: the desired entries must be in it, others stay.

    With ids, an entry is present if its id holds the same fields. Without, as many entries with the same fields must be in the
    stream as are desired, at any position; those that are missing are appended in the order given.
    """

    name = stored_as = "stream"

    def encode(self, raw: object) -> Stream:
        entries = [self._entry(item) for item in _items(raw, "entries, each with fields and perhaps an id")]
        ids = [_id_number(entry.id) for entry in entries if entry.id]
        if ids and len(ids) < len(entries):
            raise ValueError("either every entry of a stream has an id or none has")
        if any(later <= earlier for earlier, later in zip([(0, 0), *ids], ids)):
            raise ValueError("the ids of a stream's entries must rise, from 0-1")
        return Stream(entries)

    @staticmethod
    def _entry(raw: object) -> StreamEntry:
        if (
            not isinstance(raw, Mapping)
            or not set(raw) <= {"id", "fields"}
            or not isinstance(raw.get("fields"), Mapping)
            or not raw["fields"]
        ):
            raise ValueError("every entry of a stream must be a mapping with fields (a mapping with at least one field) and perhaps an id")
        given = str(raw.get("id") or "")
        if given and not re.fullmatch("[0-9]{1,20}-[0-9]{1,20}", given):
            raise ValueError("the id of a stream's entry must have the form 1700000000000-0")
        fields = {encode_scalar(field): encode_scalar(value) for field, value in raw["fields"].items()}
        return StreamEntry(given.encode(), fields)

    def queue_read(self, pipe: Any, key: bytes, wanted: Any) -> int:
        ids = [entry.id for entry in wanted.entries if entry.id] if wanted else []
        pipe.xrange(key, ids[0] if ids else "-", ids[-1] if ids else "+")
        pipe.xinfo_stream(key)
        return 2

    def parse(self, replies: Sequence[Any]) -> Stream:
        entries, info = replies
        return Stream([StreamEntry(name, dict(fields or {})) for name, fields in entries], info["last-generated-id"])

    def _missing(self, wanted: Stream, found: Any) -> list[StreamEntry]:
        before: Stream = found or Stream([])
        if not wanted.entries[0].id:
            left = Counter(frozenset(entry.fields.items()) for entry in before.entries)
            missing = []
            for entry in wanted.entries:
                fields = frozenset(entry.fields.items())
                if left[fields]:
                    left[fields] -= 1
                else:
                    missing.append(entry)
            return missing
        held = {entry.id: entry.fields for entry in before.entries}
        missing = [entry for entry in wanted.entries if entry.id not in held]
        for entry in wanted.entries:
            if held.get(entry.id, entry.fields) != entry.fields:
                raise RefusedError(f"stream entry {printable(entry.id)} exists with other fields, and entries cannot be changed")
        if missing and _id_number(missing[0].id) <= _id_number(before.last_id):
            raise RefusedError(
                f"stream entry {printable(missing[0].id)} cannot be added: the stream has reached {printable(before.last_id)}"
            )
        return missing

    def differs(self, wanted: Stream, found: Stream) -> bool:
        return bool(self._missing(wanted, found))

    def changes(self, wanted: Stream, found: Any) -> list[Command]:
        return [
            ("XADD", entry.id or b"*", *(word for pair in entry.fields.items() for word in pair)) for entry in self._missing(wanted, found)
        ]

    def after(self, wanted: Stream, found: Any) -> Stream:
        return Stream([*(found.entries if found else []), *self._missing(wanted, found)])

    def show(self, value: Stream) -> list[dict[str, Any]]:
        return [{"id": printable(entry.id or b"*"), "fields": HashType().show(entry.fields)} for entry in value.entries]


def _id_number(stream_id: bytes) -> tuple[int, int]:
    milliseconds, sequence = stream_id.split(b"-")
    return int(milliseconds), int(sequence)


TYPES: dict[str, ValueType] = {
    kind.name: kind for kind in (StringType(), JsonType(), HashType(), ListType(), SetType(), SortedSetType(), StreamType())
}
