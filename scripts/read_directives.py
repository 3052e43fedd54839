# SPDX-License-Identifier: MIT
"""
Read out of real server binaries which directives they know, and keep the table of the core in step.

    python scripts/read_directives.py                       read redis-server and valkey-server from PATH into the table
    python scripts/read_directives.py --check [BINARY …]    fail when the table differs from what the binaries say
    python scripts/read_directives.py BINARY …              the same as the first, for these binaries

Rows of engines and versions that are not given stay as they are, so that each version is read where its binary is.
Everything is asked of the server itself: names by CONFIG GET (the hidden ones are found among the strings of the binary), type, choices and
range by what it answers to bad values, live or not by CONFIG SET, aliases by setting one name and comparing which other changed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python_lib/keyfleet"))

from core.directives.throwaway import AnswerError, Ask, StartFailedError, config_get, engine_version, throwaway  # noqa: E402

TABLE_FILE = ROOT / "python_lib/keyfleet/core/directives/tables.py"
Row = tuple[str, str, str, str, str]  # name, kind, detail, flags, default
Key = tuple[str, str]  # engine, "major.minor"

# CONFIG GET does not know these.
FILE_ONLY = ("include", "loadmodule", "rename-command", "user")
RETIRED = (
    "dynamic-hz",
    "events-per-io-thread",
    "io-threads-do-reads",
    "list-max-ziplist-entries",
    "list-max-ziplist-value",
    "lua-replicate-commands",
    "sanitize-dump-payload",
)
# May stand on several lines, each adding to the others.
SEVERAL_LINES = ("save", "client-output-buffer-limit", *FILE_ONLY)
# What the throw-away server must override, or what depends on the machine.
DEFAULTS = {"port": "6379", "unixsocket": "", "dir": "", "maxclients": "10000"}
SAMPLES = {"replicaof": "127.0.0.1 1", "slaveof": "127.0.0.1 1", "bind": "127.0.0.1"}
KINDS = (
    ("argument must be 'yes' or 'no'", "bool"),
    ("couldn't be parsed into an integer", "int"),
    ("memory or percent", "percent"),
    ("memory value", "size"),
    ("octal", "octal"),
    ("one of the following", "enum"),
)
EXTREMES = {
    "int": ("9223372036854775807", "-9223372036854775808"),
    "size": ("18446744073709551615", "0"),
    "percent": ("18446744073709551615", "0"),
    "octal": ("7777777", "0"),
}


def main() -> int:
    """Read, then write or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", nargs="*", help="server binaries; by default redis-server and valkey-server on PATH")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when the table differs")
    arguments = parser.parse_args()
    names = arguments.binaries or ["redis-server", "valkey-server"]
    binaries = [found for found in map(shutil.which, names) if found]
    if not binaries or len(binaries) < len(arguments.binaries):
        parser.error(f"cannot run {' or '.join(names)}: install it, or name the path of a server")
    tables = stored_tables()
    differences = []
    for binary in binaries:
        key, rows = read(binary)
        differences += compare(key, tables.get(key, []), rows)
        tables[key] = rows
    if arguments.check:
        print("\n".join(differences) or f"{TABLE_FILE.relative_to(ROOT)} agrees with {', '.join(binaries)}")
        return 1 if differences else 0
    TABLE_FILE.write_text(module_text(tables), encoding="utf-8")
    print(f"{len(differences)} differences written to {TABLE_FILE.relative_to(ROOT)}")
    return 0


def read(binary: str) -> tuple[Key, list[Row]]:
    """Return engine and version of *binary* and one row for each directive."""
    engine, version = engine_version(binary)
    candidates = {text.decode() for text in re.findall(rb"(?<=\0)[a-z][a-z0-9_-]{1,60}(?=\0)", Path(binary).resolve().read_bytes())}
    with throwaway(binary, []) as ask:
        defaults = config_get(ask)
        for name in sorted(candidates - defaults.keys()):
            defaults.update(config_get(ask, name))
        changes = {name: change_of(ask, name, value) for name, value in defaults.items()}
    defaults.update({name: value for name, value in DEFAULTS.items() if name in defaults})
    rows = {name: row(binary, name, defaults[name], changes[name]) for name in defaults}
    for alias, primary in sorted(aliases(binary, list(rows.values())).items()):
        rows[alias] = (alias, "alias", primary, "", "")
    for name in FILE_ONLY:
        rows[name] = (name, "special", "", "start lines", "")
    for name in RETIRED:
        if name not in rows and is_known(binary, name):
            rows[name] = (name, "retired", "", "", "")
    return (engine, ".".join(version.split(".")[:2])), [rows[name] for name in sorted(rows)]


def change_of(ask: Ask, name: str, value: str) -> str:
    """Return how the value of a running server may be changed: live, start (only when it starts) or protected."""
    try:
        ask("CONFIG", "SET", name, value)
    except AnswerError as error:
        if "immutable" in str(error):
            return "start"
        if "protected" in str(error):
            return "protected"
    return "live"


