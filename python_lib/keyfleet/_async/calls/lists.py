# SPDX-License-Identifier: MIT
"""The calls for lists as queues; those that wait for an element take a connection of their own."""

from __future__ import annotations

from ..._protocol.builder import Side, Value
from ..lifecycle import AsyncClientBase


class AsyncListCalls(AsyncClientBase):
    """Lists of texts, used as queues."""

    async def lpush(self, key: str, *values: Value) -> int:
        """Put each of *values* before the first element of the list *key* and return how many it has then; OutcomeUnknown like `incr`."""
        return await self._run(self._commands.lpush(key, *values))

    async def rpush(self, key: str, *values: Value) -> int:
        """Put *values* behind the last element; otherwise like `lpush`."""
        return await self._run(self._commands.rpush(key, *values))

    async def lpop(self, key: str) -> str | None:
        """
        Take the first element off the list *key* and return it, None if there is none.

        Raises:
            OutcomeUnknown: if the reply was lost; an element may be gone. `lmove` and `blmove` lose none.
            DecodeError: if the element is not UTF-8; it is gone as well.
        """
        return await self._run(self._commands.lpop(key))

    async def rpop(self, key: str) -> str | None:
        """Take the last element; otherwise like `lpop`."""
        return await self._run(self._commands.rpop(key))

    async def llen(self, key: str) -> int:
        """Return how many elements the list *key* has."""
        return await self._run(self._commands.llen(key))

    async def lrange(self, key: str, start: int = 0, stop: int = -1) -> list[str]:
        """Return the elements from position *start* to *stop*, both included; negative ones count from the end, -1 is the last."""
        return await self._run(self._commands.lrange(key, start, stop))

    async def lrem(self, key: str, value: Value, count: int = 1) -> int:
        """
        Remove elements equal to *value* from the list *key* and return how many were removed.

        Args:
            count: Most elements to remove, from the first on; if negative, from the last on; 0 for all.
        """
        return await self._run(self._commands.lrem(key, value, count))

    async def lmove(self, source: str, destination: str, *, take: Side = "left", put: Side = "right") -> str | None:
        """
        Move one element from one list to another, or within one, in one step and return it, None if there is none.

        Args:
            source, destination: Lists; on a cluster both in one slot.
            take, put: Ends of *source* and of *destination*.
        """
        return await self._run(self._commands.lmove(source, destination, take=take, put=put))

    async def blpop(self, *keys: str, timeout_seconds: float) -> tuple[str, str] | None:
        """
        Take the first element off the first of the lists *keys* that has one; wait until one has.

        Args:
            keys: On a cluster all in one slot.
            timeout_seconds: Longest wait, 0 for ever. The budget of the call comes on top, for connecting and for the reply.
        Returns:
            The key and the element, None if the time was over.
        Raises:
            OutcomeUnknown: if the connection ended meanwhile; an element may be gone. `blmove` loses none.
            ValueError: if there are no keys, or on a cluster more than one slot, or the timeout is negative.
        """
        return await self._run(self._commands.blpop(*keys, timeout_seconds=timeout_seconds))

    async def brpop(self, *keys: str, timeout_seconds: float) -> tuple[str, str] | None:
        """Take the last element; otherwise like `blpop`."""
        return await self._run(self._commands.brpop(*keys, timeout_seconds=timeout_seconds))

    async def blmove(
        self, source: str, destination: str, *, timeout_seconds: float, take: Side = "left", put: Side = "right"
    ) -> str | None:
        """
        Like `lmove`; wait until *source* has an element, like `blpop`.

        A worker that moves each job to a list of its own, and removes it there with `lrem` when it is done, loses none: after
        OutcomeUnknown or a crash, what it had taken is in that list.
        """
        return await self._run(self._commands.blmove(source, destination, timeout_seconds=timeout_seconds, take=take, put=put))
