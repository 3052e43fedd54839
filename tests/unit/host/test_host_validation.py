# SPDX-License-Identifier: MIT
"""Variables of the role redis_host that cannot be used are refused from the inventory alone, each in a sentence of its own."""

from __future__ import annotations

import pytest
from keyfleet.core.host.validation import kernel_problems


@pytest.mark.parametrize("somaxconn", [1, 1024, 65535, "1024"])
def test_possible_values_pass(somaxconn: object) -> None:
    """Text too, since -e on the command line gives text."""
    assert [] == kernel_problems(somaxconn, "/")


@pytest.mark.parametrize("somaxconn", [0, -1, 65536, "many", "", True, None, [1024], 1024.0, "9" * 5000])
def test_only_the_wrong_variable_is_named(somaxconn: object) -> None:
    """With the value found and those allowed."""
    assert [f"redis_host_somaxconn is {somaxconn!r}: give 1 to 65535"] == kernel_problems(somaxconn, "/srv/x")


@pytest.mark.parametrize("root", ["here", "", None, 7])
def test_root_must_be_absolute(root: object) -> None:
    """And somaxconn is not blamed for it."""
    assert [f"redis_host_root is {root!r}: use an absolute path"] == kernel_problems(1024, root)
