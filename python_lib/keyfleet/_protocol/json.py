# SPDX-License-Identifier: MIT
"""JSON as keyfleet.core.keys.json_text defines it; orjson, where it is installed, does what it does in the same way, faster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.keys.json_text import MAX_DEPTH, decode, encode, refuse_depth

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

_OPTIONS = 0 if orjson is None else orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
# orjson reads whole numbers of more than 64 bits, which have 19 digits and more, as floats. A regular expression takes ten times as long.
_DIGITS_AS_ZEROS = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
_LONG_NUMBER = b"0" * 19


def dumps(value: Any) -> bytes:
    """
    Return *value* as JSON.

    Raises:
        TypeError, ValueError: as `encode` of json_text.
    """
    if orjson is not None:
        try:
            data = orjson.dumps(value, option=_OPTIONS)
        except TypeError:  # it takes fewer types and less depth
            return encode(value)
        # It writes 1e-7 where others write 1e-07, and NaN as null. Texts are searched five times as fast as bytes.
        text = data.decode()
        if ("-" not in text or "e-" not in text) and ("null" not in text or orjson.loads(data) == value):
            return data
    return encode(value)


def loads(data: bytes) -> Any:
    """
    Return what the JSON in *data* means.

    Raises:
        ValueError: as `decode` of json_text.
    """
    if orjson is None or _has_long_number(data):
        return decode(data)
    value = orjson.loads(data)
    if len(data) > MAX_DEPTH:  # a level takes a byte and more
        refuse_depth(value, data)
    return value


def loads_all(values: Sequence[bytes | None]) -> list[Any]:
    """
    Return what the JSON in each of *values* means, None for None.

    A fast path: what orjson does not read exactly is searched for in all of them together, which saves a third of the time.

    Raises:
        ValueError: as `loads`.
    """
    data = [value for value in values if value is not None]
    if orjson is None or max(map(len, data), default=0) > MAX_DEPTH or _has_long_number(b" ".join(data)):
        return [None if value is None else loads(value) for value in values]
    parse = orjson.loads
    return [None if value is None else parse(value) for value in values]


def _has_long_number(data: bytes) -> bool:
    return data.translate(_DIGITS_AS_ZEROS).find(_LONG_NUMBER) >= 0
