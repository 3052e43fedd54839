# SPDX-License-Identifier: MIT
"""The protocol: both readers understand the same bytes, in whatever pieces they come, and both packers write the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import hiredis
import pytest
from keyfleet._protocol import resp as _replies
from keyfleet._protocol.resp import INCOMPLETE, ErrorReply, PythonReader, Reader, make_reader
from redis.exceptions import InvalidResponse

STREAM = (
    b"+OK\r\n:12\r\n:-3\r\n$-1\r\n$0\r\n\r\n$5\r\na\r\nbc\r\n*-1\r\n*0\r\n-ERR no\r\n-MOVED 1 h:2\r\n"
    b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n-WRONGTYPE x\r\n$-1\r\n$3\r\n\xff\x00\xfe\r\n"
)
REPLIES = [
    b"OK",
    12,
    -3,
    None,
    b"",
    b"a\r\nbc",
    None,
    [],
    "ERR no",
    "MOVED 1 h:2",
    [b"a", [1, "WRONGTYPE x"], None],
    b"\xff\x00\xfe",
]


def plain(reply: Any) -> Any:
    """Return *reply* with each error as its text, so that two can be compared."""
    if isinstance(reply, ErrorReply):
        return str(reply)
    return [plain(item) for item in reply] if isinstance(reply, list) else reply


def drain(reader: Reader) -> list[Any]:
    """Return all whole replies that *reader* holds."""
    found = []
    while (reply := reader.gets()) is not INCOMPLETE:
        found.append(plain(reply))
    return found


@pytest.mark.parametrize("make", [make_reader, PythonReader])
def test_replies_are_read_whole(make: Callable[[], Reader]) -> None:
    """hiredis is installed here, so the first is its reader and the second ours."""
    reader = make()
    reader.feed(STREAM)
    assert (REPLIES, []) == (drain(reader), drain(reader))


def test_hiredis_is_used_where_it_is_installed() -> None:
    """The other tests would compare our reader with itself otherwise."""
    assert isinstance(make_reader(), hiredis.Reader)


@pytest.mark.parametrize("make", [make_reader, PythonReader])
def test_replies_are_read_from_any_pieces(make: Callable[[], Reader]) -> None:
    """Byte by byte, and cut at random places, as a network does."""
    dice = random.Random(7)  # noqa: S311 - chance that repeats
    for longest in (1, 2, 3, 7, 40):
        reader, found, position = make(), [], 0
        while position < len(STREAM):
            size = dice.randint(1, longest)
            reader.feed(STREAM[position : position + size])
            found += drain(reader)
            position += size
        assert REPLIES == found


def test_our_reader_keeps_little_of_what_was_read() -> None:
    """A connection that never falls silent does not grow."""
    reader = PythonReader()
    piece = b"$1000\r\n" + b"x" * 1000 + b"\r\n"
    for _unused in range(1000):
        reader.feed(piece + piece[:10])
        assert [b"x" * 1000] == drain(reader)
        reader.feed(piece[10:])
        assert [b"x" * 1000] == drain(reader)
    assert len(reader._buffer) < 2 * _replies._KEPT_BYTES


@pytest.mark.parametrize("make", [make_reader, PythonReader])
def test_what_is_no_reply_is_an_error(make: Callable[[], Reader]) -> None:
    """As when something else listens on the port."""
    reader = make()
    reader.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(InvalidResponse):
        reader.gets()


def test_both_packers_write_the_same() -> None:
    """Texts, bytes and numbers; lengths are counted in bytes."""
    for arguments in [("GET", "k"), ("SET", "kü", b"\xff\r\n", 1, 2.5), ("PING",)]:
        assert hiredis.pack_command(arguments) == _replies._pack(arguments)
    assert b"*2\r\n$3\r\nGET\r\n$3\r\nk\xc3\xbc\r\n" == _replies._pack(("GET", "kü"))


def test_the_code_of_an_error_is_its_first_word() -> None:
    """With or without more."""
    assert ["MOVED", "NOAUTH", ""] == [ErrorReply(text).code for text in ("MOVED 1 h:2", "NOAUTH", "")]
