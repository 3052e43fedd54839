# SPDX-License-Identifier: MIT
"""What is sent, and how its reply is read: one Command for one call, without a connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Generic, TypeVar

from .resp import Argument, ErrorReply, pack

T = TypeVar("T")


class Repeat(Enum):
    """Whether a command may be sent again when it was sent and no reply came."""

    READ = "it changes nothing"
    SAME = "running it twice leaves what running it once does"
    NEVER = "running it twice is not running it once"


_FIRST_ARGUMENT = slice(1, 2)


class Key(str):
    """The name of a key, without the prefix, among the arguments of the client's `execute`."""

    __slots__ = ()


class Kind:
    """
    What is true of every call of a command.

    Attributes:
        name: The server's name of it.
        repeat: Whether it may be sent again after a lost reply.
        wanted: Type of the key that it needs, empty for any.
        fallback: What it returns where Policy.on_error is ``fallback``; NO_FALLBACK if it raises even then.
        names: Which of its arguments are names of keys; None if that is not known.
        is_read: Whether it changes nothing.
        is_repeatable: Whether it may be sent again on its own.
    """

    __slots__ = ("fallback", "is_read", "is_repeatable", "name", "names", "repeat", "wanted")

    def __init__(self, name: str, repeat: Repeat, wanted: str = "", fallback: Any = None, names: slice | None = _FIRST_ARGUMENT) -> None:
        self.name, self.repeat, self.wanted, self.fallback, self.names = name, repeat, wanted, fallback, names
        self.is_read, self.is_repeatable = repeat is Repeat.READ, repeat is not Repeat.NEVER  # members of an Enum are slow to get


