# SPDX-License-Identifier: MIT
"""What all operations need: names of keys with the prefix, times, and where several keys go in one command."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from redis.crc import key_slot

from ...core.errors import DecodeError
from ..command import Command, Kind, Operation
from ..kinds import MISSING
from ..replies import from_json, same
from ..resp import Argument

T = TypeVar("T")

Undecodable = Literal["raise", "miss"]

KEYS_IN_ONE_COMMAND = 1000  # managed services limit the arguments of a command


class BaseOperations:
    """
    Builds operations on keys under one prefix.

    Args:
        prefix: Put before every key.
        is_cluster: Whether the keys of one command have to share a slot.
        note_undecodable: Told of each value that was taken for missing because it is not what it should be.
    """

    def __init__(self, prefix: str, is_cluster: bool = False, note_undecodable: Callable[[DecodeError], None] | None = None) -> None:
        self.prefix, self.is_cluster, self._note_undecodable = prefix, is_cluster, note_undecodable

    def names_in_one_slot(self, keys: Sequence[str]) -> list[str]:
        """
        Return the full names of *keys*, which go into one command.

        Raises:
            ValueError: on a cluster, if they do not share a slot.
        """
        names = [self.prefix + key for key in keys]
        if self.is_cluster:
            slots = [key_slot(name.encode()) for name in names]
            for key, slot in zip(keys, slots, strict=True):
                if slot != slots[0]:
                    raise ValueError(
                        f"keys {keys[0]!r} and {key!r} are in slots {slots[0]} and {slot}; "
                        "on a cluster one command, script or transaction needs keys of one slot: a KeyGroup gives them such names"
                    )
        return names

    def _count(self, kind: Kind, keys: Sequence[str]) -> Operation[int]:
        """Return the sum of what the command of *kind* answers for all *keys*."""
        if len(keys) == 1:
            return self._count_page(kind, keys)
        return Operation([self._count_page(kind, page) for page in self._pages(keys)], sum)

    def _count_page(self, kind: Kind, keys: Sequence[str]) -> Command[int]:
        names = [self.prefix + key for key in keys]
        return Command(kind, (kind.name, *names), names[0], keys[0], same)

    def _pages(self, keys: Sequence[str]) -> list[Sequence[str]]:
        """Return *keys* in portions that one command may name."""
        size = 1 if self.is_cluster else KEYS_IN_ONE_COMMAND
        return [keys[start : start + size] for start in range(0, len(keys), size)]

    def _json_reader(self, undecodable: Undecodable) -> Callable[[bytes | None, str], Any]:
        """Return what decodes JSON, to MISSING if there is none or, if *undecodable* says so, what there is is not JSON."""
        return from_json if undecodable == "raise" else self._from_json_or_missing

    def _from_json_or_missing(self, reply: bytes | None, key: str) -> Any:
        try:
            return from_json(reply, key)
        except DecodeError as error:
            if self._note_undecodable is not None:
                self._note_undecodable(error)
            return MISSING


def milliseconds(seconds: float) -> int:
    """Return whole milliseconds, at least 1: the server refuses 0, and rounding down would end a life too early."""
    if not 0 < seconds < math.inf:
        raise ValueError(f"ttl_seconds is {seconds}; it must be above 0 and finite")
    return math.ceil(seconds * 1000)


def block_seconds(timeout_seconds: float) -> float:
    """Return how long the server may wait, in whole milliseconds: what is less would be 0 to some servers, which is for ever."""
    if not 0 <= timeout_seconds < math.inf:
        raise ValueError(f"timeout_seconds is {timeout_seconds}; allowed are numbers above 0, and 0 for ever")
    return math.ceil(timeout_seconds * 1000) / 1000


def or_default(command: Command[Any], default: Any) -> Operation[Any]:
    """Return an operation that answers what *command* does, *default* for MISSING."""
    return Operation((command,), lambda answers: default if answers[0] is MISSING else answers[0])


Value = str | bytes | int | float
Arguments = tuple[Argument, ...]
