# SPDX-License-Identifier: MIT
"""Two names of one folder are seen, whatever they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from keyfleet.core.host.identity import identity_of, twins


@pytest.mark.parametrize("rest", ["", "/new", "/new/deeper"])
def test_links_and_spellings_of_one_folder_are_equal(tmp_path: Path, rest: str) -> None:
    """Whether the folder is there or is yet to be made."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    same = {identity_of(f"{tmp_path}/{name}{rest}") for name in ("real", "link", "real/.", "../" + tmp_path.name + "/real")}
    others = [identity_of(f"{tmp_path}{other}") for other in ("/real/other", "/new", "", "/real/new/other")]
    assert 1 == len(same)
    assert not same & set(others)
    assert len(others) == len(set(others))


def test_names_of_one_place_are_grouped() -> None:
    """In the order of the inventory; a place that is not known is like no other."""
    assert [["a", "c"], ["b", "e"]] == twins({"a": "1", "b": "2", "c": "1", "d": "3", "e": "2", "f": "", "g": ""})
    assert [] == twins({"a": "1", "b": "2"})
    assert [] == twins({})
