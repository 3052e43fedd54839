# SPDX-License-Identifier: MIT
"""What a caller's ``decoder=`` makes of JSON: objects of dataclasses, pydantic models, msgspec structs, or what a function returns."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from ..core.errors import DecodeError
from .kinds import MISSING
from .replies import from_json

T_co = TypeVar("T_co", covariant=True)


class BytesDecoder(Protocol[T_co]):
    """Something that reads JSON itself, as ``msgspec.json.Decoder(User)``."""

    def decode(self, data: bytes, /) -> T_co:
        """Return what the JSON in *data* means."""


def reading_with(decoder: Any) -> Callable[[bytes | None, str], Any]:
    """
    Return what reads a reply with *decoder*: MISSING for None, DecodeError for what it does not take.

    Args:
        decoder: A dataclass, a pydantic model, a msgspec struct, or a function, of what the JSON means; or an object with ``decode``,
            which gets the bytes.
    Raises:
        TypeError: if it is none of these.
    """
    reads_bytes = not isinstance(decoder, type) and not callable(decoder) and hasattr(decoder, "decode")
    convert = decoder.decode if reads_bytes else _converter(decoder)
    wanted = f"JSON for {getattr(decoder, '__name__', type(decoder).__name__)}"
    refusals = _refusals()

    def read(reply: bytes | None, key: str) -> Any:
        if reply is None:
            return MISSING
        value = reply if reads_bytes else from_json(reply, key)
        try:
            return convert(value)
        except refusals as error:
            raise DecodeError(key, wanted, data=reply) from error

    return read


def _converter(decoder: Any) -> Callable[[Any], Any]:
    if isinstance(decoder, type):
        if hasattr(decoder, "model_validate"):  # pydantic
            validate: Callable[[Any], Any] = decoder.model_validate
            return validate
        if hasattr(decoder, "__struct_fields__"):  # msgspec, which made the class and is loaded
            return partial(sys.modules["msgspec"].convert, type=decoder)
        if is_dataclass(decoder):
            return lambda value: decoder(**value)
    if not callable(decoder):
        raise TypeError(f"decoder is of type {type(decoder).__name__}; give a type, a function, or an object with decode")
    return decoder  # type: ignore[no-any-return]


def _refusals() -> tuple[type[Exception], ...]:
    """Return the errors by which decoders refuse data."""
    msgspec = sys.modules.get("msgspec")
    ours = (ValueError, TypeError, LookupError)
    return ours if msgspec is None else (*ours, msgspec.MsgspecError)
