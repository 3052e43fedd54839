# SPDX-License-Identifier: MIT
"""What callers may give: one check of every key, value, number and time, before either packer sees it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from .resp import Argument

Value = str | bytes | int | float
Seconds = float | timedelta

MAX_BYTES = 512 * 1024 * 1024  # proto-max-bulk-len, which closes the connection of whoever sends more
LONGEST_MS = 2**62  # the server adds the time of day, and refuses what does not fit into 63 bits
LONGEST_FIELD_MS = 2**47  # of the 48 bits that Redis keeps of the time at which a field expires
LONGEST_WAIT_SECONDS = 2_000_000.0  # 23 days; poll() counts milliseconds in 31 bits
LONGEST_BUDGET_SECONDS = 86400.0  # as timeout_seconds of the settings


def checked_key(key: str) -> str:
    """
    Return *key*.

    Raises:
        TypeError: if it is no text.
        ValueError: if it has half of a surrogate pair, which has no form in UTF-8.
    """
    if not isinstance(key, str):
        raise TypeError(f"a key is of type {type(key).__name__}; keys are texts, each an argument of its own")
    if not key.isascii():
        _encoded(key, "key", key)
    return key


def key_list(keys: Iterable[str], called: str = "keys") -> list[str]:
    """Return *keys* as a list; TypeError if they are a single text, each letter of which would be one."""
    if isinstance(keys, (str, bytes)):
        raise TypeError(f"{called} is a single {type(keys).__name__}; give a list of texts")
    return list(keys)


def plain(key: str, value: Any, kind: str = "key") -> Argument:
    """
    Return *value* as a plain text, bytes or number; of subclasses, as those of Enum, what they are as such.

    Args:
        key, kind: What the value is for, and what that is, for errors.
    Raises:
        TypeError: if it is something else than str, bytes, int and float; bool is something else.
        ValueError: if it is a text without a form in UTF-8, or larger than servers take.
    """
    given = value.__class__
    if given is str:
        if value.isascii() and len(value) <= MAX_BYTES:
            return value  # type: ignore[no-any-return]
    elif given is int or given is float or (given is bytes and len(value) <= MAX_BYTES):
        return value  # type: ignore[no-any-return]
    return _converted(key, value, kind)


def _converted(key: str, value: Any, kind: str) -> Argument:
    found: Argument
    if isinstance(value, str):
        found = _encoded(key, kind, str.__str__(value))
    elif isinstance(value, bytes):
        found = bytes.__add__(value, b"")
    elif isinstance(value, int) and not isinstance(value, bool):
        return int.__int__(value)
    elif isinstance(value, float):
        return float.__float__(value)
    else:
        hint = "; JSON has booleans and None, as in set_json" if value is None or isinstance(value, bool) else ""
        raise TypeError(f"the value for {kind} {key!r} is of type {type(value).__name__}; allowed: str, bytes, int, float{hint}")
    if len(found) > MAX_BYTES:
        raise ValueError(f"the value for {kind} {key!r} has {len(found)} bytes; servers take {MAX_BYTES}")
    return found


def _encoded(key: str, kind: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"a text for {kind} {key!r} has half of a surrogate pair, which has no form in UTF-8") from None


def field_mapping(fields: Any, value: Any, missing: object) -> Mapping[str, Any]:
    """Return fields and values of a hash, from a mapping, or from one field and its *value*, which is *missing* with a mapping."""
    if isinstance(fields, Mapping):
        if value is not missing:
            raise TypeError("fields is a mapping already; a value is for a single field")
        return fields
    if value is missing:
        raise TypeError(f"fields is of type {type(fields).__name__}; give a mapping, or one field and its value")
    return {fields: value}


def whole(called: str, number: Any) -> int:
    """Return *number*; TypeError if it is no whole number, or a bool."""
    if number.__class__ is int:
        return number
    if isinstance(number, int) and not isinstance(number, bool):
        return int.__int__(number)
    raise TypeError(f"{called} is of type {type(number).__name__}; it must be a whole number")


def real(called: str, number: Any) -> float:
    """Return *number*; TypeError if it is no number or a bool, ValueError if it is NaN."""
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError(f"{called} is of type {type(number).__name__}; it must be a number")
    if math.isnan(number):
        raise ValueError(f"{called} is not a number (NaN)")
    return int.__int__(number) if isinstance(number, int) else float.__float__(number)


def seconds(called: str, time: Any) -> float:
    """Return *time*, seconds or a timedelta, in seconds; TypeError if it is neither."""
    if isinstance(time, timedelta):
        return time.total_seconds()
    if isinstance(time, bool) or not isinstance(time, (int, float)):
        raise TypeError(f"{called} is of type {type(time).__name__}; it must be a number of seconds or a timedelta")
    return time


def milliseconds(ttl_seconds: Any, longest_ms: int = LONGEST_MS) -> int:
    """Return whole milliseconds, at least 1: the server refuses 0, and rounding down would expire a key too early."""
    ttl = seconds("ttl_seconds", ttl_seconds)
    if not 0 < ttl <= longest_ms // 1000:
        raise ValueError(f"ttl_seconds is {ttl}; allowed are numbers above 0, up to {longest_ms // 1000}")
    return math.ceil(ttl * 1000)


def epoch_milliseconds(when: Any) -> int:
    """Return *when*, a datetime with a time zone or seconds since the epoch, in milliseconds since the epoch."""
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise ValueError("when has no time zone; give one, as in datetime.now(timezone.utc)")
        when = when.timestamp()
    if isinstance(when, bool) or not isinstance(when, (int, float)):
        raise TypeError(f"when is of type {type(when).__name__}; it must be a datetime, or seconds since the epoch")
    if not 0 <= when <= LONGEST_MS // 1000:
        raise ValueError(f"when is {when}; allowed are 0 and above, up to {LONGEST_MS // 1000}")
    return math.ceil(when * 1000)


def exclusive(*, nx: bool, xx: bool, gt: bool, lt: bool) -> list[str]:
    """Return the words of the options that are on; ValueError if they exclude each other."""
    if (nx and (xx or gt or lt)) or (gt and lt):
        raise ValueError("nx excludes xx, gt and lt; gt and lt exclude each other")
    return [word for word, is_on in (("NX", nx), ("XX", xx), ("GT", gt), ("LT", lt)) if is_on]


def block_seconds(timeout_seconds: Any) -> float:
    """Return how long the server may wait, in whole milliseconds: what is less would be 0 to some servers, which is forever."""
    timeout = seconds("timeout_seconds", timeout_seconds)
    if not 0 <= timeout <= LONGEST_WAIT_SECONDS:
        raise ValueError(f"timeout_seconds is {timeout}; allowed are numbers above 0, up to {LONGEST_WAIT_SECONDS:.0f}, and 0 for no limit")
    return math.ceil(timeout * 1000) / 1000


def budget_seconds(timeout_seconds: Any) -> float:
    """Return the longest time of one call; ValueError if no call can take it."""
    budget = seconds("timeout_seconds", timeout_seconds)
    if not 0 < budget < LONGEST_BUDGET_SECONDS:
        raise ValueError(f"timeout_seconds is {budget}; allowed are numbers above 0, below {LONGEST_BUDGET_SECONDS:.0f}")
    return budget
