# SPDX-License-Identifier: MIT
"""Operations on hashes and their fields."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from .. import json as _json
from ..command import Command, Operation
from ..kinds import HDEL, HEXPIRE, HGET, HGET_JSON, HGETALL, HINCRBY, HSET, HTTL
from ..replies import count_ones, field_seconds_left, from_json, mapping, same, text
from .base import Arguments, BaseOperations, Value, milliseconds, or_default


class HashOperations(BaseOperations):
    """Operations on hashes."""

    def hset(self, key: str, fields: Mapping[str, Value]) -> Operation[int]:
        if not fields:
            return Operation((), sum)
        name = self.prefix + key
        arguments: list[Value] = ["HSET", name]
        for field, value in fields.items():
            arguments += (field, value)
        return Command(HSET, tuple(arguments), name, key, same)

    def hset_json(self, key: str, fields: Mapping[str, Any]) -> Operation[int]:
        return self.hset(key, {field: _json.dumps(value) for field, value in fields.items()})

    def hget(self, key: str, field: str) -> Command[str | None]:
        name = self.prefix + key
        return Command(HGET, ("HGET", name, field), name, key, text)

    def hget_json(self, key: str, field: str, default: Any = None) -> Operation[Any]:
        name = self.prefix + key
        return or_default(Command(HGET_JSON, ("HGET", name, field), name, key, from_json), default)

    def hgetall(self, key: str) -> Command[dict[str, str]]:
        name = self.prefix + key
        return Command(HGETALL, ("HGETALL", name), name, key, partial(mapping, text))

    def hgetall_json(self, key: str) -> Command[dict[str, Any]]:
        name = self.prefix + key
        return Command(HGETALL, ("HGETALL", name), name, key, partial(mapping, from_json))

    def hdel(self, key: str, *fields: str) -> Operation[int]:
        if not fields:
            return Operation((), sum)
        name = self.prefix + key
        return Command(HDEL, ("HDEL", name, *fields), name, key, same)

    def hincrby(self, key: str, field: str, amount: int = 1) -> Command[int]:
        name = self.prefix + key
        return Command(HINCRBY, ("HINCRBY", name, field, amount), name, key, same)

    def hexpire(self, key: str, ttl_seconds: float, *fields: str) -> Operation[int]:
        if not fields:
            return Operation((), sum)
        name = self.prefix + key
        arguments: Arguments = ("HPEXPIRE", name, milliseconds(ttl_seconds), "FIELDS", len(fields), *fields)
        return Command(HEXPIRE, arguments, name, key, count_ones)

    def httl(self, key: str, field: str) -> Command[float | None]:
        name = self.prefix + key
        return Command(HTTL, ("HPTTL", name, "FIELDS", 1, field), name, key, field_seconds_left)
