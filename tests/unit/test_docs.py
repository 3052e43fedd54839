# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documents point at exists: files behind links, make targets, paths of this repository."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("changelogs", "docs", "inventories", "LICENSES", "molecule", "playbooks", "plugins", "python_lib", "roles", "scripts", "tests")
PATH = re.compile(rf"(?<![\w./~-])(?:{'|'.join(OURS)})/[\w./*@-]*")
MODULE = re.compile(r"\bkeyfleet\.(?:core|_[a-z]+|testing)(?:\.[a-z_]+)*")
INVENTED = re.compile(r"[A-Z]{4,}|^inventories/mine")  # placeholders, and the inventory that readers make
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def documents() -> list[Path]:
    """Return every Markdown file of the checkout; what begins with a dot is not ours."""
    found: list[Path] = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in {"build", "dist"}]
        found += [Path(folder, name) for name in files if name.endswith(".md")]
    return sorted(found)


def code(text: str) -> str:
    """Return the code of a document, inline and fenced; YAML and Python are programs, not commands."""
    blocks = [block for language, block in FENCE.findall(text) if language in ("", "sh")]
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", FENCE.sub("", text))])


def ignored(path: str) -> bool:
    """Return whether git ignores *path*: it is made by a run, and need not be there."""
    patterns = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()]
    return any(fnmatch.fnmatch(part, pattern) for part in Path(path).parts for pattern in patterns)


def is_module(name: str) -> bool:
    """Whether *name* is a package of the library, or a module, or something in a module."""
    paths = [ROOT / "python_lib" / "/".join(name.split(".")[:length]) for length in range(1, name.count(".") + 2)]
    return paths[-1].is_dir() or any(path.with_suffix(".py").is_file() for path in paths)


def broken_links(document: Path) -> Iterator[str]:
    """Yield the relative links of a document whose file, or heading, is missing."""
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _unused, heading = link.partition("#")
        target = (document.parent / place).resolve() if place else document
        if "://" in link:
            continue
        if not target.exists() or (heading and heading not in headings(target)):
            yield link


def headings(document: Path) -> set[str]:
    """Return the anchors of a document, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", document.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_document_points_at_what_exists(document: Path) -> None:
    """Links, make targets and paths, of one document."""
    commands = code(document.read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert [] == list(broken_links(document))
    assert set() == set(re.findall(r"^\s*make ([a-z][a-z-]*)", commands, re.MULTILINE)) - targets
    paths = {path.rstrip(".") for path in PATH.findall(commands)}
    assert [] == sorted(path for path in paths if not INVENTED.search(path) and not ignored(path) and not any(ROOT.glob(path.rstrip("/"))))


def test_every_document_is_reached_from_the_readme() -> None:
    """A page of docs/ that nothing links to is not found by anybody."""
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        seen.add(document)
        text = FENCE.sub("", document.read_text(encoding="utf-8"))
        linked = {(document.parent / link).resolve() for link in re.findall(r"\]\(([^)#\s]+\.md)", text) if "://" not in link}
        waiting += [path for path in linked - seen if path.exists()]
    assert [] == [str(path.relative_to(ROOT)) for path in documents() if path.is_relative_to(ROOT / "docs") and path not in seen]


@pytest.mark.parametrize("folder", ["tests", "molecule", "scripts", "docs", "roles", "plugins"])
def test_modules_that_are_named_exist(folder: str) -> None:
    """Names of the library's modules in programs of tests, in patches and in documents: what moves is found wherever it is named."""
    files = [path for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".md", ".yml", ".j2", ""} and path.is_file()]
    named = {found for path in files for found in MODULE.findall(path.read_text(encoding="utf-8"))}
    assert [] == sorted(name for name in named if not is_module(name))
