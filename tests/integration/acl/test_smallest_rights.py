# SPDX-License-Identifier: MIT
"""docs/operations/smallest_rights.md: each case works with what its row says, and not with less."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from keyfleet.testing.servers import start_server
from support.rights import CASES, Rights, read_page

ON_EVERY_SERVER = True
PAGE = read_page()


@pytest.fixture(scope="module")
def rights(redis_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rights]:
    """A server that lets a user try."""
    with start_server(tmp_path_factory.mktemp("rights"), engine=redis_engine) as server:
        yield Rights(server)


def test_the_page_has_every_case() -> None:
    """A call that is added gets a row: run scripts/read_rights.py."""
    assert list(CASES) == list(PAGE)


@pytest.mark.parametrize("name", CASES)
def test_a_case_works_with_just_these_rights(rights: Rights, name: str) -> None:
    """As it does with every right; each command that is missing makes a difference, which names it."""
    expected, _unused = rights.run(CASES[name], ["@all"])
    if not rights.knows(PAGE[name]):  # a command of another version, which no right gives
        assert expected is None
        return
    assert (expected, True) == (rights.run(CASES[name], PAGE[name])[0], expected is not None)
    (first, *others) = PAGE[name]
    result, denied = rights.run(CASES[name], others)
    assert (True, True) == (result != expected, first in denied)
