# SPDX-License-Identifier: MIT
"""The commands of keys, JSON values and hashes: arguments in, Command out; the client, pipelines and tests share them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from redis.crc import key_slot

from ..core.errors import DecodeError
from . import json as _json
from . import kinds as kinds
from . import scripts as _scripts
from .command import Command, Key, Kind
from .kinds import (
    BLMOVE,
    DEL,
    EXISTS,
    EXPIRE,
    GET,
    GET_JSON,
    HDEL,
    HEXPIRE,
    HGET,
    HGET_JSON,
    HGETALL,
    HINCRBY,
    HSET,
    HTTL,
    INCR,
    LLEN,
    LMOVE,
    LRANGE,
    LREM,
    MGET,
    MISSING,
    MSET,
    PERSIST,
    PING,
    SCAN,
    SET,
    SET_GET,
    SET_ONCE,
    TTL,
    TYPE,
    UNLINK,
)
from .resp import Argument

Value = str | bytes | int | float

Side = Literal["left", "right"]

KEYS_IN_ONE_COMMAND = 1000  # managed services limit the arguments of a command


class Commands:
    """
    Builds commands for keys under one prefix.

    Args:
        prefix: Put before every key.
        is_cluster: Whether the keys of one command have to share a slot.
    """

    def __init__(self, prefix: str, is_cluster: bool = False) -> None:
        self.prefix, self.is_cluster = prefix, is_cluster

    def ping(self) -> Command[bool]:
        return Command(PING, ("PING",), None, "", _truth)

    def get(self, key: str) -> Command[str | None]:
        name = self.prefix + key
        return Command(GET, ("GET", name), name, key, text)

    def set(
        self,
        key: str,
        value: Value,
        ttl_seconds: float | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        get: bool = False,
    ) -> Command[Any]:
        name = self.prefix + key
        if ttl_seconds is None and not (nx or xx or keepttl or get):
            return Command(SET, ("SET", name, value), name, key, _truth)
        if nx and xx:
            raise ValueError("nx and xx exclude each other")
        if keepttl and ttl_seconds is not None:
            raise ValueError("keepttl and ttl_seconds exclude each other")
        options: tuple[Argument, ...] = () if ttl_seconds is None else ("PX", milliseconds(ttl_seconds))
        options += tuple(word for word, wanted in (("NX", nx), ("XX", xx), ("KEEPTTL", keepttl), ("GET", get)) if wanted)
        if get:
            return Command(SET_GET, ("SET", name, value, *options), name, key, text)
        return Command(SET_ONCE if nx or xx else SET, ("SET", name, value, *options), name, key, _truth)

    def delete(self, *keys: str) -> Command[int]:
        return self._count(DEL, keys)

    def unlink(self, *keys: str) -> Command[int]:
        return self._count(UNLINK, keys)

    def exists(self, *keys: str) -> Command[int]:
        return self._count(EXISTS, keys)

    def _count(self, kind: Kind, keys: tuple[str, ...]) -> Command[int]:
        names = [self.prefix + key for key in keys]
        return Command(kind, (kind.name, *names), names[0], keys[0], _same)

    def mget(self, keys: Iterable[str]) -> Command[list[bytes | None]]:
        asked = list(keys)
        names = [self.prefix + key for key in asked]
        return Command(MGET, ("MGET", *names), names[0], asked[0], _same)

    def mset(self, values: Mapping[str, Value]) -> Command[bool]:
        arguments: list[Argument] = ["MSET"]
        for key, value in values.items():
            arguments += (self.prefix + key, value)
        return Command(MSET, tuple(arguments), str(arguments[1]), next(iter(values)), _truth)

    def set_many(self, values: Mapping[str, Value], ttl_seconds: float | None = None) -> list[Command[bool]]:
        """Return commands that together store all *values*."""
        if ttl_seconds is not None or self.is_cluster:
            return [self.set(key, value, ttl_seconds) for key, value in values.items()]
        return [self.mset({key: values[key] for key in page}) for page in _pages(list(values))]

    def get_many(self, keys: Sequence[str]) -> list[Command[Any]]:
        """Return commands that together read all *keys*; `values_of` takes their answers."""
        return [self.get_bytes(key) for key in keys] if self.is_cluster else [self.mget(page) for page in _pages(keys)]

    def values_of(self, keys: Sequence[str], answers: list[Any]) -> list[bytes | None]:
        """Return the value of each of *keys* from the answers to `get_many`, None for all of a command without an answer."""
        if self.is_cluster:
            return answers
        return [value for page, answer in zip(_pages(keys), answers, strict=True) for value in answer or [None] * len(page)]

    def for_each_slot(self, build: Callable[..., Command[int]], keys: Sequence[str]) -> list[Command[int]]:
        """Return commands that together name all *keys*, which *build* makes: the sum of their answers counts."""
        return [build(key) for key in keys] if self.is_cluster else [build(*page) for page in _pages(keys)]

    def expire(self, key: str, ttl_seconds: float) -> Command[bool]:
        name = self.prefix + key
        return Command(EXPIRE, ("PEXPIRE", name, milliseconds(ttl_seconds)), name, key, _truth)

    def persist(self, key: str) -> Command[bool]:
        name = self.prefix + key
        return Command(PERSIST, ("PERSIST", name), name, key, _truth)

    def ttl(self, key: str) -> Command[float | None]:
        name = self.prefix + key
        return Command(TTL, ("PTTL", name), name, key, _seconds_left)

    def incr(self, key: str, amount: int = 1, ttl_seconds: float | None = None) -> Command[int]:
        name = self.prefix + key
        if ttl_seconds is None:
            return Command(INCR, ("INCRBY", name, amount), name, key, _same)
        return _scripts.load("incr").command(INCR, (name,), (amount, milliseconds(ttl_seconds)), key, _same)

    def type(self, key: str) -> Command[str]:
        name = self.prefix + key
        return Command(TYPE, ("TYPE", name), name, key, _decoded)

    def get_bytes(self, key: str) -> Command[bytes | None]:
        name = self.prefix + key
        return Command(GET, ("GET", name), name, key, _same)

    def scan(self, cursor: int, pattern: str, type: str | None, count: int) -> Command[tuple[int, list[str]]]:
        """Decodes to the next cursor, and names without prefix."""
        arguments: tuple[Argument, ...] = ("SCAN", cursor, "MATCH", _escaped(self.prefix) + pattern, "COUNT", count)
        if type is not None:
            arguments += ("TYPE", type)
        return Command(SCAN, arguments, None, "a key name found by scan", self._page)

    def _page(self, reply: list[Any], key: str) -> tuple[int, list[str]]:
        return int(reply[0]), [text(name, key)[len(self.prefix) :] for name in reply[1]]

    def get_json(self, key: str) -> Command[Any]:
        """Decodes to MISSING where there is no such key, since None is a value."""
        name = self.prefix + key
        return Command(GET_JSON, ("GET", name), name, key, from_json)

    def hset(self, key: str, fields: Mapping[str, Value]) -> Command[int]:
        name = self.prefix + key
        arguments: list[Argument] = ["HSET", name]
        for field, value in fields.items():
            arguments += (field, value)
        return Command(HSET, tuple(arguments), name, key, _same)

    def hget(self, key: str, field: str) -> Command[str | None]:
        name = self.prefix + key
        return Command(HGET, ("HGET", name, field), name, key, text)

    def hget_json(self, key: str, field: str) -> Command[Any]:
        """Decodes to MISSING where there is no such key or field, since None is a value."""
        name = self.prefix + key
        return Command(HGET_JSON, ("HGET", name, field), name, key, from_json)

    def hgetall(self, key: str) -> Command[dict[str, str]]:
        name = self.prefix + key
        return Command(HGETALL, ("HGETALL", name), name, key, partial(_mapping, text))

    def hgetall_json(self, key: str) -> Command[dict[str, Any]]:
        name = self.prefix + key
        return Command(HGETALL, ("HGETALL", name), name, key, partial(_mapping, from_json))

    def hdel(self, key: str, *fields: str) -> Command[int]:
        name = self.prefix + key
        return Command(HDEL, ("HDEL", name, *fields), name, key, _same)

    def hincrby(self, key: str, field: str, amount: int = 1) -> Command[int]:
        name = self.prefix + key
        return Command(HINCRBY, ("HINCRBY", name, field, amount), name, key, _same)

    def hexpire(self, key: str, ttl_seconds: float, *fields: str) -> Command[int]:
        name = self.prefix + key
        arguments: tuple[Argument, ...] = ("HPEXPIRE", name, milliseconds(ttl_seconds), "FIELDS", len(fields), *fields)
        return Command(HEXPIRE, arguments, name, key, _count_ones)

    def httl(self, key: str, field: str) -> Command[float | None]:
        name = self.prefix + key
        return Command(HTTL, ("HPTTL", name, "FIELDS", 1, field), name, key, _field_seconds_left)

    def push(self, kind: Kind, key: str, values: Sequence[Value]) -> Command[int]:
        if not values:
            raise ValueError(f"{kind.name.lower()} of {key!r} has no values; it needs at least one")
        name = self.prefix + key
        return Command(kind, (kind.name, name, *values), name, key, _same)

    def pop(self, kind: Kind, key: str) -> Command[str | None]:
        name = self.prefix + key
        return Command(kind, (kind.name, name), name, key, text)

    def llen(self, key: str) -> Command[int]:
        name = self.prefix + key
        return Command(LLEN, ("LLEN", name), name, key, _same)

    def lrange(self, key: str, start: int, stop: int) -> Command[list[str]]:
        name = self.prefix + key
        return Command(LRANGE, ("LRANGE", name, start, stop), name, key, _texts)

    def lrem(self, key: str, value: Value, count: int) -> Command[int]:
        name = self.prefix + key
        return Command(LREM, ("LREM", name, count, value), name, key, _same)

    def lmove(self, source: str, destination: str, take: Side, put: Side) -> Command[str | None]:
        return Command(LMOVE, ("LMOVE", *self._moved(source, destination, take, put)), self.prefix + source, source, text)

    def blmove(self, source: str, destination: str, timeout_seconds: float, take: Side, put: Side) -> Command[str | None]:
        block = block_seconds(timeout_seconds)
        arguments: tuple[Argument, ...] = ("BLMOVE", *self._moved(source, destination, take, put), block)
        return Command(BLMOVE, arguments, self.prefix + source, source, text, block)

    def _moved(self, source: str, destination: str, take: Side, put: Side) -> tuple[str, ...]:
        for option, side in (("take", take), ("put", put)):
            if side not in ("left", "right"):
                raise ValueError(f"{option} is {side!r}; allowed: left, right")
        return *self.names_in_one_slot((source, destination)), take.upper(), put.upper()

    def blocking_pop(self, kind: Kind, keys: Sequence[str], timeout_seconds: float) -> Command[tuple[str, str] | None]:
        if not keys:
            raise ValueError(f"{kind.name.lower()} has no keys; it needs at least one")
        names, block = self.names_in_one_slot(keys), block_seconds(timeout_seconds)
        return Command(kind, (kind.name, *names, block), names[0], keys[0], self._popped, block)

    def _popped(self, reply: list[bytes] | None, key: str) -> tuple[str, str] | None:
        if reply is None:
            return None
        found = text(reply[0], key)[len(self.prefix) :]
        return found, text(reply[1], found)

    def any(self, arguments: tuple[Argument, ...], repeatable: bool, timeout_seconds: float | None) -> Command[Any]:
        """Return the command that *arguments* are, each Key with the prefix before it; the reply is left as it is."""
        for argument in arguments:
            if not isinstance(argument, (str, bytes, int, float)) or isinstance(argument, bool):
                raise TypeError(f"an argument is of type {type(argument).__name__}; allowed: Key, str, bytes, int, float")
        name, first = (_word(argument) for argument in (*arguments, "", "")[:2])
        if not name:
            raise ValueError("execute has no arguments; the first one is the name of a command")
        words = name, first
        if kinds.is_among(words, kinds.OF_CONNECTION):
            raise ValueError(
                f"{name} is about the connection, which other calls share; pipeline(transaction=True), subscriptions and raw do that"
            )
        waits = name in kinds.WAITING or (name in ("XREAD", "XREADGROUP") and "BLOCK" in map(_word, arguments))
        if waits and timeout_seconds is None:
            raise ValueError(f"{name} waits on the server; say how long with timeout_seconds, 0 for ever")
        keys = [argument for argument in arguments if isinstance(argument, Key)]
        names = self.names_in_one_slot(keys)
        sent = tuple(self.prefix + argument if isinstance(argument, Key) else argument for argument in arguments)
        block = None if timeout_seconds is None else block_seconds(timeout_seconds)
        key = keys[0] if keys else ""
        return Command(kinds.kind_of(words, repeatable), sent, names[0] if names else None, key, _same, block)

    def script(self, script: _scripts.Script, keys: Sequence[str], arguments: Sequence[Argument], repeatable: bool) -> Command[Any]:
        """Return a call of *script* on *keys*; the reply is left as it is."""
        kind = kinds.kind_of(("EVALSHA", ""), repeatable)
        names = tuple(self.names_in_one_slot(keys))
        return script.command(kind, names, tuple(arguments), keys[0] if keys else "", _same)

    def names_in_one_slot(self, keys: Sequence[str]) -> list[str]:
        """
        Return the full names of *keys*, which go into one command.

        Raises:
            ValueError: on a cluster, if they do not share a slot.
        """
        names = [self.prefix + key for key in keys]
        if self.is_cluster:
            slots = [key_slot(name.encode()) for name in names]
            for key, slot in zip(keys, slots, strict=True):
                if slot != slots[0]:
                    raise ValueError(
                        f"keys {keys[0]!r} and {key!r} are in slots {slots[0]} and {slot}; "
                        "on a cluster one command, script or transaction needs keys of one slot: a KeyGroup gives them such names"
                    )
        return names


def _pages(keys: Sequence[str]) -> list[Sequence[str]]:
    return [keys[start : start + KEYS_IN_ONE_COMMAND] for start in range(0, len(keys), KEYS_IN_ONE_COMMAND)]


def _escaped(prefix: str) -> str:
    """Return a glob that matches *prefix* alone."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", prefix)


