# SPDX-License-Identifier: MIT
"""
Break the lines of Markdown documents at 120 columns. Code, tables, headings and generated references stay as they are.

Usage: scripts/reflow.py [FILE ...]     (default: every document of this checkout that is written by hand)
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = 120
GENERATED = "docs/reference/"
ITEM = re.compile(r"^( *)(?:[-*] |\d+\. |> )")
KEPT = re.compile(r"^ *(?:\||#|<|\[[^]]+\]: |---$|!!! )")
"""Lines that a break would change: tables, headings, HTML, targets of links, rules, admonitions."""
CODE = re.compile(r"`[^`]*`|\[[^]]*\]\([^)]*\)")


def reflow(text: str) -> str:
    """Return *text* with no line of prose over the limit; a paragraph without such a line stays as it is."""
    return "\n".join(line for block in _blocks(text.split("\n")) for line in (_broken(block) if isinstance(block, list) else [block]))


def _blocks(lines: list[str]) -> Iterator[list[str] | str]:
    """Yield paragraphs and items of lists as lists of lines, and each line that stays as it is."""
    block: list[str] = []
    fence = ""
    for line in lines:
        mark = re.match(r" *(```+|~~~+)", line)
        is_kept = bool(fence or mark or not line.strip() or KEPT.match(line))
        if is_kept or ITEM.match(line):
            if block:
                yield block
            block = []
        if is_kept:
            yield line
        else:
            block.append(line)
        if mark and not fence:
            fence = mark[1]
        elif fence and line.strip() == fence:
            fence = ""
    if block:
        yield block


def _broken(block: list[str]) -> list[str]:
    """Return the lines of one block; spaces inside code and links are no place for a break."""
    first = block[0]
    if all(len(line) <= COLUMNS for line in block):
        return block
    item = ITEM.match(first)
    begin = item[0] if item else re.match(r" *", first)[0]  # type: ignore[index]  # it matches the empty text, too
    following = begin if begin.endswith("> ") else " " * len(begin)
    words = " ".join([first[len(begin) :], *(line.strip().removeprefix("> ") for line in block[1:])])
    words = CODE.sub(lambda found: found[0].replace(" ", "\0"), words)
    made = textwrap.wrap(words, COLUMNS, initial_indent=begin, subsequent_indent=following, break_long_words=False, break_on_hyphens=False)
    # A line that begins with a dash, a plus or "1." would be read as an item of a list.
    for number in range(1, len(made)):
        while re.match(r" *(?:[-+*]|\d+\.) ", made[number]) and " " in made[number - 1].strip():
            made[number - 1], _space, last = made[number - 1].rpartition(" ")
            made[number] = f"{following}{last} {made[number].strip()}"
    return [line.replace("\0", " ") for line in made]


def main(arguments: list[str]) -> int:
    """Rewrite the files and return the exit status."""
    if arguments == ["--help"]:
        print((__doc__ or "").strip())
        return 0
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in arguments or [name for name in listed if not name.startswith(GENERATED)]:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        if (made := reflow(text)) != text:
            path.write_text(made, encoding="utf-8")
            print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
