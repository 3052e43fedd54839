# SPDX-License-Identifier: MIT
"""RESP2, the protocol: commands into bytes, bytes into replies; hiredis does both where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from redis.exceptions import InvalidResponse

try:
    import hiredis
except ImportError:
    hiredis = None  # type: ignore[assignment]

_KEPT_BYTES = 65536  # of what was parsed already, before room is made
Argument = str | bytes | int | float
# Not None or False, which are replies.
INCOMPLETE: Any = type("Incomplete", (), {"__repr__": lambda self: "INCOMPLETE"})()


class ErrorReply(Exception):  # noqa: N818 - a reply, which the caller may turn into an error
    """An error reply. It is a value, and is translated before it is raised."""

    @property
    def code(self) -> str:
        """The first word, as ``MOVED`` or ``ERR``."""
        return str(self).partition(" ")[0]


class Reader(Protocol):
    """Turns what a connection received into replies."""

    def feed(self, data: bytes, /) -> None:
        """Take more bytes."""

    def gets(self) -> Any:
        """Return the next whole reply, INCOMPLETE if there is none yet."""


def make_reader() -> Reader:
    """Return a reader for one connection: bulk replies are bytes, errors are ErrorReply, also within lists."""
    if hiredis is None:
        return PythonReader()
    return hiredis.Reader(protocolError=InvalidResponse, replyError=ErrorReply, notEnoughData=INCOMPLETE)


def _pack(arguments: tuple[Argument, ...]) -> bytes:
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        data = argument if isinstance(argument, bytes) else _encoded(argument)
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def _encoded(argument: str | int | float) -> bytes:
    """Return what hiredis sends for a text or number; everything else is refused, as it does."""
    if isinstance(argument, str):
        return str.encode(argument)
    if isinstance(argument, int) and not isinstance(argument, bool):
        return int.__repr__(argument).encode()
    if isinstance(argument, float):
        return float.__repr__(argument).encode()
    raise TypeError(f"an argument is of type {type(argument).__name__}; allowed: str, bytes, int, float")


pack: Callable[[tuple[Argument, ...]], bytes] = _pack if hiredis is None else hiredis.pack_command  # type: ignore[assignment]


class PythonReader:
    """The reader where hiredis is missing: a generator that asks for bytes when it has too few."""

    def __init__(self) -> None:
        self._buffer, self._position = bytearray(), 0
        self._parsing: Iterator[Any] | None = None
        self._replies: list[Any] = []

    def feed(self, data: bytes) -> None:
        if self._position > _KEPT_BYTES:
            del self._buffer[: self._position]
            self._position = 0
        self._buffer += data

    def gets(self) -> Any:
        if self._parsing is None:
            if self._position == len(self._buffer):
                return INCOMPLETE
            self._parsing = self._parse()
        for _unused in self._parsing:
            return INCOMPLETE
        self._parsing = None
        return self._replies.pop()

    def _parse(self) -> Iterator[None]:
        """Put one reply on the list; yield each time when bytes are missing."""
        end = self._buffer.find(b"\r\n", self._position)
        while end < 0:
            yield
            end = self._buffer.find(b"\r\n", self._position)
        kind, line = self._buffer[self._position], bytes(self._buffer[self._position + 1 : end])
        self._position = end + 2
        if kind == ord("$"):
            yield from self._parse_bulk(int(line))
        elif kind == ord("*"):
            yield from self._parse_list(int(line))
        elif kind == ord(":"):
            self._replies.append(int(line))
        elif kind == ord("+"):
            self._replies.append(line)
        elif kind == ord("-"):
            self._replies.append(ErrorReply(line.decode(errors="replace")))
        else:
            raise InvalidResponse(f"a reply cannot begin with byte {kind}")

    def _parse_bulk(self, length: int) -> Iterator[None]:
        if length < 0:
            self._replies.append(None)
            return
        while len(self._buffer) < self._position + length + 2:
            yield
        self._replies.append(bytes(self._buffer[self._position : self._position + length]))
        self._position += length + 2

    def _parse_list(self, count: int) -> Iterator[None]:
        if count < 0:
            self._replies.append(None)
            return
        items = []
        for _unused in range(count):
            yield from self._parse()
            items.append(self._replies.pop())
        self._replies.append(items)
