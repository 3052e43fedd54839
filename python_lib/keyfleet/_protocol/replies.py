# SPDX-License-Identifier: MIT
"""How replies become what the caller gets; each function is given the caller's key for its errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..core.errors import DecodeError
from . import json as _json
from .kinds import MISSING

Reader = Callable[[Any, str], Any]


def same(reply: Any, _key: str) -> Any:
    """Return the reply."""
    return reply


def truth(reply: Any, _key: str) -> bool:
    """Return whether the reply is neither 0 nor nil."""
    return bool(reply)


def truths(reply: list[int], _key: str) -> list[bool]:
    """Return for each item whether it is not 0."""
    return list(map(bool, reply))


def number(reply: bytes | None, _key: str) -> Any:
    """Return the number in *reply*, None for None."""
    return None if reply is None else float(reply)


def text(reply: bytes | None, key: str) -> Any:
    """Return the text in *reply*, None for None."""
    if reply is None:
        return None
    try:
        return reply.decode()
    except UnicodeDecodeError as error:
        raise DecodeError(key, "UTF-8 text", data=reply) from error


def texts(reply: list[bytes], key: str) -> list[str]:
    """Return the text of each item."""
    try:
        return [item.decode() for item in reply]
    except UnicodeDecodeError:  # slower, and says which one it was
        return [text(item, key) for item in reply]


def word(reply: bytes, _key: str) -> str:
    """Return a word of the server's own."""
    return reply.decode()


def from_json(reply: bytes | None, key: str) -> Any:
    """Return what the JSON in *reply* means, MISSING for None."""
    if reply is None:
        return MISSING
    try:
        return _json.loads(reply)
    except ValueError as error:
        raise DecodeError(key, "JSON", data=reply) from error


def json_or_none(reply: bytes | None, key: str) -> Any:
    """Return what the JSON in *reply* means, None for None."""
    if reply is None:
        return None
    try:
        return _json.loads(reply)
    except ValueError as error:
        raise DecodeError(key, "JSON", data=reply) from error


def same_all(replies: list[Any], _keys: Sequence[str]) -> list[Any]:
    """Return *replies*."""
    return replies


def texts_or_none(replies: list[bytes | None], keys: Sequence[str]) -> list[str | None]:
    """Return the text of each reply, None for None."""
    try:
        return [None if reply is None else reply.decode() for reply in replies]
    except UnicodeDecodeError:  # slower, and says which one it was
        return list(map(text, replies, keys))


def truth_all(replies: list[Any], _keys: Sequence[str]) -> list[bool]:
    """Return for each reply whether it is neither 0 nor nil."""
    return list(map(bool, replies))


def json_all(replies: list[bytes | None], keys: Sequence[str]) -> list[Any]:
    """Return what the JSON in each reply means, None for None."""
    try:
        return _json.loads_all(replies)
    except ValueError:  # slower, and says which one it was
        return list(map(json_or_none, replies, keys))


# Fast paths for many replies that are read in one way: each does for all of them what the other does for one.
MANY: dict[Reader, Callable[[list[Any], Sequence[str]], list[Any]]] = {
    same: same_all,
    truth: truth_all,
    text: texts_or_none,
    json_or_none: json_all,
}


def seconds_left(reply: int, _key: str) -> float | None:
    """Return the seconds in the reply to PTTL: ``math.inf`` where nothing expires, None where nothing is."""
    if reply < 0:
        return math.inf if reply == -1 else None
    return reply / 1000


def field_seconds_left(reply: list[int] | None, key: str) -> float | None:
    """Return the seconds in the reply to HPTTL for one field."""
    return None if reply is None else seconds_left(reply[0], key)


def count_ones(reply: list[int] | None, _key: str) -> int:
    """Return how many of the fields that HPEXPIRE names exist."""
    return reply.count(1) if reply else 0


def bytes_mapping(reply: list[bytes], _key: str) -> dict[bytes, bytes]:
    """Return fields and values of a hash."""
    return dict(zip(reply[::2], reply[1::2], strict=True))
