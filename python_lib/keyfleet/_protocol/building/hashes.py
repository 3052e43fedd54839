# SPDX-License-Identifier: MIT
"""Operations on hashes and their fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .. import json as _json
from ..arguments import LONGEST_FIELD_MS, Seconds, Value, field_mapping, key_list, milliseconds, plain, whole
from ..command import Command, Operation
from ..kinds import HDEL, HEXISTS, HEXPIRE, HGET, HGET_JSON, HGETALL, HINCRBY, HMGET, HSET, HTTL, MISSING
from ..replies import count_ones, field_seconds_left, from_json, same, text, truth
from .base import Arguments, BaseOperations, Undecodable


class HashOperations(BaseOperations):
    """Operations on hashes."""

    def hset(self, key: str, fields: Mapping[str, Value] | str, value: Any = MISSING) -> Operation[int]:
        return self._hset(key, field_mapping(fields, value, MISSING))

    def hset_json(self, key: str, fields: Mapping[str, Any] | str, value: Any = MISSING) -> Operation[int]:
        return self._hset(key, {field: _json.dumps(item) for field, item in field_mapping(fields, value, MISSING).items()})

    def _hset(self, key: str, fields: Mapping[str, Value]) -> Operation[int]:
        name = self._name(key)
        if not fields:
            return Operation((), sum)
        arguments: list[Value] = ["HSET", name]
        for field, value in fields.items():
            arguments += (plain(key, field), plain(key, value))
        return Command(HSET, tuple(arguments), name, key, same)

    def hget(self, key: str, field: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Command[Any]:
        name = self._name(key)
        return Command(HGET, ("HGET", name, plain(key, field)), name, key, self._text_reader(as_bytes, undecodable))

    def hget_json(self, key: str, field: str, default: Any = None, *, undecodable: Undecodable = "raise") -> Command[Any]:
        name = self._name(key)
        return Command(HGET_JSON, ("HGET", name, plain(key, field)), name, key, self._json_or(default, undecodable))

    def hmget(
        self, key: str, fields: Iterable[str], *, as_bytes: bool = False, undecodable: Undecodable = "raise"
    ) -> Operation[dict[str, Any]]:
        name, asked, read = self._name(key), key_list(fields, "fields"), self._text_reader(as_bytes, undecodable)
        if not asked:
            return Operation((), lambda _answers: {})
        arguments: Arguments = ("HMGET", name, *[plain(key, field) for field in asked])
        command: Command[list[bytes | None] | None] = Command(HMGET, arguments, name, key, same)

        def combine(answers: list[list[bytes | None] | None]) -> dict[str, Any]:
            values = answers[0] or [None] * len(asked)  # None where the policy fell back
            return {field: read(value, key) for field, value in zip(asked, values, strict=True)}

        return Operation((command,), combine)

    def hexists(self, key: str, field: str) -> Command[bool]:
        name = self._name(key)
        return Command(HEXISTS, ("HEXISTS", name, plain(key, field)), name, key, truth)

    def hgetall(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Command[dict[Any, Any]]:
        name = self._name(key)
        return Command(HGETALL, ("HGETALL", name), name, key, self._mapping_reader(text, as_bytes, undecodable))

    def hgetall_json(self, key: str, *, undecodable: Undecodable = "raise") -> Command[dict[str, Any]]:
        name = self._name(key)
        return Command(HGETALL, ("HGETALL", name), name, key, self._mapping_reader(from_json, False, undecodable))

    def hdel(self, key: str, *fields: str) -> Operation[int]:
        name = self._name(key)
        if not fields:
            return Operation((), sum)
        return Command(HDEL, ("HDEL", name, *[plain(key, field) for field in fields]), name, key, same)

    def hincrby(self, key: str, field: str, amount: int = 1) -> Command[int]:
        name = self._name(key)
        return Command(HINCRBY, ("HINCRBY", name, plain(key, field), whole("amount", amount)), name, key, same)

    def hexpire(self, key: str, ttl_seconds: Seconds, *fields: str) -> Operation[int]:
        name, ttl = self._name(key), milliseconds(ttl_seconds, LONGEST_FIELD_MS)
        if not fields:
            return Operation((), sum)
        arguments: Arguments = ("HPEXPIRE", name, ttl, "FIELDS", len(fields), *[plain(key, field) for field in fields])
        return Command(HEXPIRE, arguments, name, key, count_ones)

    def httl(self, key: str, field: str) -> Command[float | None]:
        name = self._name(key)
        return Command(HTTL, ("HPTTL", name, "FIELDS", 1, plain(key, field)), name, key, field_seconds_left)
