# SPDX-License-Identifier: MIT
"""Values of server directives: what a directive takes, how it is written, and the form in which the server prints it. Pure."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable, NamedTuple, Optional

from ..errors import RefusedError
from .tables import ROWS, VERSIONS

# Passwords, and the names behind which dangerous commands are put away.
SECRET_DIRECTIVES = frozenset(
    ["masterauth", "primaryauth", "rename-command", "requirepass", "tls-client-key-file-pass", "tls-key-file-pass"]
)
HIDDEN = "(hidden)"
# CONFIG GET does not know them; names with a dot belong to modules and are unknown until the module is loaded.
FILE_ONLY = frozenset(["include", "loadmodule", "rename-command", "user"])

UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1024, "m": 1000**2, "mb": 1024**2, "g": 1000**3, "gb": 1024**3}
EVENT_CLASSES = "g$lshzxetd"  # the classes that A means, in the order in which the server prints them
CLIENT_CLASSES = {"normal": "normal", "replica": "slave", "slave": "slave", "pubsub": "pubsub"}
ENDLESS = 2**31 - 1  # a bound this high is a limit of the type and not worth naming


class Directive(NamedTuple):
    """One directive of one engine version, as scripts/read_directives.py found it."""

    name: str
    kind: str
    choices: tuple[str, ...]
    low: Optional[int]
    high: Optional[int]
    change: str
    takes: str
    default: str


@dataclass(frozen=True)
class Table:
    """
    The directives of one engine version.

    Attributes:
        engine, version: Such as ``redis`` and ``(7, 0)``.
        directives: By name; an alias leads to the directive it stands for.
    """

    engine: str
    version: tuple[int, int]
    directives: Mapping[str, Directive]

    def __str__(self) -> str:
        return f"{self.engine} {self.version[0]}.{self.version[1]}"

    def name(self, name: str) -> str:
        """Return the server's first name for a directive: ``slave-priority`` is ``replica-priority``."""
        return self.directives[name].name if name in self.directives else name


@dataclass(frozen=True)
class Problem:
    """
    One directive that cannot be used.

    Attributes:
        directive: Its name.
        found: The value, or ``(hidden)``.
        reason: What is wrong with it.
        allowed: What to write instead; may be empty where only the server knows.
    """

    directive: str
    found: str
    reason: str
    allowed: str = ""

    def __str__(self) -> str:
        return f"{self.directive}: {self.reason}; found {self.found}" + (f", allowed: {self.allowed}" if self.allowed else "")


@functools.cache
def tables() -> tuple[Table, ...]:
    """Return every known table, oldest version first."""
    return tuple(_table(engine, version) for engine, version in sorted(VERSIONS, key=lambda key: _numbers(key[1])))


def tables_for(engine: str, version: Optional[str]) -> tuple[tuple[Table, ...], bool]:
    """
    Return the tables to judge by, best one first, and whether the server may know more than they do.

    An exact version has one table. A version between two is judged by both, the older one first. Without a version
    every table of the engine counts. Only a version newer than every table may know more.

    Raises:
        RefusedError: if the engine is unknown.
    """
    known = [table for table in tables() if table.engine == engine]
    if not known:
        raise RefusedError(f"engine is {engine!r}, allowed: {', '.join(sorted({table.engine for table in tables()}))}")
    if version is None:
        return tuple(reversed(known)), False
    wanted = _numbers(version)
    older = [table for table in known if table.version <= wanted]
    newer = [table for table in known if table.version > wanted]
    if older and older[-1].version == wanted:
        return (older[-1],), False
    return tuple(older[-1:] + newer[:1]), not newer


def table_for(engine: str, version: Optional[str]) -> Table:
    """Return the one table nearest to a version."""
    return tables_for(engine, version)[0][0]


def describe(directive: Directive) -> str:
    """Return what a directive takes, as a phrase."""
    if directive.name in _SPECIAL_FORMS:
        return _SPECIAL_FORMS[directive.name]
    if directive.kind == "enum":
        return ("one or more of: " if directive.takes == "words" else "one of: ") + ", ".join(directive.choices)
    phrase = {
        "bool": "true or false",
        "int": "a whole number",
        "size": "a size in bytes, or with a unit: 100mb (k, kb, m, mb, g, gb)",
        "percent": "a size in bytes, or with a unit: 100mb (k, kb, m, mb, g, gb), or a percentage up to 100%",
        "octal": "an octal mode in quotes",
    }.get(directive.kind, "one value" if directive.takes == "one" else "words")
    low = directive.low if directive.low is not None and directive.low > -ENDLESS else None
    high = directive.high if directive.high is not None and directive.high < ENDLESS else None
    if low is not None and high is not None:
        style = "o" if directive.kind == "octal" else "d"
        return f"{phrase} from {low:{style}} to {high:{style}}"
    return f"{phrase} of at least {low}" if low is not None else phrase


