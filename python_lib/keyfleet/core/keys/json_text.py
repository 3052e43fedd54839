# SPDX-License-Identifier: MIT
"""
JSON as it is stored, by the module redis_key for its type ``json`` and by the client: compact UTF-8, by the standard library.

What has no form that every reader understands is refused in both directions: NaN and infinity, halves of surrogate pairs, and
structures nested deeper than MAX_DEPTH, which parsers limit differently. Whole numbers keep all their digits.
"""

from __future__ import annotations

import json
import math
import sys
from enum import Enum
from typing import Any

MAX_DEPTH = 500
_NESTING = frozenset([dict, list])


def encode(value: object) -> bytes:
    """
    Return *value* as JSON. Enum members stand for their values, UUIDs for their texts, keys that are numbers, booleans or None for
    their JSON.

    Raises:
        TypeError: if it holds something else than dict, list, tuple, str, int, float, bool, None, Enum and UUID.
        ValueError: if it holds NaN or infinity, itself, half of a surrogate pair, or is nested too deeply.
    """
    try:
        text = _ENCODER.encode(value)
        data = text.encode()
        if _has_many_levels(data):
            refuse_depth(_DECODER.decode(text), data)
    except RecursionError:
        raise ValueError(_too_deep()) from None
    return data


def decode(data: bytes) -> Any:
    """
    Return what the JSON in *data* means.

    Raises:
        ValueError: if it is not JSON in UTF-8, or has what `encode` refuses.
    """
    text = data.decode()
    try:
        value = _DECODER.decode(text)
        if "\\ud" in text or "\\uD" in text:
            _ENCODER.encode(value).encode()
    except RecursionError:
        raise ValueError(_too_deep()) from None
    refuse_depth(value, data)
    return value


def refuse_depth(value: object, data: bytes) -> None:
    """Raise ValueError if *value*, which was read from the JSON in *data*, is nested deeper than MAX_DEPTH."""
    if not _has_many_levels(data):
        return
    level = [value]
    for _depth in range(MAX_DEPTH + 1):
        groups: list[Any] = [item.values() if isinstance(item, dict) else item for item in level if type(item) in _NESTING]
        if not groups:
            return
        level = [item for group in groups for item in group if type(item) in _NESTING]
    raise ValueError(_too_deep())


def _has_many_levels(data: bytes) -> bool:
    """Return whether the JSON in *data* may be nested deeper than MAX_DEPTH."""
    return data.count(b"[") + data.count(b"{") > MAX_DEPTH


def _too_deep() -> str:
    return f"it is nested too deeply; allowed are {MAX_DEPTH} levels"


def _encodable(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    uuid = sys.modules.get("uuid")  # a program that has none does not pay for it
    if uuid is not None and isinstance(value, uuid.UUID):
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def _finite(number: str) -> float:
    found = float(number)
    if math.isinf(found):
        raise ValueError("a number is too large")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_encodable)
_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse_constant)
