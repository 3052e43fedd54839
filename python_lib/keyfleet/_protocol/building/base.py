# SPDX-License-Identifier: MIT
"""What all operations need: names of keys with the prefix, several keys in one command, and how replies are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from redis.crc import key_slot

from ...core.errors import DecodeError
from ..arguments import checked_key
from ..command import Command, Kind, Operation
from ..kinds import MISSING
from ..replies import Reader, bytes_mapping, from_json, json_or_none, same, text, texts
from ..resp import Argument

Undecodable = Literal["raise", "miss"]
Arguments = tuple[Argument, ...]

KEYS_IN_ONE_COMMAND = 1000  # managed services limit the arguments of a command


class BaseOperations:
    """
    Builds operations on keys under one prefix.

    Args:
        prefix: Put before every key.
        is_cluster: Whether the keys of one command have to share a slot.
        note_undecodable: Called for each value that counts as missing because it cannot be decoded.
    """

    def __init__(self, prefix: str, is_cluster: bool = False, note_undecodable: Callable[[DecodeError], None] | None = None) -> None:
        self.prefix, self.is_cluster, self._note_undecodable = prefix, is_cluster, note_undecodable

    def _name(self, key: str) -> str:
        """Return the full name of *key*; TypeError or ValueError if it is none."""
        if key.__class__ is str and key.isascii():  # fast path: nothing to check
            return self.prefix + key
        return self.prefix + checked_key(key)

    def _names(self, keys: Sequence[str]) -> list[str]:
        """Return the full names of *keys*; errors as for `_name`."""
        if set(map(type, keys)) == {str} and "".join(keys).isascii():  # fast path: nothing to check in any of them
            prefix = self.prefix
            return [prefix + key for key in keys]
        return [self._name(key) for key in keys]

    def names_in_one_slot(self, keys: Sequence[str]) -> list[str]:
        """
        Return the full names of *keys*, which go into one command.

        Raises:
            ValueError: on a cluster, if they do not share a slot.
        """
        names = self._names(keys)
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
        names = self._names(keys)
        return Command(kind, (kind.name, *names), names[0], keys[0], same)

    def _pages(self, keys: Sequence[str]) -> list[Sequence[str]]:
        """Return *keys* in portions that one command may name."""
        size = 1 if self.is_cluster else KEYS_IN_ONE_COMMAND
        return [keys[start : start + size] for start in range(0, len(keys), size)]

    def _text_reader(self, as_bytes: bool, undecodable: Undecodable) -> Reader:
        """Return what reads one value: as bytes, or as text, None if it is none and *undecodable* says so."""
        if _raises(undecodable):
            return same if as_bytes else text
        return same if as_bytes else self._reading_or(text, None)

    def _texts_reader(self, as_bytes: bool, undecodable: Undecodable) -> Reader:
        """Return what reads a list of values; those that are no text are left out if *undecodable* says so."""
        if _raises(undecodable):
            return same if as_bytes else texts
        return same if as_bytes else self._left_texts

    def _json_reader(self, undecodable: Undecodable, decoder: Any = None) -> Reader:
        """Return what reads JSON: MISSING if there is none, or it is no JSON, or not for *decoder*, and *undecodable* says so."""
        read: Reader = from_json
        if decoder is not None:
            from ..decoders import reading_with  # for the programs that use one

            read = reading_with(decoder)
        return read if _raises(undecodable) else self._reading_or(read, MISSING)

    def _json_or(self, default: Any, undecodable: Undecodable, decoder: Any = None) -> Reader:
        """Return what reads JSON like `_json_reader`, to *default* where that gives MISSING."""
        if default is None and decoder is None and undecodable == "raise":
            return json_or_none  # the fast path
        read = self._json_reader(undecodable, decoder)

        def reading(reply: bytes | None, key: str) -> Any:
            value = read(reply, key)
            return default if value is MISSING else value

        return reading

    def _mapping_reader(self, read: Reader, as_bytes: bool, undecodable: Undecodable) -> Reader:
        """Return what reads the fields of a hash, their values with *read*; others are left out if *undecodable* says so."""
        is_strict = _raises(undecodable)

        def mapping(reply: list[bytes], key: str) -> dict[str, Any]:
            found = {}
            for field, value in zip(reply[::2], reply[1::2], strict=True):
                try:
                    found[text(field, key)] = read(value, key)
                except DecodeError as error:
                    if is_strict:
                        raise
                    self._note(error)
            return found

        return bytes_mapping if as_bytes else mapping

    def _reading_or(self, read: Reader, missing: Any) -> Reader:
        def reading(reply: bytes | None, key: str) -> Any:
            try:
                return read(reply, key)
            except DecodeError as error:
                self._note(error)
                return missing

        return reading

    def _left_texts(self, reply: list[bytes], key: str) -> list[str]:
        read = self._reading_or(text, None)
        return [found for item in reply if (found := read(item, key)) is not None]

    def _note(self, error: DecodeError) -> None:
        if self._note_undecodable is not None:
            self._note_undecodable(error)


def _raises(undecodable: object) -> bool:
    if undecodable not in ("raise", "miss"):
        raise ValueError(f"undecodable is {undecodable!r}; allowed: raise, miss")
    return undecodable == "raise"
