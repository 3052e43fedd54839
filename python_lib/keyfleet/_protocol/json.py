# SPDX-License-Identifier: MIT
"""JSON as keyfleet.core.keys.json_text defines it; orjson, where it is installed, does what it does in the same way, faster."""

from __future__ import annotations

from typing import Any

from ..core.keys.json_text import decode, encode, refuse_depth

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
        # It writes NaN as null, and 1e-7 where others write 1e-07.
        if b"null" not in data and b"e-" not in data:
            return data
    return encode(value)


def loads(data: bytes) -> Any:
    """
    Return what the JSON in *data* means.

    Raises:
        ValueError: as `decode` of json_text.
    """
    if orjson is None or _LONG_NUMBER in data.translate(_DIGITS_AS_ZEROS):
        return decode(data)
    value = orjson.loads(data)
    refuse_depth(value, data)
    return value
