# SPDX-License-Identifier: MIT
"""Which file of the checkout imports which other one, and whether such arrows go round."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python_lib" / "keyfleet"
CORE = PACKAGE / "core"


def _file_of(base: Path, name: str) -> Optional[Path]:
    """Return the file that holds the module *name* (dotted, may be empty) below the folder *base*, None if there is none."""
    path = base.joinpath(*name.split(".")) if name else base
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def imported_files(path: Path) -> frozenset[Path]:
    """
    Return the files of this checkout that *path* imports relatively.

    Imports in functions and below ``if TYPE_CHECKING`` count: Ansible sends what the text names to the host, whether or not it is run.
    """
    files = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = path.parents[node.level - 1]
        for alias in node.names:
            dotted = ".".join(filter(None, [node.module, alias.name]))
            found = _file_of(base, dotted) or _file_of(base, node.module or "")
            if found:
                files.add(found.resolve())
    return frozenset(files)


def closure(paths: Iterable[Path]) -> set[Path]:
    """Return every file that is imported, directly or through others, when *paths* are; they themselves included."""
    seen: set[Path] = set()
    waiting = [path.resolve() for path in paths]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += imported_files(path)
    return seen


def cycle(arrows: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the names along one cycle of *arrows* (name: the names it points to), first name repeated last; empty if there is none."""
    finished: set[str] = set()

    def search(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in finished:
            return []
        for target in sorted(arrows.get(name, ())):
            found = search(target, [*trail, name])
            if found:
                return found
        finished.add(name)
        return []

    return next((found for name in sorted(arrows) if (found := search(name, []))), [])


def is_docstring_only(path: Path) -> bool:
    """Whether the file *path* holds a docstring and nothing else."""
    tree = ast.parse(path.read_text())
    return len(tree.body) == 1 and ast.get_docstring(tree) is not None
