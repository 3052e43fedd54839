# SPDX-License-Identifier: MIT
"""The client's modules are loaded before any test."""

from __future__ import annotations

import importlib
import pkgutil

import keyfleet

# pytest rewrites the library's modules when they are loaded, and CPython 3.11 does not survive that in two threads at the same time:
# "AST constructor recursion depth mismatch". The client loads many of its modules late.
for module in pkgutil.walk_packages(keyfleet.__path__, "keyfleet."):
    if not module.name.startswith(("keyfleet.core.", "keyfleet.testing.")):
        importlib.import_module(module.name)
