# SPDX-License-Identifier: MIT
"""What is sent, and how its reply is read: one Command for one call, without a connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar

from .resp import Argument, ErrorReply, pack

T = TypeVar("T")


class Repeat(Enum):
    """Whether a command may be sent again when it was sent and no reply came."""

    READ = "it changes nothing"
    SAME = "running it twice leaves what running it once does"
    NEVER = "running it twice is not running it once"


class Key(str):
    """The name of a key, without the prefix, among the arguments of the client's `execute`."""

    __slots__ = ()


class Kind(NamedTuple):
    """
    What is true of every call of a command.

    Attributes:
        name: The server's name of it.
        repeat: Whether it may be sent again after a lost reply.
        wanted: Type of the key that it needs, empty for any.
        fallback: What it returns where Policy.on_error is ``fallback``; NO_FALLBACK if it raises even then.
    """

    name: str
    repeat: Repeat
    wanted: str = ""
    fallback: Any = None


NO_FALLBACK = object()


class Operation(Generic[T]):
    """
    One call of the client or of a pipeline, as a value: the client runs it, a pipeline queues it.

    Attributes:
        commands: What it sends: nothing if its answer needs no server, several where its keys do not fit into one command.
        combine: Makes the call's result of their answers, which are in the same order; it may raise DecodeError.
    """

    __slots__ = ("combine", "commands")

    commands: Sequence[Command[Any]]
    combine: Callable[[list[Any]], T]

    def __init__(self, commands: Sequence[Command[Any]], combine: Callable[[list[Any]], T]) -> None:
        self.commands, self.combine = commands, combine


class Command(Operation[T]):
    """
    One command; most calls are one, so that it is an operation whose result is its own answer.

    Attributes:
        kind: What is true of every call of it.
        arguments: Name and arguments, as sent.
        name: Full name of a key of it, whose slot says where it goes in a cluster; None if any server will do.
        key: The same key as the caller calls it, without the prefix, for errors.
        decode: Turns the reply into what the caller gets; it is given *key* for its errors.
        reply_count: Replies that it gets.
        block_seconds: How long the server may wait before it answers, 0.0 for ever; None for a command that does not block.
    """

    __slots__ = ("arguments", "block_seconds", "decode", "key", "kind", "name")
    reply_count = 1

    def __init__(
        self,
        kind: Kind,
        arguments: tuple[Argument, ...],
        name: str | None,
        key: str,
        decode: Callable[[Any, str], T],
        block_seconds: float | None = None,
    ) -> None:
        self.kind, self.arguments, self.name, self.key = kind, arguments, name, key
        self.decode, self.block_seconds = decode, block_seconds

    @property
    def commands(self) -> Sequence[Command[Any]]:  # type: ignore[override]
        """The command itself."""
        return (self,)

    @staticmethod
    def combine(answers: list[Any]) -> T:
        """Return its answer."""
        return answers[0]  # type: ignore[no-any-return]

    def packed(self) -> bytes:
        """Return the bytes to send."""
        return pack(self.arguments)

    def fallback(self) -> Any:
        """Return the answer of an empty server."""
        answer = self.kind.fallback
        return answer.copy() if isinstance(answer, dict) else answer

    def error_in(self, reply: Any) -> ErrorReply | None:
        """Return the error that *reply* is, None if it is an answer."""
        return reply if reply.__class__ is ErrorReply else None


class Transaction(Command[list[Any]]):
    """Commands between MULTI and EXEC: the server runs all of them, with no others in between, or none."""

    __slots__ = ("queued",)

    def __init__(self, commands: list[Command[Any]]) -> None:
        repeats = {command.kind.repeat for command in commands}
        repeat = Repeat.NEVER if Repeat.NEVER in repeats else Repeat.SAME
        first = next((command for command in commands if command.name is not None), None)
        name, key = (first.name, first.key) if first else (None, "")
        super().__init__(Kind("MULTI", repeat, fallback=NO_FALLBACK), (), name, key, _last)
        self.queued = commands

    @property
    def reply_count(self) -> int:  # type: ignore[override]
        """Replies of MULTI, of each command that is queued, and of EXEC."""
        return len(self.queued) + 2

    def packed(self) -> bytes:
        """Return the bytes to send."""
        return b"".join([pack(("MULTI",)), *(command.packed() for command in self.queued), pack(("EXEC",))])

    def error_in(self, reply: Any) -> ErrorReply | None:
        """Return the first error that kept the transaction from running; a server that refuses MULTI runs the commands without it."""
        error: ErrorReply | None = next((item for item in reply if item.__class__ is ErrorReply), None)
        if error is not None and reply[0] is error:
            return ErrorReply(f"{error}; the commands between MULTI and EXEC were run one by one")
        return error


def _last(reply: Any, _key: str) -> list[Any]:
    return reply[-1]  # type: ignore[no-any-return]
