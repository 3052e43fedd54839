# SPDX-License-Identifier: MIT
"""A decoder makes objects of JSON: dataclasses, pydantic's and msgspec's classes, functions, and what reads bytes itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest
from keyfleet import DecodeError
from keyfleet._protocol.builder import Commands

STORED = b'{"id":7,"name":"Ada"}'


@dataclasses.dataclass
class Plain:
    id: int
    name: str = ""


class Struct(msgspec.Struct):
    id: int
    name: str = ""


class Model:
    """As pydantic's models: a class with this method."""

    def __init__(self, **fields: Any) -> None:
        self.id, self.name = fields["id"], fields["name"]

    @classmethod
    def model_validate(cls, value: Any) -> Model:
        if not isinstance(value.get("id"), int):
            raise ValueError("id is no number")
        return cls(**value)


@pytest.mark.parametrize("decoder", [Plain, Struct, Model, lambda value: Plain(**value), msgspec.json.Decoder(Struct)])
def test_it_makes_an_object(decoder: Any) -> None:
    """Of the type, or what the function returns; None stays what it was."""
    found = Commands("").get_json("k", decoder=decoder).commands[0].decode(STORED, "k")
    assert (7, "Ada") == (found.id, found.name)
    operation = Commands("").get_json("k", 4, decoder=decoder)
    assert 4 == operation.combine([operation.commands[0].decode(None, "k")])
    assert {"k": None} == Commands("").get_many_json(["k"], decoder=decoder).combine([[None]])


@pytest.mark.parametrize("decoder", [Plain, Struct, Model, lambda value: value["no such name"], msgspec.json.Decoder(Struct)])
@pytest.mark.parametrize("stored", [b'{"ID":"x"}', b"{"])
def test_what_it_refuses_is_not_json_for_it(decoder: Any, stored: bytes) -> None:
    """The error keeps the value, and a caller may take it for missing."""
    with pytest.raises(DecodeError, match="key 'k' holds a value that is not JSON") as caught:
        Commands("").get_json("k", decoder=decoder).commands[0].decode(stored, "k")
    assert stored == caught.value.data
    noted: list[DecodeError] = []
    operation = Commands("", note_undecodable=noted.append).get_json("k", 4, undecodable="miss", decoder=decoder)
    assert 4 == operation.combine([operation.commands[0].decode(stored, "k")])
    assert 1 == len(noted)


def test_a_decoder_is_something_that_decodes() -> None:
    """Everything else is an error immediately."""
    with pytest.raises(TypeError, match="decoder is of type str; give a type, a function, or an object with decode"):
        Commands("").get_json("k", decoder="User")