def format_value(name: str, value: object) -> str:
    """Return a value for people to read, or ``(hidden)`` for one of a secret, or of a name in no table, which may be misspelt."""
    known = any(name in table.directives for table in tables())
    if not known or name in SECRET_DIRECTIVES or name == "user":
        return HIDDEN  # a user has password hashes; a module's directives may hold anything
    return repr(str(value)) if isinstance(value, str) else str(value)


def is_file_only(name: str) -> bool:
    """Return whether CONFIG GET does not know a directive; names with a dot belong to modules."""
    return name in FILE_ONLY or "." in name


def to_lines(name: str, value: object, takes: str) -> list[list[str]]:
    """
    Return the words after the name for each line of a directive.

    Args:
        value: As YAML gives it: true and false mean yes and no; a list has one item for each line, or one for each word where the directive
            takes several words; an item of several lines is a string or a list of words; "" clears.
        takes: ``one`` word, ``words`` or ``lines``.
    Raises:
        ValueError: if the value has another shape.
    """
    if takes == "lines":
        items = value if isinstance(value, (list, tuple)) else [value]
        if name == "save" and not items:
            return [[""]]
        if name == "user":  # the ACL file knows no quotes and divides at every blank
            return [" ".join(_words(item)).split() for item in items]
        return [_words(item) if isinstance(item, (list, tuple)) else split(_text(item)) for item in items]
    if takes == "words":
        return [_words(value) if isinstance(value, (list, tuple)) else split(_text(value))]
    if isinstance(value, (list, tuple)):
        raise ValueError("takes one value, not a list")
    return [[_text(value)]]


def refusal(directive: Directive, value: object) -> str:
    """Return why a value is not possible, "" if it is; where only the server can decide, the value passes."""
    if directive.kind == "retired":
        return "is ignored by this version"
    try:
        lines = to_lines(directive.name, value, directive.takes)
    except ValueError as error:
        return str(error)
    if directive.name in _SPECIAL_CHECKS:
        return "" if _SPECIAL_CHECKS[directive.name](lines) else "wrong value"
    if directive.kind in ("string", "special"):
        return "is true or false where text is expected: put it in quotes" if isinstance(value, bool) else ""
    return "" if lines[0] and all(_fits(directive, word) for word in lines[0]) else "wrong value"


def canonical(name: str, value: object, table: Table) -> str:
    """
    Return a possible value in the form in which CONFIG GET prints it: ``1gb`` as ``1073741824``, ``KEA`` as ``AKE``.

    What depends on the machine (a path behind a symbolic link) stays as it is; the throw-away server knows better.
    """
    directive = table.directives.get(name)
    lines = to_lines(name, value, directive.takes if directive else "words")
    words = [word for line in lines for word in line]
    if directive is None:
        return " ".join(words)
    if directive.name == "notify-keyspace-events":
        return _events(words)
    if directive.name == "client-output-buffer-limit":
        return _buffer_limits(words, directive.default)
    if directive.name == "latency-tracking-info-percentiles":
        return " ".join(f"{float(word):.10g}" for word in words if word)
    if directive.kind in ("size", "percent"):
        return words[0] if words[0].endswith("%") else str(size(words[0]))
    if directive.kind == "octal":
        return f"{int(words[0], 8):o}"
    if directive.kind in ("bool", "enum"):
        lower = [word.lower() for word in words]
        return " ".join([choice for choice in directive.choices if choice in lower] or lower)
    return " ".join(words)


def size(text: str) -> Optional[int]:
    """Return the bytes of ``100mb``, None if it is no size."""
    found = re.fullmatch(r"(\d+)([a-z]*)", text.lower(), re.ASCII)
    return int(found.group(1)) * UNITS[found.group(2)] if found and found.group(2) in UNITS else None


def split(text: str) -> list[str]:
    """Return the words of a line as the server splits it; an empty line is one empty word."""
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        return list(lexer) or [""]
    except ValueError as error:
        raise ValueError("has a quote that is not closed") from error


def quote(word: str) -> str:
    """Return a word as a configuration file of the server spells it; no character of it can end the line."""
    if re.fullmatch(r"[A-Za-z0-9_./:@%+,*=~&!|{}()<>$^?;#-]+", word):
        return word
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(char, f"\\x{ord(char):02x}" if ord(char) < 32 else char) for char in word) + '"'


def _numbers(version: str) -> tuple[int, int]:
    found = re.match(r"(?:\d+:)?(\d+)(?:\.(\d+))?", version)
    if not found:
        raise RefusedError(f"version is {version!r}, allowed: numbers such as 7.0.15")
    return int(found.group(1)), int(found.group(2) or 0)


