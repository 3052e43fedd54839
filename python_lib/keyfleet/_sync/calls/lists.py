# SPDX-License-Identifier: MIT - made from _async/calls/lists.py by scripts/generate_sync.py; change that one
"""The calls for lists as queues; those that wait for an element take a connection of their own."""

from __future__ import annotations

from typing import Any, Literal, overload

from ..._protocol.arguments import Seconds, Value
from ..._protocol.building.base import Undecodable
from ..._protocol.building.lists import Side
from ..lifecycle import ClientBase


class ListCalls(ClientBase):
    """Lists of texts, used as queues."""

    def lpush(self, key: str, *values: Value) -> int:
        """Put each of *values* before the first element of the list *key* and return how many it has then; OutcomeUnknown like `incr`."""
        return self._run(self._commands.lpush(key, *values))

    def rpush(self, key: str, *values: Value) -> int:
        """Put *values* behind the last element; otherwise like `lpush`."""
        return self._run(self._commands.rpush(key, *values))

    @overload
    def lpop(self, key: str, *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise") -> str | None: ...

    @overload
    def lpop(self, key: str, *, as_bytes: Literal[True], undecodable: Undecodable = "raise") -> bytes | None: ...

    def lpop(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Any:
        """
        Take the first element off the list *key* and return it, None if there is none.

        Args:
            as_bytes: Return the element as it is instead of as a text.
            undecodable: Whether an element that is not UTF-8 raises DecodeError, in whose ``data`` it is, or is logged, counted and
                taken for missing; it is off the list in both cases.
        Raises:
            OutcomeUnknown: if the reply was lost; an element may be gone. `lmove` and `blmove` lose none.
        """
        return self._run(self._commands.lpop(key, as_bytes=as_bytes, undecodable=undecodable))

    @overload
    def rpop(self, key: str, *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise") -> str | None: ...

    @overload
    def rpop(self, key: str, *, as_bytes: Literal[True], undecodable: Undecodable = "raise") -> bytes | None: ...

    def rpop(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Any:
        """Take the last element; otherwise like `lpop`."""
        return self._run(self._commands.rpop(key, as_bytes=as_bytes, undecodable=undecodable))

    def llen(self, key: str) -> int:
        """Return how many elements the list *key* has."""
        return self._run(self._commands.llen(key))

    @overload
    def lrange(
        self, key: str, start: int = 0, stop: int = -1, *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise"
    ) -> list[str]: ...

    @overload
    def lrange(
        self, key: str, start: int = 0, stop: int = -1, *, as_bytes: Literal[True], undecodable: Undecodable = "raise"
    ) -> list[bytes]: ...

    def lrange(self, key: str, start: int = 0, stop: int = -1, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> list[Any]:
        """
        Return the elements from position *start* to *stop*, both included; negative ones count from the end, -1 is the last.

        Args:
            as_bytes: Return elements as they are instead of as texts.
            undecodable: Whether an element that is not UTF-8 raises DecodeError, or is logged, counted and left out.
        """
        return self._run(self._commands.lrange(key, start, stop, as_bytes=as_bytes, undecodable=undecodable))

    def lrem(self, key: str, value: Value, count: int = 1) -> int:
        """
        Remove elements equal to *value* from the list *key* and return how many were removed.

        Args:
            count: Most elements to remove, from the first on; if negative, from the last on; 0 for all.
        """
        return self._run(self._commands.lrem(key, value, count))

    @overload
    def lmove(
        self,
        source: str,
        destination: str,
        *,
        take: Side = "left",
        put: Side = "right",
        as_bytes: Literal[False] = False,
        undecodable: Undecodable = "raise",
    ) -> str | None: ...

    @overload
    def lmove(
        self,
        source: str,
        destination: str,
        *,
        take: Side = "left",
        put: Side = "right",
        as_bytes: Literal[True],
        undecodable: Undecodable = "raise",
    ) -> bytes | None: ...

    def lmove(
        self,
        source: str,
        destination: str,
        *,
        take: Side = "left",
        put: Side = "right",
        as_bytes: bool = False,
        undecodable: Undecodable = "raise",
    ) -> Any:
        """
        Move one element from one list to another, or within one, in one step and return it, None if there is none.

        Args:
            source, destination: Lists; on a cluster both in one slot.
            take, put: Ends of *source* and of *destination*.
            as_bytes, undecodable: As for `lpop`; the element is moved in any case.
        """
        return self._run(self._commands.lmove(source, destination, take=take, put=put, as_bytes=as_bytes, undecodable=undecodable))

    @overload
    def blpop(
        self, *keys: str, timeout_seconds: Seconds, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise"
    ) -> tuple[str, str] | None: ...

    @overload
    def blpop(
        self, *keys: str, timeout_seconds: Seconds, as_bytes: Literal[True], undecodable: Undecodable = "raise"
    ) -> tuple[str, bytes] | None: ...

    def blpop(
        self, *keys: str, timeout_seconds: Seconds, as_bytes: bool = False, undecodable: Undecodable = "raise"
    ) -> tuple[str, Any] | None:
        """
        Take the first element off the first of the lists *keys* that has one; wait until one has.

        Args:
            keys: On a cluster all in one slot.
            timeout_seconds: Longest wait, 0 for no limit. The budget of the call comes on top, for connecting and for the reply.
            as_bytes, undecodable: As for `lpop`; an element that is taken for missing is None.
        Returns:
            The key and the element, None if the time was over.
        Raises:
            OutcomeUnknown: if the connection ended meanwhile; an element may be gone. `blmove` loses none.
            ValueError: if there are no keys, or on a cluster more than one slot, or the timeout is negative.
        """
        operation = self._commands.blpop(*keys, timeout_seconds=timeout_seconds, as_bytes=as_bytes, undecodable=undecodable)
        return self._run(operation)

    @overload
    def brpop(
        self, *keys: str, timeout_seconds: Seconds, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise"
    ) -> tuple[str, str] | None: ...

    @overload
    def brpop(
        self, *keys: str, timeout_seconds: Seconds, as_bytes: Literal[True], undecodable: Undecodable = "raise"
    ) -> tuple[str, bytes] | None: ...

    def brpop(
        self, *keys: str, timeout_seconds: Seconds, as_bytes: bool = False, undecodable: Undecodable = "raise"
    ) -> tuple[str, Any] | None:
        """Take the last element; otherwise like `blpop`."""
        operation = self._commands.brpop(*keys, timeout_seconds=timeout_seconds, as_bytes=as_bytes, undecodable=undecodable)
        return self._run(operation)

    @overload
    def blmove(
        self,
        source: str,
        destination: str,
        *,
        timeout_seconds: Seconds,
        take: Side = "left",
        put: Side = "right",
        as_bytes: Literal[False] = False,
        undecodable: Undecodable = "raise",
    ) -> str | None: ...

    @overload
    def blmove(
        self,
        source: str,
        destination: str,
        *,
        timeout_seconds: Seconds,
        take: Side = "left",
        put: Side = "right",
        as_bytes: Literal[True],
        undecodable: Undecodable = "raise",
    ) -> bytes | None: ...

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
    ) -> Any:
        """
        Like `lmove`; wait until *source* has an element, like `blpop`.

        A worker that moves each job to a list of its own, and removes it there with `lrem` when it is done, loses none: after
        OutcomeUnknown or a crash, what it had taken is in that list.
        """
        return self._run(
            self._commands.blmove(
                source, destination, timeout_seconds=timeout_seconds, take=take, put=put, as_bytes=as_bytes, undecodable=undecodable
            )
        )
