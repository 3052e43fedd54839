# SPDX-License-Identifier: MIT
"""
What other processes are doing, from ``/proc``; reads only.

Source:
    proc(5): ``/proc/PID/fd`` names each open file by its path, with ``(deleted)`` behind it when the path is gone. Only its owner, and root
    unless a container took CAP_SYS_PTRACE away, may read it; ``status`` and ``cmdline`` are for everyone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Optional

_PROC = Path("/proc")
_GONE = " (deleted)"


def pids() -> list[int]:
    """Return all processes."""
    return [int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdigit()]


def open_files(pid: int) -> Iterator[str]:
    """Yield the targets of the open descriptors of a process; none if it has ended, or this user may not see them."""
    with suppress(OSError):
        for entry in list(os.scandir(_PROC / str(pid) / "fd")):
            with suppress(OSError):
                yield str(Path(entry.path).readlink())


def holders(paths: Iterable[str]) -> dict[str, set[int]]:
    """Return which processes have each of *paths* open, whether the path still leads to that file or is gone."""
    found: dict[str, set[int]] = {os.path.realpath(path): set() for path in paths}
    asked = {os.path.realpath(path): path for path in paths}
    for pid in pids() if found else ():
        for target in open_files(pid):
            for place in {target, target.removesuffix(_GONE)} & found.keys():
                found[place].add(pid)
    return {asked[place]: processes for place, processes in found.items()}


def parent(pid: int) -> Optional[int]:
    """Return the parent of a process; None if it has ended."""
    with suppress(OSError):
        text = (_PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
        found = re.search(r"(?m)^PPid:\t(\d+)$", text)
        return int(found[1]) if found else None
    return None


def words_of(pid: int) -> list[str]:
    """Return the command line of a process; empty if it has ended."""
    with suppress(OSError):
        return (_PROC / str(pid) / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")[:-1]
    return []
