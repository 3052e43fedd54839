# SPDX-License-Identifier: MIT
"""The calls that a pipeline takes, with the names and arguments of the client's; they wait for nothing, so both clients share them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from . import json as _json
from .builder import Commands, Side, Value, text
from .command import Command
from .kinds import LPOP, LPUSH, MISSING, RPOP, RPUSH

if TYPE_CHECKING:
    from typing_extensions import Self

JsonReader = Callable[[Literal["raise", "miss"], Any], Callable[[bytes | None, str], Any]]


class Entry(NamedTuple):
    """
    One call of a pipeline.

    Attributes:
        commands: What it sends; nothing if its answer needs no server, several where its keys do not fit into one command.
        combine: Makes the call's result of their answers.
    """

    commands: Sequence[Command[Any]]
    combine: Callable[[list[Any]], Any]


class PipelineCalls:
    """
    Notes calls; each returns the pipeline.

    Args:
        commands: Builds what they send.
        json_reader: Makes what decodes JSON, of what to do with other text and what a missing key is.
    """

    def __init__(self, commands: Commands, json_reader: JsonReader) -> None:
        self._commands, self._json_reader = commands, json_reader
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        """Return how many calls wait for `execute`."""
        return len(self._entries)

    def _add(self, commands: Sequence[Command[Any]], combine: Callable[[list[Any]], Any]) -> Self:
        self._entries.append(Entry(commands, combine))
        return self

    def _add_one(self, command: Command[Any]) -> Self:
        self._entries.append(Entry((command,), _only))
        return self

    def get(self, key: str) -> Self:
        """As the client's."""
        return self._add_one(self._commands.get(key))

    def set(
        self,
        key: str,
        value: Value,
        *,
        ttl_seconds: float | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        get: bool = False,
    ) -> Self:
        """As the client's."""
        return self._add_one(self._commands.set(key, value, ttl_seconds, nx, xx, keepttl, get))

    def get_json(self, key: str, default: Any = None, *, undecodable: Literal["raise", "miss"] = "raise") -> Self:
        """As the client's."""
        return self._add_json(self._commands.get_json(key), default, undecodable)

    def _add_json(self, command: Command[Any], default: Any, undecodable: Literal["raise", "miss"]) -> Self:
        command.decode = self._json_reader(undecodable, MISSING)
        return self._add((command,), lambda answers: default if answers[0] is MISSING else answers[0])

    def set_json(self, key: str, value: Any, *, ttl_seconds: float | None = None, nx: bool = False, xx: bool = False) -> Self:
        """As the client's."""
        return self.set(key, _json.dumps(value), ttl_seconds=ttl_seconds, nx=nx, xx=xx)

    def get_many(self, keys: Sequence[str]) -> Self:
        """As the client's."""
        return self._read_many(keys, text)

    def get_many_json(self, keys: Sequence[str], *, undecodable: Literal["raise", "miss"] = "raise") -> Self:
        """As the client's."""
        return self._read_many(keys, self._json_reader(undecodable, None))

    def _read_many(self, keys: Sequence[str], decode: Callable[[bytes | None, str], Any]) -> Self:
        asked = list(keys)

        def combine(answers: list[Any]) -> dict[str, Any]:
            return {key: decode(value, key) for key, value in zip(asked, self._commands.values_of(asked, answers), strict=True)}

        return self._add(self._commands.get_many(asked), combine)

    def set_many(self, values: Mapping[str, Value], *, ttl_seconds: float | None = None) -> Self:
        """As the client's."""
        return self._add(self._commands.set_many(values, ttl_seconds), all)

    def set_many_json(self, values: Mapping[str, Any], *, ttl_seconds: float | None = None) -> Self:
        """As the client's."""
        return self.set_many({key: _json.dumps(value) for key, value in values.items()}, ttl_seconds=ttl_seconds)

    def delete(self, *keys: str) -> Self:
        """As the client's."""
        return self._add(self._commands.for_each_slot(self._commands.delete, keys), sum)

    def unlink(self, *keys: str) -> Self:
        """As the client's."""
        return self._add(self._commands.for_each_slot(self._commands.unlink, keys), sum)

    def exists(self, *keys: str) -> Self:
        """As the client's."""
        return self._add(self._commands.for_each_slot(self._commands.exists, keys), sum)

    def expire(self, key: str, ttl_seconds: float) -> Self:
        """As the client's."""
        return self._add_one(self._commands.expire(key, ttl_seconds))

    def persist(self, key: str) -> Self:
        """As the client's."""
        return self._add_one(self._commands.persist(key))

    def ttl(self, key: str) -> Self:
        """As the client's."""
        return self._add_one(self._commands.ttl(key))

    def incr(self, key: str, amount: int = 1, *, ttl_seconds: float | None = None) -> Self:
        """As the client's."""
        return self._add_one(self._commands.incr(key, amount, ttl_seconds))

    def decr(self, key: str, amount: int = 1, *, ttl_seconds: float | None = None) -> Self:
        """As the client's."""
        return self._add_one(self._commands.incr(key, -amount, ttl_seconds))

    def hset(self, key: str, fields: Mapping[str, Value]) -> Self:
        """As the client's."""
        return self._add([self._commands.hset(key, fields)] if fields else [], sum)

    def hset_json(self, key: str, fields: Mapping[str, Any]) -> Self:
        """As the client's."""
        return self.hset(key, {field: _json.dumps(value) for field, value in fields.items()})

    def hget(self, key: str, field: str) -> Self:
        """As the client's."""
        return self._add_one(self._commands.hget(key, field))

    def hget_json(self, key: str, field: str, default: Any = None) -> Self:
        """As the client's."""
        return self._add_json(self._commands.hget_json(key, field), default, "raise")

    def hgetall(self, key: str) -> Self:
        """As the client's."""
        return self._add_one(self._commands.hgetall(key))

    def hgetall_json(self, key: str) -> Self:
        """As the client's."""
        return self._add_one(self._commands.hgetall_json(key))

    def hdel(self, key: str, *fields: str) -> Self:
        """As the client's."""
        return self._add([self._commands.hdel(key, *fields)] if fields else [], sum)

    def hincrby(self, key: str, field: str, amount: int = 1) -> Self:
        """As the client's."""
        return self._add_one(self._commands.hincrby(key, field, amount))

    def hexpire(self, key: str, ttl_seconds: float, *fields: str) -> Self:
        """As the client's."""
        return self._add([self._commands.hexpire(key, ttl_seconds, *fields)] if fields else [], sum)

    def httl(self, key: str, field: str) -> Self:
        """As the client's."""
        return self._add_one(self._commands.httl(key, field))

    def lpush(self, key: str, *values: Value) -> Self:
        """As the client's."""
        return self._add_one(self._commands.push(LPUSH, key, values))

    def rpush(self, key: str, *values: Value) -> Self:
        """As the client's."""
        return self._add_one(self._commands.push(RPUSH, key, values))

    def lpop(self, key: str) -> Self:
        """As the client's."""
        return self._add_one(self._commands.pop(LPOP, key))

    def rpop(self, key: str) -> Self:
        """As the client's."""
        return self._add_one(self._commands.pop(RPOP, key))

    def llen(self, key: str) -> Self:
        """As the client's."""
        return self._add_one(self._commands.llen(key))

    def lrange(self, key: str, start: int = 0, stop: int = -1) -> Self:
        """As the client's."""
        return self._add_one(self._commands.lrange(key, start, stop))

    def lrem(self, key: str, value: Value, count: int = 1) -> Self:
        """As the client's."""
        return self._add_one(self._commands.lrem(key, value, count))

    def lmove(self, source: str, destination: str, *, take: Side = "left", put: Side = "right") -> Self:
        """As the client's."""
        return self._add_one(self._commands.lmove(source, destination, take, put))


def _only(answers: list[Any]) -> Any:
    return answers[0]
