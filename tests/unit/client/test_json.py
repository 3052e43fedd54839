# SPDX-License-Identifier: MIT
"""JSON means the same with orjson, without it, and to the module redis_key: one table of what is stored, read and refused."""

from __future__ import annotations

import enum
import json
import math
import uuid
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from datetime import date
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keyfleet._protocol import json as _json
from keyfleet.core.keys import json_text
from keyfleet.core.keys.types import TYPES


class Color(enum.Enum):
    RED = "red"
    NONE = None


class Word(str, enum.Enum):
    ONE = "one"


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    def __str__(self) -> str:
        return "something else"


class Fraction(float):
    pass


Pair = namedtuple("Pair", ("left", "right"))


def nested(levels: int) -> Any:
    """Return lists in lists, the innermost one empty."""
    value: list[Any] = []
    for _level in range(levels - 1):
        value = [value]
    return value


ITSELF: list[Any] = []
ITSELF.append(ITSELF)
STORED: dict[str, tuple[Any, bytes]] = {
    "null": (None, b"null"),
    "booleans": ([True, False], b"[true,false]"),
    "texts": (["ü", '\x00\x1f\x7f\u2028/"\\', "😀"], '["ü","\\u0000\\u001f\x7f\u2028/\\"\\\\","😀"]'.encode()),
    "more than 64 bits": ([2**64, -(2**63) - 1, 10**400], f"[{2**64},{-(2**63) - 1},{10**400}]".encode()),
    "64 bits": ([2**64 - 1, -(2**63)], f"[{2**64 - 1},{-(2**63)}]".encode()),
    "floats": ([0.1, -0.0, 1.0, 1e16, 1e-7, 5e-324, 1.5e300], b"[0.1,-0.0,1.0,1e+16,1e-07,5e-324,1.5e+300]"),
    "keys that are no texts": ({1: "a", None: "b", False: "c", 1.5: "d"}, b'{"1":"a","null":"b","false":"c","1.5":"d"}'),
    "keys of enums": ({Word.ONE: 1, Number.ONE: 2}, b'{"one":1,"1":2}'),
    "uuid": ([uuid.UUID(int=1)], b'["00000000-0000-0000-0000-000000000001"]'),
    "enums": ([Color.RED, Color.NONE, Word.ONE, Number.ONE], b'["red",null,"one",1]'),
    "tuples": ((1, Pair(2, (3,))), b"[1,[2,[3]]]"),
    "subclasses": ([Text("a"), Fraction(1.5), OrderedDict(b=1, a=2)], b'["a",1.5,{"b":1,"a":2}]'),
    "deep": (nested(json_text.MAX_DEPTH), b"[" * json_text.MAX_DEPTH + b"]" * json_text.MAX_DEPTH),
    "wide": ([{"a": []}] * 600, b"[" + b",".join([b'{"a":[]}'] * 600) + b"]"),
}
REFUSED: dict[str, Any] = {
    "NaN": math.nan,
    "infinity": {"x": [math.inf]},
    "NaN as a key": {math.nan: 1},
    "half of a pair": "\ud800",
    "half of a pair as a key": {"\udc80": 1},
    "too deep": nested(json_text.MAX_DEPTH + 1),
    "much too deep": nested(5000),
    "itself": ITSELF,
    "bytes": b"x",
    "a set": {1},
    "a date": date(2020, 1, 1),
    "an object": object(),
    "an enum as a key": {Color.RED: 1},
    "a uuid as a key": {uuid.UUID(int=1): 1},
    "a tuple as a key": {(1, 2): 1},
}
READ: dict[str, tuple[bytes, Any]] = {
    "more than 64 bits": (b"[18446744073709551616,-9223372036854775809]", [2**64, -(2**63) - 1]),
    "400 digits": (b"1" * 400, int("1" * 400)),
    "19 digits in a text": (b'{"1234567890123456789":"1234567890123456789"}', {"1234567890123456789": "1234567890123456789"}),
    "long fractions": (b"[1180591620717411303424.0,0.1111111111111111111111]", [1180591620717411303424.0, 0.1111111111111111111111]),
    "a name twice": (b'{"a":1,"a":2}', {"a": 2}),
    "spaces": (b" \t\r\n[1 , 2]\n", [1, 2]),
    "a pair": (b'"\\ud83d\\uDE00"', "😀"),
    "deep": (b"[" * json_text.MAX_DEPTH + b"]" * json_text.MAX_DEPTH, nested(json_text.MAX_DEPTH)),
    "brackets in a text": (b'"' + b"[" * 600 + b'"', "[" * 600),
}
UNREADABLE: dict[str, bytes] = {
    "nothing": b"",
    "NaN": b"[NaN]",
    "infinity": b"-Infinity",
    "a number too large": b"1e400",
    "half of a pair": b'"\\ud800"',
    "half of a pair in capitals": b'["\\uDC80"]',
    "no UTF-8": b'"\xff"',
    "another encoding": "[1]".encode("utf-16"),
    "a mark of order": b"\xef\xbb\xbf1",
    "a control character": b'"\x01"',
    "a comma too many": b"[1,]",
    "a zero too many": b"01",
    "something behind it": b"[1] x",
    "too deep": b"[" * (json_text.MAX_DEPTH + 1) + b"]" * (json_text.MAX_DEPTH + 1),
    "too deep behind a text": b'[["[]"],' + b'{"a":' * json_text.MAX_DEPTH + b"1" + b"}" * json_text.MAX_DEPTH + b"]",
    "much too deep": b"[" * 100_000,
}


