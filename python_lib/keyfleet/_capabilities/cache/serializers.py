# SPDX-License-Identifier: MIT
"""How values become bytes: JSON, bytes as they are, or the JSON of a type."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any, Protocol

from ..._protocol import json as _json
from ..._protocol.decoders import reading_with
from ...core.errors import DecodeError


class Serializer(Protocol):
    """Writes values and reads them again; ``loads`` raises ValueError, TypeError or LookupError for what it cannot read."""

    def dumps(self, value: Any, /) -> bytes:
        """Return *value* as bytes."""

    def loads(self, data: bytes, /) -> Any:
        """Return the value that *data* was made of."""


class JsonSerializer:
    """JSON as everywhere in the client."""

    dumps = staticmethod(_json.dumps)
    loads = staticmethod(_json.loads)


class BytesSerializer:
    """Bytes as they are."""

    def dumps(self, value: bytes) -> bytes:
        """Return *value*; TypeError if it is not bytes."""
        if not isinstance(value, bytes):
            raise TypeError(f"the value is of type {type(value).__name__}; the serializer 'bytes' takes bytes")
        return value

    def loads(self, data: bytes) -> bytes:
        """Return *data*."""
        return data


class TypedSerializer:
    """
    The JSON of one type; None is stored as well.

    Args:
        kind: A dataclass, a pydantic model or a msgspec struct.
    """

    def __init__(self, kind: type) -> None:
        self._read = reading_with(kind)
        self._fields = _fields_of(kind)

    def dumps(self, value: Any) -> bytes:
        """Return the JSON of *value*."""
        return _json.dumps(None if value is None else self._fields(value))

    def loads(self, data: bytes) -> Any:
        """Return the object that *data* was made of; DecodeError if it does not fit the type."""
        return None if data == b"null" else self._read(data, "")


def _fields_of(kind: type) -> Callable[[Any], Any]:
    if hasattr(kind, "model_dump"):  # pydantic
        return lambda value: value.model_dump(mode="json")
    if hasattr(kind, "__struct_fields__"):  # msgspec, which made the class and is loaded
        to_builtins: Callable[[Any], Any] = sys.modules["msgspec"].to_builtins
        return to_builtins
    if is_dataclass(kind):
        return asdict
    raise TypeError(f"serializer is the type {kind.__name__}; give a dataclass, a pydantic model or a msgspec struct")


def serializer_of(wanted: Any) -> Serializer:
    """
    Return the serializer that *wanted* names: ``json``, ``bytes``, a type, or an object with ``dumps`` and ``loads``.

    Raises:
        TypeError, ValueError: if it is none of these.
    """
    if wanted == "json":
        return JsonSerializer()
    if wanted == "bytes":
        return BytesSerializer()
    if isinstance(wanted, type):
        return TypedSerializer(wanted)
    if hasattr(wanted, "dumps") and hasattr(wanted, "loads"):
        return wanted  # type: ignore[no-any-return]
    raise ValueError(f"serializer is {wanted!r}; allowed: json, bytes, a type, an object with dumps and loads")


def refusals() -> tuple[type[Exception], ...]:
    """Return the errors by which serializers refuse data; pickle is none of them, it would run what it reads."""
    msgspec = sys.modules.get("msgspec")
    ours = (ValueError, TypeError, LookupError, DecodeError)
    return ours if msgspec is None else (*ours, msgspec.MsgspecError)
