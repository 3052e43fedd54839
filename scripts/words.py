# SPDX-License-Identifier: MIT
"""
Count the words of scripts/words.toml in code and documents; each count may only fall.

Strings in tests do not count: they are data, such as channels, users of the machine and replies of servers.

Usage: scripts/words.py [--write | --list WORD]
  --write      lower the counts in scripts/words.toml to what was found; one that rose stays, and fails
  --list WORD  print each place of the words whose expression contains WORD
"""

from __future__ import annotations

import io
import os
import re
import sys
import token
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tomllib

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "scripts" / "words.toml"
SEARCHED = (
    *("python_lib", "plugins", "roles", "playbooks", "scripts", "docs", "tests", "molecule", "inventories", "changelogs", ".github"),
    *("README.md", "CONTRIBUTING.md", "SECURITY.md"),
)
NOT_SEARCHED = (  # generated, and the table itself
    "docs/reference",
    "python_lib/keyfleet/_sync",
    "python_lib/keyfleet/core/directives/tables.py",
    "scripts/words.toml",
    "scripts/words.py",
)


def texts() -> Iterator[tuple[str, str]]:
    """Yield path and content of every file that is searched; links to folders are not followed."""
    for top in SEARCHED:
        walked: Iterable[tuple[str, list[str], list[str]]] = os.walk(ROOT / top) if (ROOT / top).is_dir() else [(str(ROOT), [], [top])]
        for folder, folders, names in walked:
            # Folders that begin with a dot are made by runs: secrets of an inventory, caches.
            folders[:] = [name for name in folders if not name.startswith((".", "__pycache__")) and not name.endswith(".egg-info")]
            for path in (Path(folder, name) for name in names):
                relative = path.relative_to(ROOT).as_posix()
                if not any(relative == other or relative.startswith(f"{other}/") for other in NOT_SEARCHED):
                    text = path.read_text(encoding="utf-8")
                    yield relative, without_data(text) if relative.startswith("tests/") and path.suffix == ".py" else text


def without_data(program: str) -> str:
    """Return a program with its strings blank, docstrings apart; every line keeps its number."""
    lines = program.split("\n")
    before = token.NEWLINE
    strings = {token.STRING, getattr(token, "FSTRING_MIDDLE", token.STRING)}  # Python 3.12 splits f-strings into tokens
    for found in tokenize.generate_tokens(io.StringIO(program).readline):
        if found.type in strings and before not in (token.NEWLINE, token.INDENT, token.DEDENT):
            (first, begin), (last, end) = found.start, found.end
            for number in range(first, last + 1):
                line = lines[number - 1]
                start, stop = begin if number == first else 0, end if number == last else len(line)
                lines[number - 1] = line[:start] + " " * (stop - start) + line[stop:]
        if found.type not in (token.COMMENT, token.NL):
            before = found.type
    return "\n".join(lines)


def expression(find: str) -> re.Pattern[str]:
    """Return the compiled form of a row's `find`; an underscore is the edge of a word, so that names in code are found."""
    return re.compile(rf"(?<![a-z])(?:{find})(?![a-z])".replace(" ", r"[\s#]+"), re.IGNORECASE)


def places(find: str, sources: list[tuple[str, str]]) -> list[str]:
    """Return ``path:line`` of each occurrence."""
    pattern = expression(find)
    return [f"{path}:{text.count(chr(10), 0, found.start()) + 1}" for path, text in sources for found in pattern.finditer(text)]


def write(rows: list[dict[str, Any]], counts: list[int]) -> None:
    """Lower the counts of the table in place."""
    lowest = iter(min(row["count"], count) for row, count in zip(rows, counts, strict=True))
    text = TABLE.read_text(encoding="utf-8")
    TABLE.write_text(re.sub(r"(?m)^count = \d+$", lambda _found: f"count = {next(lowest)}", text), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Compare, write or list, and return the exit status."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["word"]
    sources = list(texts())
    if len(arguments) == 2 and arguments[0] == "--list":
        print(*(place for row in rows if arguments[1] in row["find"] for place in places(row["find"], sources)), sep="\n")
        return 0
    if arguments not in ([], ["--write"]):
        print(__doc__.strip())
        return 0 if arguments == ["--help"] else 2
    counts = [len(places(row["find"], sources)) for row in rows]
    if arguments:
        write(rows, counts)
    rose = [(row, count) for row, count in zip(rows, counts, strict=True) if count > row["count"]]
    fell = [row for row, count in zip(rows, counts, strict=True) if count < row["count"]]
    for row, count in rose:
        print(f"{row['find']!r} is found {count} times, {row['count']} are allowed; say: {row['say']} (--list shows where)")
    if fell and not arguments:
        print(f"{', '.join(repr(row['find']) for row in fell)}: fewer than scripts/words.toml says; run scripts/words.py --write")
    return 1 if rose or (fell and not arguments) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