NO_FALLBACK = object()
OF_NIL: Any = object()  # the fallback is what the call returns for a key that does not exist
_SCRIPTS = frozenset(["EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO"])
_WITHOUT_PRIOR_STATE = frozenset(["SET", "MSET", "SETEX", "PSETEX", "HMSET", "FLUSHDB"])  # their answers do not depend on what was there
_OF_TTL = frozenset(["EXPIRE", "PEXPIRE", "HEXPIRE", "HPEXPIRE", "PERSIST"])  # they change no value that other commands return


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
        is_simple: Whether it gets one reply and does not block.
        reply_count: Replies that it gets.
        block_seconds: How long the server may wait before it answers, 0.0 forever; None for a command that does not block.
    """

    __slots__ = ("arguments", "decode", "key", "kind", "name")
    is_simple = True
    reply_count = 1
    block_seconds: float | None = None

    def __init__(self, kind: Kind, arguments: tuple[Argument, ...], name: str | None, key: str, decode: Callable[[Any, str], T]) -> None:
        # One by one: a tuple of five would be made and taken apart, in every call.
        self.kind = kind
        self.arguments = arguments
        self.name = name
        self.key = key
        self.decode = decode

    @property
    def commands(self) -> Sequence[Command[Any]]:  # type: ignore[override]
        """The command itself."""
        return (self,)

    @staticmethod
    def combine(answers: list[Any]) -> T:
        """Return its answer."""
        return answers[0]  # type: ignore[no-any-return]

    @property
    def names(self) -> tuple[Argument, ...]:
        """Full names of all its keys; none if they are not known, or if there are none."""
        if self.arguments[0] in _SCRIPTS:
            return self.arguments[3 : 3 + int(self.arguments[2])]
        return () if self.kind.names is None else self.arguments[self.kind.names]

    def packed(self) -> bytes:
        """Return the bytes to send."""
        return pack(self.arguments)

    def fallback(self) -> Any:
        """Return the answer of an empty server."""
        answer = self.kind.fallback
        if answer is OF_NIL:
            return self.decode(None, self.key)
        return answer.copy() if isinstance(answer, (dict, list, set)) else answer

    def error_in(self, reply: Any) -> ErrorReply | None:
        """Return the error that *reply* is, None if it is an answer."""
        return reply if reply.__class__ is ErrorReply else None


class BlockingCommand(Command[T]):
    """A command for which the server may wait before it answers."""

    __slots__ = ("block_seconds",)
    is_simple = False

    def __init__(
        self,
        kind: Kind,
        arguments: tuple[Argument, ...],
        name: str | None,
        key: str,
        decode: Callable[[Any, str], T],
        block_seconds: float,
    ) -> None:
        super().__init__(kind, arguments, name, key, decode)
        self.block_seconds = block_seconds


def marks_of(commands: Sequence[Command[Any]]) -> list[tuple[Argument, ...]]:
    """
    Return what each of *commands* touches: two may have to do with each other only if they have a mark in common.

    A mark is the name of a key, unless the keys of one of them are not known; then they all have to do with each other.
    """
    marks = [command.names for command in commands]
    return marks if all(marks) else [("",)] * len(marks)


def may_repeat(lost: Sequence[Command[Any]], others: Sequence[Command[Any]] = ()) -> bool:
    """
    Say whether commands that were sent in order, and got no reply, may all be sent again.

    They may if all of them read; or if each of them may and no command of the group reads what one of them writes. A read would
    see the writes of the first attempt, and so would a write that returns what it found, as DEL, if another write follows it.

    Args:
        lost: The commands, in order.
        others: The other commands of their pipeline.
    """
    repeats = {command.kind.repeat for command in lost}
    if Repeat.NEVER in repeats:
        return False
    if Repeat.SAME not in repeats or len(lost) + len(others) == 1:
        return True
    marks = marks_of([*lost, *others])
    written = {mark for command, mine in zip(lost, marks, strict=False) if command.kind.repeat is Repeat.SAME for mark in mine}
    for command, mine in zip([*lost, *others], marks, strict=True):
        if command.kind.repeat is Repeat.READ and not written.isdisjoint(mine):
            return False
    return not _observe_each_other(lost, marks)


def finds(command: Command[Any]) -> bool:
    """Say whether the answer, or the effect, of *command* depends on what it finds."""
    return command.kind.repeat is not Repeat.SAME or command.kind.name not in _WITHOUT_PRIOR_STATE


def _observe_each_other(writes: Sequence[Command[Any]], marks: Sequence[tuple[Argument, ...]]) -> bool:
    """Return whether one of *writes* returns what it found in a key whose value a later one changes."""
    changed: set[Argument] = set()
    for command, mine in zip(reversed(writes), reversed(marks[: len(writes)]), strict=True):
        if command.kind.repeat is Repeat.READ:
            continue
        if finds(command) and not changed.isdisjoint(mine):
            return True
        if command.kind.name not in _OF_TTL:
            changed.update(mine)
    return False


class Transaction(Command[list[Any]]):
    """Commands between MULTI and EXEC: the server runs all of them, with no others in between, or none."""

    __slots__ = ("queued",)
    is_simple = False

    def __init__(self, commands: list[Command[Any]]) -> None:
        reads = all(command.kind.repeat is Repeat.READ for command in commands)
        repeat = Repeat.READ if reads else Repeat.SAME if may_repeat(commands) else Repeat.NEVER
        first = next((command for command in commands if command.name is not None), None)
        name, key = (first.name, first.key) if first else (None, "")
        super().__init__(Kind("MULTI", repeat, fallback=NO_FALLBACK), ("MULTI",), name, key, _last)
        self.queued = commands

    @property
    def reply_count(self) -> int:  # type: ignore[override]
        """Replies of MULTI, of each command that is queued, and of EXEC."""
        return len(self.queued) + 2

    def packed(self) -> bytes:
        """Return the bytes to send."""
        return b"".join([pack(("MULTI",)), *(command.packed() for command in self.queued), pack(("EXEC",))])

    def error_in(self, reply: Any) -> ErrorReply | None:
        """Return the first error that kept the transaction from running."""
        return next((item for item in reply if item.__class__ is ErrorReply), None)

    def ran_apart(self, reply: Any) -> bool:
        """Say whether the server refused MULTI and so ran commands one by one."""
        return reply[0].__class__ is ErrorReply and any(item.__class__ is not ErrorReply for item in reply[1:-1])


def _last(reply: Any, _key: str) -> list[Any]:
    return reply[-1]  # type: ignore[no-any-return]