def row(binary: str, name: str, default: str, change: str) -> Row:
    """Find kind, choices or range, and the number of words of one directive."""
    complaint = complaint_about(binary, f"{name} (bad")
    kind = next((kind for text, kind in KINDS if text in complaint), "special" if complaint else "string")
    detail = ""
    if kind == "enum":
        detail = " ".join(complaint.split(": ", 1)[1].split(", "))
    elif kind in EXTREMES:
        for extreme in EXTREMES[kind]:
            bounds = re.search(r"between (-?\d+) and (\d+)", complaint_about(binary, f"{name} {extreme}"))
            detail = f"{bounds.group(1)} {bounds.group(2)}" if bounds else detail
    return name, kind, detail, f"{change} {many(binary, name, kind, complaint)}", default


def many(binary: str, name: str, kind: str, complaint: str) -> str:
    """Return whether a directive takes one word, several words, or several lines."""
    if name in SEVERAL_LINES:
        return "lines"
    refuses_one = complaint == "wrong number of arguments"
    return "words" if refuses_one or complaint_about(binary, f"{name} (bad (bad") != "wrong number of arguments" else "one"


def complaint_about(binary: str, line: str) -> str:
    """Return what a starting server says about one line, "" if it accepts it; the second line always stops the start."""
    with tempfile.TemporaryDirectory() as folder:
        text = f"{line}\nport x\n"
        done = subprocess.run([binary, "-"], input=text, cwd=folder, capture_output=True, text=True, timeout=20, check=False)
    found = re.search(r"at line (\d+)\n>>> .*\n(.*)", done.stderr)
    if not found:
        raise SystemExit(f"{binary} with {line!r} printed something unexpected:\n{done.stdout}{done.stderr}")
    return found.group(2) if found.group(1) == "1" else ""


def is_known(binary: str, name: str) -> bool:
    """Return whether a starting server accepts a name that CONFIG GET does not list."""
    try:
        with throwaway(binary, [f"{name} 1"]):
            return True
    except StartFailedError:
        return False


def aliases(binary: str, rows: Sequence[Row]) -> dict[str, str]:
    """Find names that change together: ``{alias: name that CONFIG REWRITE writes}``."""
    found: dict[str, str] = {}
    shapes = [item[1:] for item in rows]
    for item in rows:
        name, value = item[0], another_value(item)
        if value is None or name in found or name in found.values() or shapes.count(item[1:]) < 2:
            continue
        twins, primary = changed_together(binary, name, value, {other[0] for other in rows if other[1:] == item[1:]})
        found.update({twin: primary for twin in twins if twin != primary})
    return found


def another_value(item: Row) -> str | None:
    """Return a legal value other than the default."""
    name, kind, detail, _unused, default = item
    if name in DEFAULTS:
        return None
    if kind == "bool":
        return "no" if default == "yes" else "yes"
    if kind == "enum":
        return next(choice for choice in [*detail.split(), None] if choice != default)
    if kind in ("int", "size", "percent"):
        high = int(detail.split()[1]) if detail else 2**31
        value = int(default.rstrip("%"))
        return str(value + 1 if value < high else value - 1)
    return SAMPLES.get(name, "0") if kind in ("special", "string") else None


def changed_together(binary: str, name: str, value: str, candidates: Iterable[str]) -> tuple[list[str], str]:
    """Start a server with one value, and return the names that show it and the one that CONFIG REWRITE writes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "server.conf")
        file.touch()
        try:
            with throwaway(binary, [f"{name} {value}"], config_file=str(file)) as ask:
                shown = config_get(ask)
                twins = [other for other in sorted(candidates) if other == name or shown.get(other) == shown.get(name) == value]
                if len(twins) > 1:
                    ask("CONFIG", "REWRITE")
        except (StartFailedError, AnswerError):
            return [], name
        written = {line.split(" ", 1)[0] for line in file.read_text().splitlines()}
    return twins, next((twin for twin in twins if twin in written), name)


def stored_tables() -> dict[Key, list[Row]]:
    """Return the rows of the committed table by engine and version."""
    if not TABLE_FILE.exists():
        return {}
    from core.directives.tables import ROWS, VERSIONS

    return {key: [tuple(item[:5]) for item in ROWS if f"{key[0]} {key[1]}" in item[5].split(", ")] for key in VERSIONS}


def compare(key: Key, stored: Iterable[Row], read_now: Iterable[Row]) -> list[str]:
    """Return one sentence for each row that differs."""
    old, new = {item[0]: item for item in stored}, {item[0]: item for item in read_now}
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return [f"{key[0]} {key[1]}: {name}: the table says {old.get(name)}, the server {new.get(name)}" for name in names]


def module_text(tables: dict[Key, list[Row]]) -> str:
    """Return the Python module, equal rows of several versions merged."""
    merged: dict[Row, list[str]] = {}
    for key in sorted(tables):
        for item in tables[key]:
            merged.setdefault(item, []).append(f"{key[0]} {key[1]}")
    lines = [
        "# SPDX-License-Identifier: MIT",
        '"""Directives that real servers know; made by scripts/read_directives.py, do not edit."""',
        "",
        "# fmt: off",
        "# ruff: noqa: E501",
        f"VERSIONS = {tuple(sorted(tables))!r}".replace("'", '"'),
        "",
        "# name, kind, choices or range, changes (live, start, protected) and takes (one word, words, lines), default, engines",
        "ROWS = (",
        *(f"    ({', '.join(quote(text) for text in (*item, ', '.join(merged[item])))})," for item in sorted(merged)),
        ")",
        "",
    ]
    return "\n".join(lines)


def quote(text: str) -> str:
    """Return a Python literal with double quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


if __name__ == "__main__":
    sys.exit(main())