@pytest.fixture(params=["orjson", "standard library"])
def without(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's JSON with orjson, then without it."""
    if request.param == "standard library":
        monkeypatch.setattr(_json, "orjson", None)
    else:
        assert vars(_json)["orjson"] is orjson


@pytest.mark.parametrize("name", STORED)
def test_the_client_stores_it_so(name: str, without: None) -> None:
    """Byte for byte, and what is read again is the same as what the standard library makes of it."""
    value, stored = STORED[name]
    assert stored == _json.dumps(value)
    assert json.loads(stored) == _json.loads(stored)


@pytest.mark.parametrize("name", STORED)
def test_the_module_stores_it_so(name: str) -> None:
    """A playbook and a program may share keys."""
    value, stored = STORED[name]
    assert stored == TYPES["json"].encode(value)


@pytest.mark.parametrize("name", REFUSED)
def test_the_client_refuses_it(name: str, without: None) -> None:
    """Nothing is stored that says something else than what was given."""
    with pytest.raises((TypeError, ValueError)):
        _json.dumps(REFUSED[name])


@pytest.mark.parametrize("name", ["NaN", "infinity", "too deep", "much too deep", "itself", "half of a pair"])
def test_what_is_wrong_with_a_value_is_a_value_error(name: str, without: None) -> None:
    """The type is right, the value is not."""
    with pytest.raises(ValueError):
        _json.dumps(REFUSED[name])


@pytest.mark.parametrize("name", sorted(REFUSED.keys() - {"half of a pair"}))
def test_the_module_refuses_it(name: str) -> None:
    """With an error of its own."""
    with pytest.raises(ValueError, match="no JSON form"):
        TYPES["json"].encode(REFUSED[name])


@pytest.mark.parametrize("name", READ)
def test_it_is_read_so(name: str, without: None) -> None:
    """Whole numbers with all digits."""
    data, value = READ[name]
    found = _json.loads(data)
    assert (value, str(value), type(value)) == (found, str(found), type(found))


@pytest.mark.parametrize("name", READ)
def test_the_module_reads_it_so(name: str) -> None:
    """A text in a playbook is JSON; it is stored in the client's form."""
    data, value = READ[name]
    assert _json.dumps(value) == TYPES["json"].encode(data.decode())


@pytest.mark.parametrize("name", UNREADABLE)
def test_it_is_not_read(name: str, without: None) -> None:
    """It is no JSON that every reader takes."""
    with pytest.raises(ValueError):
        _json.loads(UNREADABLE[name])


@pytest.mark.parametrize("name", sorted(UNREADABLE.keys() - {"no UTF-8"}))
def test_the_module_does_not_read_it(name: str) -> None:
    """And says what must be there instead."""
    with pytest.raises(ValueError, match="must be JSON"):
        TYPES["json"].encode(UNREADABLE[name].decode("latin-1"))


KEYS = st.one_of(
    st.text(st.characters(codec=None), max_size=4), st.integers(), st.booleans(), st.none(), st.floats(), st.sampled_from(Word)
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec=None), max_size=8), st.uuids(), st.sampled_from(Color)
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)
TEXTS = st.one_of(
    VALUES.map(lambda value: json.dumps(value, default=str, skipkeys=True).encode()),
    st.text(st.sampled_from('[]{},:"\\ud89abctrufalsn0123456789.eE+- \n'), max_size=24).map(str.encode),
    st.integers(min_value=0).map(lambda digits: str(10 ** (digits % 60) + digits).encode()),
    st.binary(max_size=6),
)