def _table(engine: str, version: str) -> Table:
    rows = {row[0]: row for row in ROWS if f"{engine} {version}" in row[5].split(", ")}
    directives: dict[str, Directive] = {}
    for alias, row in rows.items():
        name, kind, detail, flags, default, _unused = rows[row[2]] if row[1] == "alias" else row
        numeric = [int(word, 8 if kind == "octal" else 10) for word in detail.split()] if kind != "enum" else []
        low, high = numeric or (None, None)
        change, takes = flags.split() or ("start", "words")
        directives[alias] = Directive(name, kind, tuple(detail.split()) if kind == "enum" else (), low, high, change, takes, default)
    return Table(engine, _numbers(version), directives)


def _words(value: object) -> list[str]:
    return [_text(word) for word in value] if isinstance(value, (list, tuple)) else [_text(value)]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, (str, int, float)):
        raise ValueError('has no value: write "" to clear it' if value is None else "takes text or numbers, not a mapping or a nested list")
    if any(ord(char) < 32 or ord(char) == 127 for char in str(value)):
        raise ValueError("contains a control character")
    return str(value)


def _fits(directive: Directive, word: str) -> bool:
    number: Optional[int] = None
    if directive.kind == "bool":
        return word.lower() in ("yes", "no")
    if directive.kind == "enum":
        return word.lower() in directive.choices
    if directive.kind == "percent" and re.fullmatch(r"\d+%", word, re.ASCII):
        return int(word[:-1]) <= 100
    if directive.kind in ("size", "percent"):
        number = size(word)
    elif directive.kind == "octal":
        number = int(word, 8) if re.fullmatch(r"[0-7]+", word) else None
    elif re.fullmatch(r"0|-?[1-9]\d*", word, re.ASCII):
        number = int(word)
    if number is None:
        return False
    low, high = (-(2**63) if directive.low is None else directive.low), (2**64 - 1 if directive.high is None else directive.high)
    return low <= number <= high


def _between(word: str, low: float, high: float) -> bool:
    return bool(re.fullmatch(r"-?\d+(\.\d+)?", word, re.ASCII)) and low <= float(word) <= high


def _is_save(lines: list[list[str]]) -> bool:
    if lines == [[""]]:
        return True
    return all(
        len(line) % 2 == 0
        and all(re.fullmatch(r"\d{1,9}", word, re.ASCII) for word in line)
        and all(int(seconds) >= 1 for seconds in line[::2])
        for line in lines
    )


def _is_buffer_limits(lines: list[list[str]]) -> bool:
    return bool(lines) and all(
        len(line) % 4 == 0
        and all(word.lower() in CLIENT_CLASSES for word in line[::4])
        and all(size(word) is not None for word in line[1::4] + line[2::4])
        and all(re.fullmatch(r"\d{1,9}", word, re.ASCII) for word in line[3::4])
        for line in lines
    )


def _events(words: list[str]) -> str:
    letters = set("".join(words).replace("A", EVENT_CLASSES))
    every = "A" if letters.issuperset(EVENT_CLASSES) else "".join(char for char in EVENT_CLASSES if char in letters)
    return every + "".join(char for char in "KEmn" if char in letters)


def _buffer_limits(words: list[str], default: str) -> str:
    limits = {}
    for source in (default.split(), words):
        for kind, hard, soft, seconds in zip(*[iter(source)] * 4):
            limits[CLIENT_CLASSES[kind.lower()]] = f"{size(hard)} {size(soft)} {seconds}"
    return " ".join(f"{kind} {limit}" for kind, limit in limits.items())


_SPECIAL_FORMS = {
    "save": 'one "SECONDS CHANGES" for each line, such as "3600 1", or "" for no snapshots',
    "client-output-buffer-limit": 'one "CLASS HARD SOFT SECONDS" for each line, CLASS one of normal, replica, pubsub: "pubsub 32mb 8mb 60"',
    "oom-score-adj-values": "three whole numbers from -2000 to 2000: for the primary, replicas, and child processes",
    "latency-tracking-info-percentiles": 'numbers from 0 to 100, or "" for none',
    "notify-keyspace-events": "letters of Ag$lshzxeKEtmdn",
    "rename-command": 'for each line COMMAND and its new name, or COMMAND and "" to remove it',
    "loadmodule": "for each line the absolute path of the module, and its arguments",
}
_SPECIAL_CHECKS: Mapping[str, Callable[[list[list[str]]], bool]] = {
    "save": _is_save,
    "client-output-buffer-limit": _is_buffer_limits,
    "oom-score-adj-values": lambda lines: len(lines[0]) == 3 and all(_between(word, -2000, 2000) and "." not in word for word in lines[0]),
    "latency-tracking-info-percentiles": lambda lines: lines == [[""]] or all(_between(word, 0, 100) for word in lines[0]),
    "notify-keyspace-events": lambda lines: len(lines[0]) <= 1 and set("".join(lines[0])) <= set("AKEmn" + EVENT_CLASSES),
    "rename-command": lambda lines: all(len(line) == 2 and line[0] for line in lines),
    "loadmodule": lambda lines: all(line[0].startswith("/") for line in lines),
}
