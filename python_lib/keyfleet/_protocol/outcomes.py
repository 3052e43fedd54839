# SPDX-License-Identifier: MIT
"""What came of an attempt, and what follows from it, as values: `_attempts` makes the one of the other."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from ..core.errors import KeyfleetError
from .command import Command
from .identity import HostPort

if TYPE_CHECKING:
    from typing_extensions import Self


class Record:
    """
    A value: equal to another one of its class if all parts are, and not changed once it is made.

    NamedTuple would do, and costs a tenth of what the import of the client costs, since it compiles each class and each annotation.
    """

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return other.__class__ is self.__class__ and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.__slots__))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"

    def replaced(self, **changes: Any) -> Self:
        """Return the same value with other parts."""
        other = self.__class__.__new__(self.__class__)
        for name in self.__slots__:
            setattr(other, name, changes[name] if name in changes else getattr(self, name))
        return other


class Rules(Record):
    """
    What the verdicts on all calls of a client depend on.

    Attributes:
        is_cluster: Whether redirections are followed.
        fails_when_disconnected: Whether a call ends when there is no connection for its attempt.
    """

    __slots__ = ("fails_when_disconnected", "is_cluster")

    def __init__(self, is_cluster: bool, fails_when_disconnected: bool) -> None:
        self.is_cluster, self.fails_when_disconnected = is_cluster, fails_when_disconnected


class Past(Record):
    """
    What became of a call's attempts so far.

    Attributes:
        attempts, failures: How often it was tried, and how often of these in vain; a redirection is no failure.
        may_have_run: Whether it changes something, was sent, and got no reply.
        reason: Why the last attempt did not settle it.
    """

    __slots__ = ("attempts", "failures", "may_have_run", "reason")

    def __init__(self, attempts: int = 0, failures: int = 0, may_have_run: bool = False, reason: str = "") -> None:
        self.attempts = attempts
        self.failures = failures
        self.may_have_run = may_have_run
        self.reason = reason


NEW = Past()


class Sent(Record):
    """
    A call, and where its last attempt went.

    Attributes:
        command: What was sent.
        past: What became of its attempts before this one.
        address: The server, for errors.
        host: The server's host, which a redirection without one means.
    """

    __slots__ = ("address", "command", "host", "past")

    def __init__(self, command: Command[Any], past: Past = NEW, address: str = "", host: str = "") -> None:
        self.command = command
        self.past = past
        self.address = address
        self.host = host


class Answer(Record):
    """What the server answered, maybe an error; a list of all its replies for a transaction."""

    __slots__ = ("reply",)

    def __init__(self, reply: Any) -> None:
        self.reply = reply


class Lost(Record):
    """The connection ended, or the time for the attempt was over, after the call was sent and before its reply came."""

    __slots__ = ("reason", "timed_out")

    def __init__(self, reason: str, timed_out: bool = False) -> None:
        self.reason, self.timed_out = reason, timed_out


class NotSent(Record):
    """The call did not reach the server whole, so it did not run; *cause* is the error for the caller if nothing helps."""

    __slots__ = ("cause",)

    def __init__(self, cause: KeyfleetError) -> None:
        self.cause = cause


Outcome = Answer | Lost | NotSent


class Settle(Record):
    """
    The call is over.

    Attributes:
        result: The reply, an ErrorReply included, or the error for the caller.
        blames_server: Whether an error is a reason to give the server a pause; many calls may be lost with one connection.
    """

    __slots__ = ("blames_server", "result")

    def __init__(self, result: Any, blames_server: bool = True) -> None:
        self.result, self.blames_server = result, blames_server


class Retry(Record):
    """
    The call is sent again.

    Attributes:
        past: What became of its attempts until now.
        command: What to send.
        now: Whether without a wait.
        rediscover: Whether another server may serve now.
        drops_connections: Whether the name of the server may lead elsewhere by now.
    """

    __slots__ = ("command", "drops_connections", "now", "past", "rediscover")

    def __init__(
        self, past: Past, command: Command[Any], now: bool = False, rediscover: bool = False, drops_connections: bool = False
    ) -> None:
        self.past = past
        self.command = command
        self.now = now
        self.rediscover = rediscover
        self.drops_connections = drops_connections


class Redirect(Record):
    """
    The call is sent to the server at *address*, which serves *slot*; only this once, and after ASKING, if *asking*.

    Attributes:
        now: Whether without a wait, as long as servers do not send it to and fro.
    """

    __slots__ = ("address", "asking", "now", "past", "slot")

    def __init__(self, past: Past, slot: int, address: HostPort, asking: bool, now: bool) -> None:
        self.past = past
        self.slot = slot
        self.address = address
        self.asking = asking
        self.now = now


Verdict = Settle | Retry | Redirect


# Pipelines


class State(Enum):
    """What is known of a call of a pipeline before a round of attempts."""

    OPEN = "not settled"
    ANSWERED = "its answer is final"
    FAILED = "it ended with an error of the client, as no server answered it"


class Member(Record):
    """
    A call of a pipeline in one round of attempts.

    Attributes:
        sent: The call.
        outcome: What came of its attempt; None if it was not sent in this round.
        write: Which write it was part of: one connection to one server.
        state: What it was before the round.
    """

    __slots__ = ("outcome", "sent", "state", "write")

    def __init__(self, sent: Sent, outcome: Outcome | None = None, write: int = 0, state: State = State.OPEN) -> None:
        self.sent = sent
        self.outcome = outcome
        self.write = write
        self.state = state
