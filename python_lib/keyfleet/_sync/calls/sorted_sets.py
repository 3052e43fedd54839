# SPDX-License-Identifier: MIT - made from _async/calls/sorted_sets.py by scripts/generate_sync.py; change that one
"""The calls for sorted sets: members with a score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, overload

from ..._protocol.arguments import Value
from ..._protocol.building.base import Undecodable
from ..._protocol.building.sorted_sets import Bound
from ..lifecycle import ClientBase


class SortedSetCalls(ClientBase):
    """Sorted sets: members in the order of their scores, which are floats."""

    def zadd(
        self,
        key: str,
        scores: Mapping[Any, float],
        *,
        nx: bool = False,
        xx: bool = False,
        gt: bool = False,
        lt: bool = False,
        changed: bool = False,
    ) -> int:
        """
        Give members of the sorted set *key* their scores, and return how many are new.

        Args:
            scores: Score by member; members are texts, bytes or numbers.
            nx, xx: Only those that are not in it, or only those that are; a lost reply raises OutcomeUnknown then, also with *gt*, *lt*.
            gt, lt: Change a score only to a higher, or only to a lower one; new members are added.
            changed: Return how many are new or got another score.
        Raises:
            ValueError: if options exclude each other, or a score is NaN.
        """
        return self._run(self._commands.zadd(key, scores, nx=nx, xx=xx, gt=gt, lt=lt, changed=changed))

    def zincrby(self, key: str, member: Value, amount: float = 1) -> float:
        """Add *amount* to the score of *member*, 0 if it is not in the sorted set *key*, and return the sum; OutcomeUnknown like `incr`."""
        return self._run(self._commands.zincrby(key, member, amount))

    def zrem(self, key: str, *members: Value) -> int:
        """Remove *members* from the sorted set *key* and return how many were in it; the last one takes the key with it."""
        return self._run(self._commands.zrem(key, *members))

    def zscore(self, key: str, member: Value) -> float | None:
        """Return the score of *member*, None if it is not in the sorted set *key*."""
        return self._run(self._commands.zscore(key, member))

    def zrank(self, key: str, member: Value) -> int | None:
        """Return the position of *member*, 0 for the lowest score, None if it is not in the sorted set *key*."""
        return self._run(self._commands.zrank(key, member))

    def zcard(self, key: str) -> int:
        """Return how many members the sorted set *key* has."""
        return self._run(self._commands.zcard(key))

    def zcount(self, key: str, lowest: Bound = "-inf", highest: Bound = "+inf") -> int:
        """Return how many members have a score from *lowest* to *highest*; bounds as for `zrangebyscore`."""
        return self._run(self._commands.zcount(key, lowest, highest))

    @overload
    def zrange(
        self,
        key: str,
        start: int = 0,
        stop: int = -1,
        *,
        reverse: bool = False,
        withscores: Literal[False] = False,
        as_bytes: Literal[False] = False,
        undecodable: Undecodable = "raise",
    ) -> list[str]: ...

    @overload
    def zrange(
        self,
        key: str,
        start: int = 0,
        stop: int = -1,
        *,
        reverse: bool = False,
        withscores: Literal[False] = False,
        as_bytes: Literal[True],
        undecodable: Undecodable = "raise",
    ) -> list[bytes]: ...

    @overload
    def zrange(
        self,
        key: str,
        start: int = 0,
        stop: int = -1,
        *,
        reverse: bool = False,
        withscores: Literal[True],
        as_bytes: Literal[False] = False,
        undecodable: Undecodable = "raise",
    ) -> list[tuple[str, float]]: ...

    @overload
    def zrange(
        self,
        key: str,
        start: int = 0,
        stop: int = -1,
        *,
        reverse: bool = False,
        withscores: Literal[True],
        as_bytes: Literal[True],
        undecodable: Undecodable = "raise",
    ) -> list[tuple[bytes, float]]: ...

    def zrange(
        self,
        key: str,
        start: int = 0,
        stop: int = -1,
        *,
        reverse: bool = False,
        withscores: bool = False,
        as_bytes: bool = False,
        undecodable: Undecodable = "raise",
    ) -> list[Any]:
        """
        Return the members from position *start* to *stop*, both included, the lowest score first.

        Args:
            start, stop: Negative ones count from the end, -1 is the last.
            reverse: Count and return from the highest score on.
            withscores: Return pairs of member and score.
            as_bytes: Return members as they are instead of as texts.
            undecodable: Whether a member that is not UTF-8 raises DecodeError, or is logged, counted and left out.
        """
        return self._run(
            self._commands.zrange(key, start, stop, reverse=reverse, withscores=withscores, as_bytes=as_bytes, undecodable=undecodable)
        )

    @overload
    def zrangebyscore(
        self,
        key: str,
        lowest: Bound = "-inf",
        highest: Bound = "+inf",
        *,
        reverse: bool = False,
        offset: int = 0,
        count: int | None = None,
        withscores: Literal[False] = False,
        as_bytes: Literal[False] = False,
        undecodable: Undecodable = "raise",
    ) -> list[str]: ...

    @overload
    def zrangebyscore(
        self,
        key: str,
        lowest: Bound = "-inf",
        highest: Bound = "+inf",
        *,
        reverse: bool = False,
        offset: int = 0,
        count: int | None = None,
        withscores: Literal[False] = False,
        as_bytes: Literal[True],
        undecodable: Undecodable = "raise",
    ) -> list[bytes]: ...

    @overload
    def zrangebyscore(
        self,
        key: str,
        lowest: Bound = "-inf",
        highest: Bound = "+inf",
        *,
        reverse: bool = False,
        offset: int = 0,
        count: int | None = None,
        withscores: Literal[True],
        as_bytes: Literal[False] = False,
        undecodable: Undecodable = "raise",
    ) -> list[tuple[str, float]]: ...

    @overload
    def zrangebyscore(
        self,
        key: str,
        lowest: Bound = "-inf",
        highest: Bound = "+inf",
        *,
        reverse: bool = False,
        offset: int = 0,
        count: int | None = None,
        withscores: Literal[True],
        as_bytes: Literal[True],
        undecodable: Undecodable = "raise",
    ) -> list[tuple[bytes, float]]: ...

    def zrangebyscore(
        self,
        key: str,
        lowest: Bound = "-inf",
        highest: Bound = "+inf",
        *,
        reverse: bool = False,
        offset: int = 0,
        count: int | None = None,
        withscores: bool = False,
        as_bytes: bool = False,
        undecodable: Undecodable = "raise",
    ) -> list[Any]:
        """
        Return the members with a score from *lowest* to *highest*, the lowest score first.

        Args:
            lowest, highest: Numbers, included; a text as ``"(5"`` excludes 5 itself, ``"-inf"`` and ``"+inf"`` are open ends.
            reverse: Return the highest score first.
            offset, count: Skip so many, and return at most so many; None for all.
            withscores, as_bytes, undecodable: As for `zrange`.
        """
        return self._run(
            self._commands.zrangebyscore(
                key,
                lowest,
                highest,
                reverse=reverse,
                offset=offset,
                count=count,
                withscores=withscores,
                as_bytes=as_bytes,
                undecodable=undecodable,
            )
        )

    def zremrangebyscore(self, key: str, lowest: Bound, highest: Bound) -> int:
        """Remove the members with a score from *lowest* to *highest* and return how many; bounds as for `zrangebyscore`."""
        return self._run(self._commands.zremrangebyscore(key, lowest, highest))

    @overload
    def zpopmin(self, key: str, *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise") -> tuple[str, float] | None: ...

    @overload
    def zpopmin(self, key: str, *, as_bytes: Literal[True], undecodable: Undecodable = "raise") -> tuple[bytes, float] | None: ...

    def zpopmin(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> tuple[Any, float] | None:
        """Take the member with the lowest score, return it and the score, None if there is none; options and errors as for `lpop`."""
        return self._run(self._commands.zpopmin(key, as_bytes=as_bytes, undecodable=undecodable))

    @overload
    def zpopmax(self, key: str, *, as_bytes: Literal[False] = False, undecodable: Undecodable = "raise") -> tuple[str, float] | None: ...

    @overload
    def zpopmax(self, key: str, *, as_bytes: Literal[True], undecodable: Undecodable = "raise") -> tuple[bytes, float] | None: ...

    def zpopmax(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> tuple[Any, float] | None:
        """Take the member with the highest score; otherwise like `zpopmin`."""
        return self._run(self._commands.zpopmax(key, as_bytes=as_bytes, undecodable=undecodable))
