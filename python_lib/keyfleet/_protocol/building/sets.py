# SPDX-License-Identifier: MIT
"""Operations on sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..arguments import Value, plain, whole
from ..command import Command, Kind, Operation
from ..kinds import SADD, SCARD, SISMEMBER, SMEMBERS, SMISMEMBER, SPOP, SRANDMEMBER, SREM
from ..replies import same, truth, truths
from .base import BaseOperations, Undecodable


class SetOperations(BaseOperations):
    """Operations on sets."""

    def sadd(self, key: str, *members: Value) -> Operation[int]:
        return self._change_members(SADD, key, members)

    def srem(self, key: str, *members: Value) -> Operation[int]:
        return self._change_members(SREM, key, members)

    def _change_members(self, kind: Kind, key: str, members: Sequence[Value]) -> Operation[int]:
        name = self._name(key)
        if not members:
            return Operation((), sum)
        return Command(kind, (kind.name, name, *[plain(key, member) for member in members]), name, key, same)

    def smembers(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Command[set[Any]]:
        name, read = self._name(key), self._texts_reader(as_bytes, undecodable)
        return Command(SMEMBERS, ("SMEMBERS", name), name, key, lambda reply, key: set(read(reply, key)))

    def sismember(self, key: str, member: Value) -> Command[bool]:
        name = self._name(key)
        return Command(SISMEMBER, ("SISMEMBER", name, plain(key, member)), name, key, truth)

    def smismember(self, key: str, *members: Value) -> Operation[list[bool]]:
        name = self._name(key)
        if not members:
            return Operation((), list)
        return Command(SMISMEMBER, ("SMISMEMBER", name, *[plain(key, member) for member in members]), name, key, truths)

    def scard(self, key: str) -> Command[int]:
        name = self._name(key)
        return Command(SCARD, ("SCARD", name), name, key, same)

    def spop(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Command[Any]:
        name = self._name(key)
        return Command(SPOP, ("SPOP", name), name, key, self._text_reader(as_bytes, undecodable))

    def srandmember(self, key: str, count: int = 1, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Command[list[Any]]:
        name = self._name(key)
        return Command(SRANDMEMBER, ("SRANDMEMBER", name, whole("count", count)), name, key, self._texts_reader(as_bytes, undecodable))
