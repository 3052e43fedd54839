# SPDX-License-Identifier: MIT
"""Operations on lists as queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ..arguments import Seconds, Value, block_seconds, plain, whole
from ..command import BlockingCommand, Command, Kind
from ..kinds import BLMOVE, BLPOP, BRPOP, LLEN, LMOVE, LPOP, LPUSH, LRANGE, LREM, RPOP, RPUSH
from ..replies import Reader, same, text
from .base import Arguments, BaseOperations, Undecodable

Side = Literal["left", "right"]


class ListOperations(BaseOperations):
    """Operations on lists."""

    def lpush(self, key: str, *values: Value) -> Command[int]:
        return self._push(LPUSH, key, values)

    def rpush(self, key: str, *values: Value) -> Command[int]:
        return self._push(RPUSH, key, values)

    def _push(self, kind: Kind, key: str, values: Sequence[Value]) -> Command[int]:
        if not values:
            raise ValueError(f"{kind.name.lower()} of {key!r} has no values; it needs at least one")
        name = self._name(key)
        return Command(kind, (kind.name, name, *[plain(key, value) for value in values]), name, key, same)

    def lpop(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Command[Any]:
        return self._pop(LPOP, key, self._text_reader(as_bytes, undecodable))

    def rpop(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Command[Any]:
        return self._pop(RPOP, key, self._text_reader(as_bytes, undecodable))

    def _pop(self, kind: Kind, key: str, read: Reader) -> Command[Any]:
        name = self._name(key)
        return Command(kind, (kind.name, name), name, key, read)

    def llen(self, key: str) -> Command[int]:
        name = self._name(key)
        return Command(LLEN, ("LLEN", name), name, key, same)

    def lrange(
        self, key: str, start: int = 0, stop: int = -1, *, as_bytes: bool = False, undecodable: Undecodable = "raise"
    ) -> Command[list[Any]]:
        name = self._name(key)
        arguments: Arguments = ("LRANGE", name, whole("start", start), whole("stop", stop))
        return Command(LRANGE, arguments, name, key, self._texts_reader(as_bytes, undecodable))

    def lrem(self, key: str, value: Value, count: int = 1) -> Command[int]:
        name = self._name(key)
        return Command(LREM, ("LREM", name, whole("count", count), plain(key, value)), name, key, same)

    def lmove(
        self,
        source: str,
        destination: str,
        *,
        take: Side = "left",
        put: Side = "right",
        as_bytes: bool = False,
        undecodable: Undecodable = "raise",
    ) -> Command[Any]:
        arguments = ("LMOVE", *self._moved(source, destination, take, put))
        return Command(LMOVE, arguments, arguments[1], source, self._text_reader(as_bytes, undecodable))

    def blmove(
        self,
        source: str,
        destination: str,
        *,
        timeout_seconds: Seconds,
        take: Side = "left",
        put: Side = "right",
        as_bytes: bool = False,
        undecodable: Undecodable = "raise",
    ) -> Command[Any]:
        block = block_seconds(timeout_seconds)
        moved = self._moved(source, destination, take, put)
        return BlockingCommand(BLMOVE, ("BLMOVE", *moved, block), moved[0], source, self._text_reader(as_bytes, undecodable), block)

    def _moved(self, source: str, destination: str, take: Side, put: Side) -> tuple[str, ...]:
        for option, side in (("take", take), ("put", put)):
            if side not in ("left", "right"):
                raise ValueError(f"{option} is {side!r}; allowed: left, right")
        return *self.names_in_one_slot((source, destination)), take.upper(), put.upper()

    def blpop(
        self, *keys: str, timeout_seconds: Seconds, as_bytes: bool = False, undecodable: Undecodable = "raise"
    ) -> Command[tuple[str, Any] | None]:
        return self._blocking_pop(BLPOP, keys, timeout_seconds, self._text_reader(as_bytes, undecodable))

    def brpop(
        self, *keys: str, timeout_seconds: Seconds, as_bytes: bool = False, undecodable: Undecodable = "raise"
    ) -> Command[tuple[str, Any] | None]:
        return self._blocking_pop(BRPOP, keys, timeout_seconds, self._text_reader(as_bytes, undecodable))

    def _blocking_pop(self, kind: Kind, keys: Sequence[str], timeout_seconds: Seconds, read: Reader) -> Command[tuple[str, Any] | None]:
        if not keys:
            raise ValueError(f"{kind.name.lower()} has no keys; it needs at least one")
        names, block = self.names_in_one_slot(keys), block_seconds(timeout_seconds)

        def popped(reply: list[bytes] | None, key: str) -> tuple[str, Any] | None:
            if reply is None:
                return None
            found = text(reply[0], key)[len(self.prefix) :]
            return found, read(reply[1], found)

        return BlockingCommand(kind, (kind.name, *names, block), names[0], keys[0], popped, block)
