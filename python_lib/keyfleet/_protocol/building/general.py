# SPDX-License-Identifier: MIT
"""Any command, and scripts; their replies are left as they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import kinds as _kinds
from ..arguments import Seconds, block_seconds, key_list, plain
from ..command import BlockingCommand, Command, Key
from ..replies import same
from ..resp import Argument
from ..scripts import Script
from .base import Arguments, BaseOperations


class GeneralOperations(BaseOperations):
    """Operations for which there is no call of their own."""

    def execute(self, *arguments: Argument, repeatable: bool = False, timeout_seconds: Seconds | None = None) -> Command[Any]:
        """Return the command that *arguments* are, each Key with the prefix before it."""
        name, first = (_word(argument) for argument in (*arguments, "", "")[:2])
        if not name:
            raise ValueError("execute has no arguments; the first one is the name of a command")
        words = name, first
        if _kinds.is_among(words, _kinds.OF_CONNECTION):
            raise ValueError(
                f"{name} is about the connection, which other calls share; pipeline(transaction=True), subscriptions and raw do that"
            )
        waits = name in _kinds.WAITING or (name in ("XREAD", "XREADGROUP") and "BLOCK" in map(_word, arguments))
        if waits and timeout_seconds is None:
            raise ValueError(f"{name} waits on the server; say how long with timeout_seconds, 0 for no limit")
        keys = [argument for argument in arguments if isinstance(argument, Key)]
        names = self.names_in_one_slot(keys)
        sent: Arguments = tuple(
            self._name(argument) if isinstance(argument, Key) else plain(name, argument, "command") for argument in arguments
        )
        block = None if timeout_seconds is None else block_seconds(timeout_seconds)
        key = keys[0] if keys else ""
        kind, owner = _kinds.kind_of(words, repeatable), names[0] if names else None
        return Command(kind, sent, owner, key, same) if block is None else BlockingCommand(kind, sent, owner, key, same, block)

    def script(self, script: Script, keys: Iterable[str], arguments: Iterable[Argument], repeatable: bool) -> Command[Any]:
        """Return a call of *script* on *keys*."""
        kind, asked = _kinds.kind_of(("EVALSHA", ""), repeatable), key_list(keys)
        if isinstance(arguments, (str, bytes)):
            raise TypeError(f"arguments is a single {type(arguments).__name__}; give a list")
        values = tuple(plain(script.sha1, argument, "script") for argument in arguments)
        return script.command(kind, tuple(self.names_in_one_slot(asked)), values, asked[0] if asked else "", same)


def _word(argument: Argument) -> str:
    """Return *argument* as a word of a command's name is compared."""
    return argument.decode(errors="replace").upper() if isinstance(argument, bytes) else str(argument).upper()
