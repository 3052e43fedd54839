# SPDX-License-Identifier: MIT
"""JSON by orjson where it is installed, else by the standard library; both write the same compact UTF-8."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]


def dumps(value: Any) -> bytes:
    """
    Return *value* as JSON.

    Raises:
        TypeError, ValueError: if it holds something other than dict with text keys, list, tuple, str, int, float, bool and None.
    """
    if orjson is not None:
        return orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME)
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


# Returns what JSON as bytes means; ValueError if it is none.
loads: Callable[[bytes], Any] = json.loads if orjson is None else orjson.loads
