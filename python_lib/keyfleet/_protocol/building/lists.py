# SPDX-License-Identifier: MIT
"""Operations on lists as queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..command import Command, Kind
from ..kinds import BLMOVE, BLPOP, BRPOP, LLEN, LMOVE, LPOP, LPUSH, LRANGE, LREM, RPOP, RPUSH
from ..replies import same, text, texts
from .base import Arguments, BaseOperations, Value, block_seconds

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
        name = self.prefix + key
        return Command(kind, (kind.name, name, *values), name, key, same)

    def lpop(self, key: str) -> Command[str | None]:
        return self._pop(LPOP, key)

    def rpop(self, key: str) -> Command[str | None]:
        return self._pop(RPOP, key)

    def _pop(self, kind: Kind, key: str) -> Command[str | None]:
        name = self.prefix + key
        return Command(kind, (kind.name, name), name, key, text)

    def llen(self, key: str) -> Command[int]:
        name = self.prefix + key
        return Command(LLEN, ("LLEN", name), name, key, same)

    def lrange(self, key: str, start: int = 0, stop: int = -1) -> Command[list[str]]:
        name = self.prefix + key
        return Command(LRANGE, ("LRANGE", name, start, stop), name, key, texts)

    def lrem(self, key: str, value: Value, count: int = 1) -> Command[int]:
        name = self.prefix + key
        return Command(LREM, ("LREM", name, count, value), name, key, same)

    def lmove(self, source: str, destination: str, *, take: Side = "left", put: Side = "right") -> Command[str | None]:
        return Command(LMOVE, ("LMOVE", *self._moved(source, destination, take, put)), self.prefix + source, source, text)

    def blmove(
        self, source: str, destination: str, *, timeout_seconds: float, take: Side = "left", put: Side = "right"
    ) -> Command[str | None]:
        block = block_seconds(timeout_seconds)
        arguments: Arguments = ("BLMOVE", *self._moved(source, destination, take, put), block)
        return Command(BLMOVE, arguments, self.prefix + source, source, text, block)

    def _moved(self, source: str, destination: str, take: Side, put: Side) -> tuple[str, ...]:
        for option, side in (("take", take), ("put", put)):
            if side not in ("left", "right"):
                raise ValueError(f"{option} is {side!r}; allowed: left, right")
        return *self.names_in_one_slot((source, destination)), take.upper(), put.upper()

    def blpop(self, *keys: str, timeout_seconds: float) -> Command[tuple[str, str] | None]:
        return self._blocking_pop(BLPOP, keys, timeout_seconds)

    def brpop(self, *keys: str, timeout_seconds: float) -> Command[tuple[str, str] | None]:
        return self._blocking_pop(BRPOP, keys, timeout_seconds)

    def _blocking_pop(self, kind: Kind, keys: Sequence[str], timeout_seconds: float) -> Command[tuple[str, str] | None]:
        if not keys:
            raise ValueError(f"{kind.name.lower()} has no keys; it needs at least one")
        names, block = self.names_in_one_slot(keys), block_seconds(timeout_seconds)
        return Command(kind, (kind.name, *names, block), names[0], keys[0], self._popped, block)

    def _popped(self, reply: list[bytes] | None, key: str) -> tuple[str, str] | None:
        if reply is None:
            return None
        found = text(reply[0], key)[len(self.prefix) :]
        return found, text(reply[1], found)
