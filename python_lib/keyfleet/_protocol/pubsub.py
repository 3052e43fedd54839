# SPDX-License-Identifier: MIT
"""Publish and subscribe without a connection: names, what subscribers get, and how the server's words for it are read; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from .arguments import plain
from .command import Command
from .kinds import PUBLISH, SPUBLISH
from .resp import Argument, pack

T = TypeVar("T")

PING = pack(("PING",))
NOTIFICATIONS = ("__keyspace@", "__keyevent@")


@dataclass(frozen=True)
class Message(Generic[T]):
    """
    A published message.

    Attributes:
        channel: Name of the channel, as the publisher wrote it; bytes that are no UTF-8 are kept as surrogates.
        data: The message: a text, or bytes where the subscription asked for them.
        pattern: The pattern that matched; None for a channel that was subscribed by its name.
    """

    channel: str
    data: T
    pattern: str | None = None


@dataclass(frozen=True)
class Reconnected:
    """
    A connection was lost and channels were subscribed again; what was published in between did not arrive.

    Attributes:
        since: When the server was last heard before, in seconds since the epoch, as ``time.time()`` counts.
        gap_seconds: Seconds from then until the channels were subscribed again.
        channels, patterns: Which ones this is about, sorted.
        reason: What happened to the connection.
    """

    since: float
    gap_seconds: float
    channels: tuple[str, ...]
    patterns: tuple[str, ...]
    reason: str


class Topic(NamedTuple):
    """
    A channel or pattern that is subscribed.

    Attributes:
        letter: What stands before SUBSCRIBE for its kind: nothing for a channel, ``P`` for a pattern, ``S`` for a sharded channel.
        name: Name of the channel, or the pattern.
    """

    letter: Literal["", "P", "S"]
    name: str

    @property
    def is_notification(self) -> bool:
        """Whether it is about what happens to keys, which each server of a cluster reports for its own keys only."""
        return self.letter != "S" and self.name.startswith(NOTIFICATIONS)

    def packed(self, is_wanted: bool) -> bytes:
        """Return the command that begins or ends the subscription; it gets one reply."""
        return pack((self.letter + ("SUBSCRIBE" if is_wanted else "UNSUBSCRIBE"), self.name))


@dataclass(frozen=True)
class SubscribeOptions:
    """
    How a subscription behaves; the client's `subscribe` says what each means.

    Raises:
        ValueError: if one is not what it must be.
    """

    is_sharded: bool
    as_bytes: bool
    undecodable: Literal["raise", "miss"]
    ping_seconds: float
    give_up_seconds: float | None

    def __post_init__(self) -> None:
        if self.undecodable not in ("raise", "miss"):
            raise ValueError(f"undecodable is {self.undecodable!r}; allowed: raise, miss")
        check_seconds("ping_seconds", self.ping_seconds)
        check_seconds("give_up_seconds", self.give_up_seconds)


class Answer(NamedTuple):
    """The server's word that a topic is subscribed, or that it is not any more."""

    topic: Topic
    is_subscribed: bool


_ANSWERS: dict[bytes, tuple[Literal["", "P", "S"], bool]] = {
    b"subscribe": ("", True),
    b"psubscribe": ("P", True),
    b"ssubscribe": ("S", True),
    b"unsubscribe": ("", False),
    b"punsubscribe": ("P", False),
    b"sunsubscribe": ("S", False),
}


class Arrival(NamedTuple):
    """A message, and the topic that it came for."""

    topic: Topic
    message: Message[bytes]


def read(reply: Any) -> Answer | Arrival | None:
    """Return the event in *reply* of a subscribed connection; None for the reply to PING."""
    if not isinstance(reply, list):
        return None
    kind, *rest = reply
    if kind in (b"message", b"smessage"):
        channel = _name(rest[0])
        return Arrival(Topic("" if kind == b"message" else "S", channel), Message(channel, rest[1]))
    if kind == b"pmessage":
        pattern = _name(rest[0])
        return Arrival(Topic("P", pattern), Message(_name(rest[1]), rest[2], pattern))
    if kind in _ANSWERS:
        letter, is_subscribed = _ANSWERS[kind]
        return Answer(Topic(letter, _name(rest[0])), is_subscribed)
    return None


def _name(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def publish(channel: str, data: Argument, is_sharded: bool) -> Command[int]:
    """Return the command that publishes; of a cluster the owner of the channel's slot takes it, so that channels spread over it."""
    kind = SPUBLISH if is_sharded else PUBLISH
    return Command(kind, (kind.name, _checked("channel", channel), plain(channel, data, "channel")), channel, channel, _count)


def _count(reply: int, _key: str) -> int:
    return reply


def topics(channels: Iterable[str], patterns: Sequence[str], is_sharded: bool) -> list[Topic]:
    """
    Return what the caller wants to subscribe.

    Raises:
        ValueError: if there is nothing, a name is empty, or patterns are wanted of sharded channels.
        TypeError: if a name is no text, or *patterns* is a single one.
    """
    if isinstance(patterns, (str, bytes)):
        raise TypeError(f"patterns is {patterns!r}; give a list of texts")
    if is_sharded and patterns:
        raise ValueError("patterns and sharded exclude each other; the server matches patterns with channels that are not sharded only")
    wanted = [Topic("S" if is_sharded else "", _checked("channel", name)) for name in channels]
    wanted += [Topic("P", _checked("pattern", name)) for name in patterns]
    if not wanted:
        raise ValueError("there is neither a channel nor a pattern; give at least one")
    return wanted


def _checked(called: str, name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{called} is {name!r}; it must be a text")
    if not name:
        raise ValueError(f"{called} is empty; it must have at least one character")
    return name


def check_seconds(called: str, value: float | None, *, may_be_zero: bool = False) -> None:
    """Raise ValueError if *value* is no number of seconds; None means without a limit."""
    if value is not None and not (value > 0 or (may_be_zero and value == 0)):
        raise ValueError(f"{called} is {value}; allowed are {'0 and above' if may_be_zero else 'numbers above 0'}")
