# SPDX-License-Identifier: MIT
"""Replies that are read together mean what each of them means alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyfleet import DecodeError
from keyfleet._protocol.replies import MANY, Reader

REPLIES = st.none() | st.binary(max_size=6) | st.sampled_from([b"1", b'{"a":[1]}', b"12345678901234567890", b"\xff", b"[", b"]", b""])


@pytest.mark.parametrize("read", MANY, ids=lambda read: read.__name__)
@given(replies=st.lists(REPLIES, max_size=5))
def test_many_are_read_as_each_alone(read: Reader, replies: list[bytes | None]) -> None:
    """The error is of the same key and says the same."""
    keys = [f"k{number}" for number in range(len(replies))]

    def outcome(one_by_one: bool) -> Any:
        try:
            return repr([read(reply, key) for reply, key in zip(replies, keys)] if one_by_one else MANY[read](replies, keys))
        except DecodeError as error:
            return str(error), error.key, error.data

    assert outcome(True) == outcome(False)