SLOWLY = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy


def outcome(call: Callable[[Any], Any], value: Any) -> tuple[str, Any]:
    """Return what *call* makes of *value*, or that it refuses it."""
    try:
        return "ok", repr(call(value))
    except (TypeError, ValueError) as error:
        return "refused", isinstance(error, ValueError)


@SLOWLY
@given(VALUES)
def test_orjson_writes_what_the_standard_library_writes(value: Any) -> None:
    """Whatever it is."""
    assert outcome(json_text.encode, value) == outcome(_json.dumps, value)


@SLOWLY
@given(TEXTS)
def test_orjson_reads_what_the_standard_library_reads(data: bytes) -> None:
    """Whatever it is."""
    assert outcome(json_text.decode, data) == outcome(_json.loads, data)


@SLOWLY
@given(VALUES)
def test_what_was_written_is_read(value: Any) -> None:
    """And written again the same; keys that JSON writes alike, as None and "null", are one key then."""
    try:
        read = _json.loads(_json.dumps(value))
    except (TypeError, ValueError):
        return
    assert repr(read) == repr(_json.loads(_json.dumps(read)))


@SLOWLY
@given(st.lists(st.none() | TEXTS | VALUES.map(lambda value: json.dumps(value, default=str, skipkeys=True).encode()), max_size=5))
def test_many_are_read_as_each_of_them_is(values: list[bytes | None]) -> None:
    """Also where one of them is not JSON, or would be with what stands beside it."""
    assert outcome(lambda several: [None if data is None else _json.loads(data) for data in several], values) == outcome(
        _json.loads_all, values
    )


@pytest.mark.parametrize("data", [data for data, _value in READ.values()] + [data for _value, data in STORED.values()])
def test_one_among_many_is_read_as_it_is_alone(data: bytes, without: None) -> None:
    """With all its digits, whatever stands beside it."""
    assert repr([None, _json.loads(data), 1]) == repr(_json.loads_all([None, data, b"1"]))


@pytest.mark.parametrize("data", UNREADABLE.values())
def test_one_among_many_is_refused_as_it_is_alone(data: bytes, without: None) -> None:
    """Depth is counted for each of them."""
    with pytest.raises(ValueError):
        _json.loads_all([b"1", data])


@pytest.mark.parametrize("value", [{"a": None, "b": [math.nan]}, [None, math.inf], {"null": -math.inf}])
def test_none_hides_no_nan(value: Any, without: None) -> None:
    """Both are null to orjson."""
    with pytest.raises(ValueError):
        _json.dumps(value)
