# SPDX-License-Identifier: MIT
"""The calls for hashes and their fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, overload

from ..._protocol.arguments import Seconds, Value
from ..._protocol.building.base import Undecodable
from ..._protocol.kinds import MISSING
from ..lifecycle import AsyncClientBase


class AsyncHashCalls(AsyncClientBase):
    """Hashes whose fields hold texts, numbers or JSON."""

    @overload
    async def hset(self, key: str, fields: Mapping[str, Value]) -> int: ...

    @overload
    async def hset(self, key: str, fields: str, value: Value) -> int: ...

    async def hset(self, key: str, fields: Mapping[str, Value] | str, value: Any = MISSING) -> int:
        """
        Store *fields* in the hash *key*, others stay; return how many are new.

        Args:
            fields: Values by field; or one field, whose value is *value*.
        """
        return await self._run(self._commands.hset(key, fields, value))

    @overload
    async def hset_json(self, key: str, fields: Mapping[str, Any]) -> int: ...

    @overload
    async def hset_json(self, key: str, fields: str, value: Any) -> int: ...

    async def hset_json(self, key: str, fields: Mapping[str, Any] | str, value: Any = MISSING) -> int:
        """Store the value of each field as JSON; otherwise like `hset`."""
        return await self._run(self._commands.hset_json(key, fields, value))

    @overload
    async def hget(self, key: str, field: str, *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise") -> str | None: ...

    @overload
    async def hget(self, key: str, field: str, *, as_bytes: Literal[True], undecodable: Undecodable = "raise") -> bytes | None: ...

    async def hget(self, key: str, field: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Any:
        """
        Return one field of the hash *key*, None if there is no such field or key.

        Args:
            as_bytes: Return the value as it is instead of as a text.
            undecodable: Whether a value that is not UTF-8 raises DecodeError, or is logged, counted and taken for missing.
        """
        return await self._run(self._commands.hget(key, field, as_bytes=as_bytes, undecodable=undecodable))

    async def hget_json(self, key: str, field: str, default: Any = None, *, undecodable: Undecodable = "raise") -> Any:
        """Return what the JSON in one field means, *default* if there is no such field or key; *undecodable* as for `get_json`."""
        return await self._run(self._commands.hget_json(key, field, default, undecodable=undecodable))

    @overload
    async def hmget(
        self, key: str, fields: Iterable[str], *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise"
    ) -> dict[str, str | None]: ...

    @overload
    async def hmget(
        self, key: str, fields: Iterable[str], *, as_bytes: Literal[True], undecodable: Undecodable = "raise"
    ) -> dict[str, bytes | None]: ...

    async def hmget(self, key: str, fields: Iterable[str], *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> dict[str, Any]:
        """Return the value of each of *fields* of the hash *key*, None where there is none; options as for `hget`."""
        return await self._run(self._commands.hmget(key, fields, as_bytes=as_bytes, undecodable=undecodable))

    async def hexists(self, key: str, field: str) -> bool:
        """Return whether the hash *key* has *field*."""
        return await self._run(self._commands.hexists(key, field))

    @overload
    async def hgetall(self, key: str, *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise") -> dict[str, str]: ...

    @overload
    async def hgetall(self, key: str, *, as_bytes: Literal[True], undecodable: Undecodable = "raise") -> dict[bytes, bytes]: ...

    async def hgetall(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> dict[Any, Any]:
        """
        Return all fields of the hash *key*, none if it does not exist.

        Args:
            as_bytes: Return fields and values as they are instead of as texts.
            undecodable: Whether a field or value that is not UTF-8 raises DecodeError, or is logged, counted and left out.
        """
        return await self._run(self._commands.hgetall(key, as_bytes=as_bytes, undecodable=undecodable))

    async def hgetall_json(self, key: str, *, undecodable: Undecodable = "raise") -> dict[str, Any]:
        """Return what the JSON in all fields of the hash *key* means, none if it does not exist; *undecodable* as for `hgetall`."""
        return await self._run(self._commands.hgetall_json(key, undecodable=undecodable))

    async def hdel(self, key: str, *fields: str) -> int:
        """Delete *fields* of the hash *key* and return how many existed; the last field takes the key with it."""
        return await self._run(self._commands.hdel(key, *fields))

    async def hincrby(self, key: str, field: str, amount: int = 1) -> int:
        """Add *amount* to the whole number in *field*, 0 if it does not exist, and return the sum; OutcomeUnknown if the reply was lost."""
        return await self._run(self._commands.hincrby(key, field, amount))

    async def hexpire(self, key: str, ttl_seconds: Seconds, *fields: str) -> int:
        """
        Let *fields* of the hash *key* expire *ttl_seconds* from now and return how many of them exist.

        Raises:
            DeniedError: on a server without TTLs of fields; Redis has them from 7.4, Valkey from 9.0.
        """
        return await self._run(self._commands.hexpire(key, ttl_seconds, *fields))

    async def httl(self, key: str, field: str) -> float | None:
        """Return the seconds that *field* has to live, like `ttl` does for a key; DeniedError like `hexpire`."""
        return await self._run(self._commands.httl(key, field))
