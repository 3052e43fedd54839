# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/reflow.py breaks long lines and nothing else, and the documents have none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.reflow import COLUMNS, GENERATED, reflow

ROOT = Path(__file__).resolve().parents[2]
LONG = "word " * 40


def test_documents_have_no_long_lines() -> None:
    """Code and tables apart."""
    names = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in names if not name.startswith(GENERATED)}
    assert len(texts) > 50
    assert [] == [name for name, text in texts.items() if reflow(text) != text], "run scripts/reflow.py"


@pytest.mark.parametrize("begin", ["", "- ", "1. ", "> ", "  - "])
def test_prose_and_items_are_broken(begin: str) -> None:
    """All words stay, in their order, and each line fits."""
    made = reflow(f"{begin}{LONG.strip()}\n\nshort\nlines\n")
    lines = made.split("\n")
    assert max(map(len, lines)) <= COLUMNS
    assert [word for word in made.split() if word == "word"] == LONG.split()
    assert lines[-3:] == ["short", "lines", ""]


@pytest.mark.parametrize("text", [f"```\n{LONG}\n```\n", f"| {LONG} |\n", f"# {LONG}\n", f"`{LONG}`\n", f"```sh\n- x\n{LONG}\n```\n"])
def test_code_tables_and_headings_stay(text: str) -> None:
    """A break would change what they say."""
    assert text == reflow(text)


def test_no_line_begins_like_an_item() -> None:
    """A dash that was inside a sentence would begin a list."""
    made = reflow("x" * 117 + " - " + "y " * 10)
    assert not any(line.startswith("- ") for line in made.split("\n"))