def milliseconds(seconds: float) -> int:
    """Return whole milliseconds, at least 1: the server refuses 0, and rounding down would end a life too early."""
    if not 0 < seconds < math.inf:
        raise ValueError(f"ttl_seconds is {seconds}; it must be above 0 and finite")
    return math.ceil(seconds * 1000)


def block_seconds(timeout_seconds: float) -> float:
    """Return how long the server may wait, in whole milliseconds: what is less would be 0 to some servers, which is for ever."""
    if not 0 <= timeout_seconds < math.inf:
        raise ValueError(f"timeout_seconds is {timeout_seconds}; allowed are numbers above 0, and 0 for ever")
    return math.ceil(timeout_seconds * 1000) / 1000


def text(reply: bytes | None, key: str) -> Any:
    """Return the text in *reply*, None for None."""
    if reply is None:
        return None
    try:
        return reply.decode()
    except UnicodeDecodeError as error:
        raise DecodeError(key, "UTF-8 text") from error


def from_json(reply: bytes | None, key: str) -> Any:
    """Return what the JSON in *reply* means, MISSING for None."""
    if reply is None:
        return MISSING
    try:
        return _json.loads(reply)
    except ValueError as error:
        raise DecodeError(key, "JSON") from error


def _word(argument: Argument) -> str:
    """Return *argument* as a word of a command's name is compared."""
    return argument.decode(errors="replace").upper() if isinstance(argument, bytes) else str(argument).upper()


def _same(reply: Any, _key: str) -> Any:
    return reply


def _truth(reply: Any, _key: str) -> bool:
    return bool(reply)


def _decoded(reply: bytes, _key: str) -> str:
    return reply.decode()


def _seconds_left(reply: int, _key: str) -> float | None:
    if reply < 0:
        return math.inf if reply == -1 else None
    return reply / 1000


def _field_seconds_left(reply: list[int] | None, key: str) -> float | None:
    return None if reply is None else _seconds_left(reply[0], key)


def _count_ones(reply: list[int] | None, _key: str) -> int:
    return reply.count(1) if reply else 0


def _texts(reply: list[bytes], key: str) -> list[str]:
    return [text(item, key) for item in reply]


def _mapping(decode: Any, reply: list[bytes], key: str) -> dict[str, Any]:
    found = iter(reply)
    return {text(field, key): decode(value, key) for field, value in zip(found, found, strict=True)}
