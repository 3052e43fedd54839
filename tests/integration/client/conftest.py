# SPDX-License-Identifier: MIT
"""Counts of repetitions; and the client's modules are loaded before any test."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

import keyfleet
import pytest

# pytest rewrites the library's modules when they are loaded, and CPython 3.11 does not survive that in two threads at the same time:
# "AST constructor recursion depth mismatch". The client loads many of its modules late.
for module in pkgutil.walk_packages(keyfleet.__path__, "keyfleet."):
    if not module.name.startswith(("keyfleet.core.", "keyfleet.testing.")):
        importlib.import_module(module.name)


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """Return a function that chooses of two counts: the first one, or with ``--full`` the second."""
    return lambda few, many: many if request.config.getoption("full") else few
