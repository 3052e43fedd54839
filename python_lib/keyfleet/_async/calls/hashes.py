# SPDX-License-Identifier: MIT
"""The calls for hashes and their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._protocol.builder import Value
from ..lifecycle import AsyncClientBase


class AsyncHashCalls(AsyncClientBase):
    """Hashes whose fields hold texts, numbers or JSON."""

    async def hset(self, key: str, fields: Mapping[str, Value]) -> int:
        """Store *fields* in the hash *key*, others stay; return how many are new."""
        return await self._run(self._commands.hset(key, fields))

    async def hset_json(self, key: str, fields: Mapping[str, Any]) -> int:
        """Store the value of each field as JSON; otherwise like `hset`."""
        return await self._run(self._commands.hset_json(key, fields))

    async def hget(self, key: str, field: str) -> str | None:
        """Return one field of the hash *key*, None if there is no such field or key; DecodeError if it is not UTF-8."""
        return await self._run(self._commands.hget(key, field))

    async def hget_json(self, key: str, field: str, default: Any = None) -> Any:
        """Return what the JSON in one field means, *default* if there is no such field or key; DecodeError if it is not JSON."""
        return await self._run(self._commands.hget_json(key, field, default))

    async def hgetall(self, key: str) -> dict[str, str]:
        """Return all fields of the hash *key*, none if it does not exist; DecodeError if one is not UTF-8."""
        return await self._run(self._commands.hgetall(key))

    async def hgetall_json(self, key: str) -> dict[str, Any]:
        """Return what the JSON in all fields of the hash *key* means, none if it does not exist; DecodeError if one is not JSON."""
        return await self._run(self._commands.hgetall_json(key))

    async def hdel(self, key: str, *fields: str) -> int:
        """Delete *fields* of the hash *key* and return how many existed; the last field takes the key with it."""
        return await self._run(self._commands.hdel(key, *fields))

    async def hincrby(self, key: str, field: str, amount: int = 1) -> int:
        """Add *amount* to the whole number in *field*, 0 if it does not exist, and return the sum; OutcomeUnknown if the reply was lost."""
        return await self._run(self._commands.hincrby(key, field, amount))

    async def hexpire(self, key: str, ttl_seconds: float, *fields: str) -> int:
        """
        Let *fields* of the hash *key* live *ttl_seconds* from now and return how many of them exist.

        Raises:
            DeniedError: on a server without lives of fields; Redis has them from 7.4, Valkey from 9.0.
        """
        return await self._run(self._commands.hexpire(key, ttl_seconds, *fields))

    async def httl(self, key: str, field: str) -> float | None:
        """Return the seconds that *field* has to live, like `ttl` does for a key; DeniedError like `hexpire`."""
        return await self._run(self._commands.httl(key, field))
