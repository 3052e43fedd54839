# SPDX-License-Identifier: MIT
"""The calls for sets."""

from __future__ import annotations

from typing import Any, Literal, overload

from ..._protocol.arguments import Value
from ..._protocol.building.base import Undecodable
from ..lifecycle import AsyncClientBase


class AsyncSetCalls(AsyncClientBase):
    """Sets of texts or numbers."""

    async def sadd(self, key: str, *members: Value) -> int:
        """Put *members* into the set *key* and return how many are new; one added by an attempt whose reply was lost is not counted."""
        return await self._run(self._commands.sadd(key, *members))

    async def srem(self, key: str, *members: Value) -> int:
        """Remove *members* from the set *key* and return how many were in it; the last one takes the key with it."""
        return await self._run(self._commands.srem(key, *members))

    @overload
    async def smembers(self, key: str, *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise") -> set[str]: ...

    @overload
    async def smembers(self, key: str, *, as_bytes: Literal[True], undecodable: Undecodable = "raise") -> set[bytes]: ...

    async def smembers(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> set[Any]:
        """
        Return all members of the set *key*, none if it does not exist.

        Args:
            as_bytes: Return members as they are instead of as texts.
            undecodable: Whether a member that is not UTF-8 raises DecodeError, or is logged, counted and left out.
        """
        return await self._run(self._commands.smembers(key, as_bytes=as_bytes, undecodable=undecodable))

    async def sismember(self, key: str, member: Value) -> bool:
        """Return whether *member* is in the set *key*."""
        return await self._run(self._commands.sismember(key, member))

    async def smismember(self, key: str, *members: Value) -> list[bool]:
        """Return for each of *members* whether it is in the set *key*."""
        return await self._run(self._commands.smismember(key, *members))

    async def scard(self, key: str) -> int:
        """Return how many members the set *key* has."""
        return await self._run(self._commands.scard(key))

    @overload
    async def spop(self, key: str, *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise") -> str | None: ...

    @overload
    async def spop(self, key: str, *, as_bytes: Literal[True], undecodable: Undecodable = "raise") -> bytes | None: ...

    async def spop(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Any:
        """Take a random member out of the set *key* and return it, None if there is none; options and errors as for `lpop`."""
        return await self._run(self._commands.spop(key, as_bytes=as_bytes, undecodable=undecodable))

    @overload
    async def srandmember(
        self, key: str, count: int = 1, *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise"
    ) -> list[str]: ...

    @overload
    async def srandmember(
        self, key: str, count: int = 1, *, as_bytes: Literal[True], undecodable: Undecodable = "raise"
    ) -> list[bytes]: ...

    async def srandmember(self, key: str, count: int = 1, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> list[Any]:
        """
        Return up to *count* random members of the set *key*, none twice; if *count* is negative, that many, some perhaps twice.

        Args:
            as_bytes, undecodable: As for `smembers`.
        """
        return await self._run(self._commands.srandmember(key, count, as_bytes=as_bytes, undecodable=undecodable))
