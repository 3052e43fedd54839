# SPDX-License-Identifier: MIT
"""When a running program is another one than a start would execute."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.instance.program import replaced

PATHS = ["/usr/bin/redis-server", "/opt/lib/loader", "/opt/lib/redis-server"]
FILES = st.dictionaries(st.sampled_from(["fe:00 1", "fe:00 2", "fe:01 1", "fe:01 2"]), st.sampled_from(PATHS), min_size=1)


@given(FILES, FILES, st.booleans())
def test_a_program_is_another_one_if_any_of_its_files_is(executed: dict[str, str], desired: dict[str, str], gone: bool) -> None:
    """By the files themselves, whatever they are called; names are for the reason alone."""
    found = replaced({file: path + " (deleted)" * gone for file, path in executed.items()}, desired)
    assert (found == "") == (executed.keys() == desired.keys())
    if found and sorted(executed.values()) == sorted(desired.values()):
        assert "the program was replaced since the server started" == found
    elif found:
        assert found.startswith("binary changed: ")
        assert all(path in found for path in {*executed.values(), *desired.values()})


@given(FILES)
def test_a_program_whose_mount_is_gone_was_replaced(desired: dict[str, str]) -> None:
    """Its path is the root of a detached mount, which is no name."""
    assert "the program was replaced since the server started" == replaced({"00:21 7": "/ (deleted)"}, desired)
