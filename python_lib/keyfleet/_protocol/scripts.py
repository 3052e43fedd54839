# SPDX-License-Identifier: MIT
"""Lua scripts: sent by their SHA-1, and as a text to a server that does not know them yet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, TypeVar

from redis.crc import key_slot

from .command import Command, Kind
from .resp import Argument

T = TypeVar("T")
_INCLUDE = "-- include "


class Script:
    """
    A Lua script that the server runs in one step.

    Args:
        source: Its text. It names each key as ``KEYS[n]``, all in one slot, and gets everything else as ``ARGV[n]``.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha1 = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def command(
        self, kind: Kind, names: tuple[str, ...], arguments: tuple[Argument, ...], key: str, decode: Callable[[Any, str], T]
    ) -> ScriptCommand[T]:
        """Return the command that runs it on the keys with the full *names*."""
        return ScriptCommand(self, kind, names, arguments, key, decode)


class PreparedScript:
    """
    A script of a caller.

    Attributes:
        script: The script.
        is_repeatable: Whether it may be sent again when its reply was lost.
    """

    def __init__(self, source: str, is_repeatable: bool) -> None:
        self.script, self.is_repeatable = Script(source), is_repeatable


class ScriptCommand(Command[T]):
    """EVALSHA; a server that answers NOSCRIPT gets the same as EVAL."""

    __slots__ = ("script",)

    def __init__(
        self,
        script: Script,
        kind: Kind,
        names: tuple[str, ...],
        arguments: tuple[Argument, ...],
        key: str,
        decode: Callable[[Any, str], T],
    ) -> None:
        self.script = script
        super().__init__(kind, ("EVALSHA", script.sha1, len(names), *names, *arguments), names[0] if names else None, key, decode)

    def with_source(self) -> Command[T]:
        """Return the same call with the script's text, which the server then keeps."""
        return Command(self.kind, ("EVAL", self.script.source, *self.arguments[2:]), self.name, self.key, self.decode)


def texts_first(commands: Iterable[Command[Any]], is_cluster: bool) -> list[Command[Any]]:
    """
    Return *commands* of one pipeline with each script's text where the script is called first, and its SHA-1 behind that.

    So its server, on a cluster the server of its slot, knows it when the SHA-1 comes: NOSCRIPT would leave the script to be run after
    the calls behind it.
    """
    known: set[tuple[str, int]] = set()
    sent: list[Command[Any]] = []
    for command in commands:
        if isinstance(command, ScriptCommand):
            slot = key_slot(command.name.encode()) if is_cluster and command.name is not None else 0
            if (command.script.sha1, slot) not in known:
                known.add((command.script.sha1, slot))
                command = command.with_source()
        sent.append(command)
    return sent


@cache
def load(name: str) -> Script:
    """
    Return the script ``lua/<name>.lua`` of this package; read, and its digest computed, when it is first used.

    A line ``-- include <name>`` stands for the text of another file.
    """
    return Script("".join(_lines(name)))


def _lines(name: str) -> Iterator[str]:
    import pkgutil  # for the few clients that run one

    source = pkgutil.get_data("keyfleet", f"lua/{name}.lua")
    if source is None:
        raise FileNotFoundError(f"keyfleet was installed without lua/{name}.lua")
    for line in source.decode().splitlines(keepends=True):
        if line.startswith(_INCLUDE):
            yield from _lines(line.removeprefix(_INCLUDE).strip())
        else:
            yield line
