# SPDX-License-Identifier: MIT
"""Operations on sorted sets: members with a score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..arguments import Value, exclusive, plain, real, whole
from ..command import Command, Operation
from ..kinds import ZADD, ZADD_ONCE, ZCARD, ZCOUNT, ZINCRBY, ZPOPMAX, ZPOPMIN, ZRANGE, ZRANK, ZREM, ZREMRANGEBYSCORE, ZSCORE
from ..replies import Reader, number, same
from .base import Arguments, BaseOperations, Undecodable

Bound = float | str


class SortedSetOperations(BaseOperations):
    """Operations on sorted sets."""

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
    ) -> Operation[int]:
        name = self._name(key)
        if not isinstance(scores, Mapping):
            raise TypeError(f"scores is of type {type(scores).__name__}; give a mapping of members to scores")
        options = exclusive(nx=nx, xx=xx, gt=gt, lt=lt)
        if not scores:
            return Operation((), sum)
        arguments: list[Value] = ["ZADD", name, *options, *(["CH"] if changed else [])]
        for member, score in scores.items():
            arguments += (real("score", score), plain(key, member))
        return Command(ZADD_ONCE if options else ZADD, tuple(arguments), name, key, same)

    def zincrby(self, key: str, member: Value, amount: float = 1) -> Command[float]:
        name = self._name(key)
        return Command(ZINCRBY, ("ZINCRBY", name, real("amount", amount), plain(key, member)), name, key, number)

    def zrem(self, key: str, *members: Value) -> Operation[int]:
        name = self._name(key)
        if not members:
            return Operation((), sum)
        return Command(ZREM, ("ZREM", name, *[plain(key, member) for member in members]), name, key, same)

    def zscore(self, key: str, member: Value) -> Command[float | None]:
        name = self._name(key)
        return Command(ZSCORE, ("ZSCORE", name, plain(key, member)), name, key, number)

    def zrank(self, key: str, member: Value) -> Command[int | None]:
        name = self._name(key)
        return Command(ZRANK, ("ZRANK", name, plain(key, member)), name, key, same)

    def zcard(self, key: str) -> Command[int]:
        name = self._name(key)
        return Command(ZCARD, ("ZCARD", name), name, key, same)

    def zcount(self, key: str, lowest: Bound = "-inf", highest: Bound = "+inf") -> Command[int]:
        name = self._name(key)
        return Command(ZCOUNT, ("ZCOUNT", name, _bound("lowest", lowest), _bound("highest", highest)), name, key, same)

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
    ) -> Command[list[Any]]:
        name = self._name(key)
        arguments: Arguments = ("ZRANGE", name, whole("start", start), whole("stop", stop), *(["REV"] if reverse else []))
        return self._range(arguments, key, withscores, as_bytes, undecodable)

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
    ) -> Command[list[Any]]:
        name, low, high = self._name(key), _bound("lowest", lowest), _bound("highest", highest)
        arguments: list[Value] = ["ZRANGE", name, *((high, low) if reverse else (low, high)), "BYSCORE", *(["REV"] if reverse else [])]
        if count is not None or offset:
            arguments += ("LIMIT", whole("offset", offset), -1 if count is None else whole("count", count))
        return self._range(tuple(arguments), key, withscores, as_bytes, undecodable)

    def _range(self, arguments: Arguments, key: str, withscores: bool, as_bytes: bool, undecodable: Undecodable) -> Command[list[Any]]:
        name = str(arguments[1])
        if withscores:
            return Command(ZRANGE, (*arguments, "WITHSCORES"), name, key, self._scored_reader(as_bytes, undecodable))
        return Command(ZRANGE, arguments, name, key, self._texts_reader(as_bytes, undecodable))

    def zremrangebyscore(self, key: str, lowest: Bound, highest: Bound) -> Command[int]:
        name = self._name(key)
        arguments: Arguments = ("ZREMRANGEBYSCORE", name, _bound("lowest", lowest), _bound("highest", highest))
        return Command(ZREMRANGEBYSCORE, arguments, name, key, same)

    def zpopmin(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Command[tuple[Any, float] | None]:
        name = self._name(key)
        return Command(ZPOPMIN, ("ZPOPMIN", name), name, key, self._popped_reader(as_bytes, undecodable))

    def zpopmax(self, key: str, *, as_bytes: bool = False, undecodable: Undecodable = "raise") -> Command[tuple[Any, float] | None]:
        name = self._name(key)
        return Command(ZPOPMAX, ("ZPOPMAX", name), name, key, self._popped_reader(as_bytes, undecodable))

    def _popped_reader(self, as_bytes: bool, undecodable: Undecodable) -> Reader:
        read = self._text_reader(as_bytes, undecodable)
        return lambda reply, key: (read(reply[0], key), number(reply[1], key)) if reply else None

    def _scored_reader(self, as_bytes: bool, undecodable: Undecodable) -> Reader:
        read = self._text_reader(as_bytes, undecodable)

        def scored(reply: list[bytes], key: str) -> list[tuple[Any, float]]:
            pairs = [(read(member, key), float(score)) for member, score in zip(reply[::2], reply[1::2], strict=True)]
            return [pair for pair in pairs if pair[0] is not None]

        return scored


def _bound(called: str, score: Bound) -> Value:
    """Return one end of a range of scores: a number, or a text as ``(5``, which is without 5 itself, and ``-inf``."""
    if not isinstance(score, str):
        return real(called, score)
    try:
        real(called, float(score.removeprefix("(")))
    except ValueError:
        allowed = "numbers, +inf, -inf, and one behind (, which is excluded then"
        raise ValueError(f"{called} is {score!r}; allowed: {allowed}") from None
    return score
