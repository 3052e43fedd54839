# SPDX-License-Identifier: MIT
"""Client and AsyncClient are the same: one is made from the other, with the same names and arguments."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

from keyfleet import AsyncClient, Client

ROOT = Path(__file__).parents[3]


def public(kind: type) -> dict[str, Any]:
    """Return the public members, and those that make a context manager, by the name that both share."""
    names = {"__aenter__": "__enter__", "__aexit__": "__exit__"}
    return {names.get(name, name): member for name, member in inspect.getmembers(kind) if not name.startswith("_") or name in names}


def test_the_files_are_what_the_generator_makes() -> None:
    """No twin is kept by hand."""
    command = [sys.executable, str(ROOT / "scripts" / "generate_sync.py"), "--check"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (0, "") == (found.returncode, found.stderr)


def test_both_have_the_same_names_and_arguments() -> None:
    """Down to kinds and defaults; annotations differ where one waits."""
    ours, theirs = public(AsyncClient), public(Client)
    theirs |= {name: getattr(Client, name) for name in ("__enter__", "__exit__")}
    assert ours.keys() == theirs.keys()
    for name, member in ours.items():
        if callable(member):
            found = [
                [(item.name, item.kind, item.default) for item in inspect.signature(call).parameters.values()]
                for call in (member, theirs[name])
            ]
            assert found[0] == found[1], name


def test_everything_that_waits_is_a_coroutine_in_one_and_not_in_the_other() -> None:
    """No call of Client returns something to await."""
    waiting = [
        name for name, member in public(AsyncClient).items() if inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)
    ]
    assert {"get", "set", "scan", "close", "ping"} <= set(waiting)
    assert [] == [
        name for name, member in public(Client).items() if inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)
    ]


def test_every_public_call_is_documented() -> None:
    """The docstring is the reference."""
    assert [] == [name for name, member in public(AsyncClient).items() if not name.startswith("_") and not inspect.getdoc(member)]
