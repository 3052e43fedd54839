# SPDX-License-Identifier: MIT
"""Threads and asyncio offer one face: the code above is written once, for asyncio, and generated for threads."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PACKAGE = Path(__file__).parents[3] / "python_lib" / "keyfleet"
PAIRS = sorted(path.stem.removeprefix("asyncio_") for path in (PACKAGE / "_transport").glob("asyncio_*.py") if path.stem != "asyncio_raw")
# Of a connection the code above uses these; the rest is between it and its pool.
LINK = {"open", "send", "exchange", "certificate", "close"}
# Within the transport of one kind only.
OWN = {"Node": {"given_up", "pool_for", "is_closed", "exchange"}}


def module(kind: str, name: str) -> ModuleType:
    """Return one module of the transport."""
    return importlib.import_module(f"keyfleet._transport.{kind}_{name}")


def imported(room: str, name: str) -> set[str]:
    """Return what the code above imports from the module *name* of the transport."""
    found: set[str] = set()
    for path in (PACKAGE / room).rglob("*.py"):
        for text in re.findall(rf"_transport\.(?:asyncio|thread)_{name} import (\([^)]*\)|.*)", path.read_text(encoding="utf-8")):
            found |= {word.strip() for word in text.strip("()").split(",") if word.strip()}
    return found


def face(kind: Any) -> dict[str, Any]:
    """Return the public members of a class."""
    return {name: member for name, member in inspect.getmembers(kind) if not name.startswith("_")}


def arguments(call: Any) -> list[tuple[str, Any, Any]]:
    """Return names, kinds and defaults of arguments."""
    return [(item.name, item.kind, item.default) for item in inspect.signature(call).parameters.values()]


@pytest.mark.parametrize("name", PAIRS)
def test_every_file_has_a_twin_with_the_same_names(name: str) -> None:
    """What the code above imports is in both, with the same arguments; classes have the same public members, but for some of their own."""
    tasks, threads = module("asyncio", name), module("thread", name)
    wanted = imported("_async", name)
    assert wanted == imported("_sync", name)
    for item in wanted:
        ours, theirs = getattr(tasks, item), getattr(threads, item)
        if not inspect.isclass(ours) or not inspect.isclass(theirs):
            continue
        assert arguments(ours) == arguments(theirs) or item in ("Link", "Lock"), item  # links are made by their `open`
        shared = LINK if item == "Link" else (face(ours).keys() | face(theirs).keys()) - OWN.get(item, set())
        if item != "Lock":  # a lock of the interpreter, where no deadline is needed
            assert shared <= face(ours).keys() & face(theirs).keys(), item
        for member in shared & face(ours).keys() & face(theirs).keys():
            both = (face(ours)[member], face(theirs)[member])
            assert callable(both[0]) == callable(both[1]), f"{item}.{member}"
            if callable(both[0]):
                assert arguments(both[0]) == arguments(both[1]), f"{item}.{member}"


def test_wait_for_is_used_nowhere_in_the_client() -> None:
    """Before Python 3.12 it returns although its task was cancelled, if both come together; asyncio.wait does not."""
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        if "testing" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr == "wait_for" and getattr(node.value, "id", "") == "asyncio")
        or (isinstance(node, ast.ImportFrom) and node.module == "asyncio" and "wait_for" in [name.name for name in node.names])
    ]
    assert [] == found


def test_no_connection_of_redis_py_is_used_for_calls() -> None:
    """The transport reads no private attribute of redis-py; only `raw` and the errors are its."""
    found = {
        path.name
        for path in (PACKAGE / "_transport").glob("*.py")
        if re.search(r"^\s*(?:from|import) redis\b(?!\.exceptions)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {"asyncio_raw.py"} == found
