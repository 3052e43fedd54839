# SPDX-License-Identifier: MIT - made from _async/calls/sets.py by scripts/generate_sync.py; change that one
"""The calls for sets."""

from __future__ import annotations

from typing import Any, Literal, overload

from ..._protocol.arguments import Value
from ..._protocol.building.base import Undecodable
from ..lifecycle import ClientBase


class SetCalls(ClientBase):
    """Sets of texts or numbers."""

    def sadd(self, key: str, *members: Value) -> int:
        """Put *members* into the set *key* and return how many are new; one added by an attempt whose reply was lost is not counted."""
        return self._run(self._commands.sadd(key, *members))

    def srem(self, key: str, *members: Value) -> int:
        """Remove *members* from the set *key* and return how many were in it; the last one takes the key with it."""
        return self._run(self._commands.srem(key, *members))

    @overload
    def smembers(self, key: str, *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise") -> set[str]: ...

    @overload
    def smembers(self, key: str, *, as_bytes: Literal[True], undecodable: Undecodable = "raise") -> set[bytes]: ...

    def smembers(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> set[Any]:
        """
        Return all members of the set *key*, none if it does not exist.

        Args:
            as_bytes: Return members as they are instead of as texts.
            undecodable: Whether a member that is not UTF-8 raises DecodeError, or is logged, counted and left out.
        """
        return self._run(self._commands.smembers(key, as_bytes=as_bytes, undecodable=undecodable))

    def sismember(self, key: str, member: Value) -> bool:
        """Return whether *member* is in the set *key*."""
        return self._run(self._commands.sismember(key, member))

    def smismember(self, key: str, *members: Value) -> list[bool]:
        """Return for each of *members* whether it is in the set *key*."""
        return self._run(self._commands.smismember(key, *members))

    def scard(self, key: str) -> int:
        """Return how many members the set *key* has."""
        return self._run(self._commands.scard(key))

    @overload
    def spop(self, key: str, *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise") -> str | None: ...

    @overload
    def spop(self, key: str, *, as_bytes: Literal[True], undecodable: Undecodable = "raise") -> bytes | None: ...

    def spop(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Any:
        """Take a random member out of the set *key* and return it, None if there is none; options and errors as for `lpop`."""
        return self._run(self._commands.spop(key, as_bytes=as_bytes, undecodable=undecodable))

    @overload
    def srandmember(
        self, key: str, count: int = 1, *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise"
    ) -> list[str]: ...

    @overload
    def srandmember(self, key: str, count: int = 1, *, as_bytes: Literal[True], undecodable: Undecodable = "raise") -> list[bytes]: ...

    def srandmember(self, key: str, count: int = 1, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> list[Any]:
        """
        Return up to *count* random members of the set *key*, none twice; if *count* is negative, that many, some perhaps twice.

        Args:
            as_bytes, undecodable: As for `smembers`.
        """
        return self._run(self._commands.srandmember(key, count, as_bytes=as_bytes, undecodable=undecodable))
