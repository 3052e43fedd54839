# SPDX-License-Identifier: MIT
"""What the files of a host shall be: options in, checked entries out; pure."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ..errors import RefusedError

_FILE_OPTIONS = frozenset(("content", "secret_content", "mode", "owner", "group"))
_OPTIONS = {
    "file": _FILE_OPTIONS,
    "seed": _FILE_OPTIONS,
    "directory": frozenset(("mode", "owner", "group")),
    "link": frozenset(("target",)),
    "absent": frozenset(("recurse",)),
}
STATES = tuple(_OPTIONS)
_MODE = re.compile("0[0-7]{3,4}")


@dataclass(frozen=True)
class FileEntry:
    """
    One path as it shall be.

    Attributes:
        path: Absolute.
        state: One of STATES; ``seed`` is a file that is made if it is missing and kept if it is there.
        content: Of a file or seed; never in ``repr``.
        target: Of a link.
        owner, group: Name or number; None leaves what is there, and means the caller's own for something new.
        mode: Permission bits of a file, seed or directory.
        recurse: With ``absent``, remove a directory with all it holds.
        hide_diff: Do not show the content in a diff.
        hide_lines: Regular expression of the lines, old and new, that a diff shows without their end; empty for none.
    """

    path: str
    state: str = "file"
    content: bytes = field(default=b"", repr=False)
    target: str = ""
    owner: Optional[str] = None
    group: Optional[str] = None
    mode: int = 0
    recurse: bool = False
    hide_diff: bool = False
    hide_lines: str = ""


def parse(entries: Sequence[Mapping[str, Any]], *, hide_diff: bool = False) -> list[FileEntry]:
    """
    Turn the options of a module into entries.

    Args:
        entries: ``path``, ``state`` and the other fields of FileEntry; None means not given. No diff shows ``secret_content``.
        hide_diff: Show the content of none in a diff.
    Raises:
        RefusedError: naming every path and option that is wrong.
    """
    found, problems = [], []
    for options in entries:
        given = {"state": "file", **{name: value for name, value in options.items() if value is not None}}
        problems += [f"{given['path']}: {problem}" for problem in _problems(given)]
        found.append(given)
    paths = [given["path"] for given in found]
    problems += [f"{path}: listed more than once" for path in sorted({path for path in paths if paths.count(path) > 1})]
    if problems:
        raise RefusedError("; ".join(problems))
    return [_entry(given, hide_diff) for given in found]


def _entry(given: Mapping[str, Any], hide_diff: bool) -> FileEntry:
    text = given.get("secret_content", given.get("content"))
    return FileEntry(
        path=given["path"],
        state=given["state"],
        content=b"" if text is None else text.encode("utf-8", "surrogateescape"),
        target=given.get("target", ""),
        owner=given.get("owner"),
        group=given.get("group"),
        mode=int(given.get("mode", "0"), 8),
        recurse=given.get("recurse", False),
        hide_diff=hide_diff or given.get("hide_diff", False) or "secret_content" in given,
        hide_lines=given.get("hide_lines", ""),
    )


def _problems(given: Mapping[str, Any]) -> list[str]:
    state, taken = given["state"], _OPTIONS[given["state"]]
    problems = []
    if not given["path"].startswith("/") or given["path"] != os.path.normpath(given["path"]):
        problems.append("the path must be absolute, without '..' and without a doubled or final slash")
    odd = sorted(
        name for name, value in given.items() if value is not False and name not in {"path", "state", "hide_diff", "hide_lines", *taken}
    )
    if odd:
        problems.append(f"state {state!r} does not take {', '.join(odd)}")
    if "content" in taken and ("content" in given) == ("secret_content" in given):
        problems.append(f"state {state!r} needs one of content and secret_content")
    if "mode" in taken and not _MODE.fullmatch(given.get("mode", "")):
        problems.append(f"mode must be quoted octal digits with a leading zero such as '0640', found {given.get('mode')!r}")
    if "target" in taken and not given.get("target"):
        problems.append(f"state {state!r} needs target")
    return problems
