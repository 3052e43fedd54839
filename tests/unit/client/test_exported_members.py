# SPDX-License-Identifier: MIT
"""The public surface is what __all__ says, and it is complete."""

from __future__ import annotations

from types import ModuleType

import keyfleet
import keyfleet.testing.proxy
import keyfleet.testing.servers
import pytest


@pytest.mark.parametrize("module", [keyfleet, keyfleet.testing.proxy, keyfleet.testing.servers], ids=lambda module: module.__name__)
def test_all_lists_the_public_names(module: ModuleType) -> None:
    """Every name that is neither private nor a module is exported, in order; what is loaded later is there when asked for."""
    assert [] == [name for name in module.__all__ if not hasattr(module, name)]
    public = sorted(name for name, item in vars(module).items() if not name.startswith("_") and not isinstance(item, ModuleType))
    assert public == sorted(module.__all__)
    assert sorted(module.__all__) == module.__all__


def test_public_names_are_documented() -> None:
    """Everything public has a docstring; those of the clients are checked by their parity test."""
    documented = [getattr(keyfleet, name) for name in keyfleet.__all__]
    assert [] == [item for item in documented if not item.__doc__]
