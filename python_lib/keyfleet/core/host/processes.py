# SPDX-License-Identifier: MIT
"""
What other processes are doing, from ``/proc``; reads only.

Source:
    proc(5): ``/proc/PID/fd`` names each open file by its path, with ``(deleted)`` behind it when the path is gone. Only its owner, and root
    unless a container dropped CAP_SYS_PTRACE, may read it, as ``exe`` and ``maps``; ``status`` and ``cmdline`` are for everyone.
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
# A line of maps: addresses, rights, offset, device, inode, path.
_MAPPED_PROGRAM = re.compile(r"\S+ ..x\S \S+ (\S+ [1-9]\d*) +(/.*)")
_LIBRARY = re.compile(r"\.so(\.[^/]*)?$")
_NO_FILES = ("/dev/", "/memfd:", "/SYSV")  # memory that has a name


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


def program_files(pid: int) -> dict[str, str]:
    """
    Return the files that a process executes, by device and inode: its program, and the loader that was started in the place of it.

    Shared libraries are not among them. Empty if the process has ended, or this user may not see them.
    """
    with suppress(OSError):
        folder = _PROC / str(pid)
        return programs_in((folder / "maps").read_text(encoding="utf-8", errors="surrogateescape"), str((folder / "exe").readlink()))
    return {}


def programs_in(maps: str, executable: str) -> dict[str, str]:
    """
    Return paths by device and inode: the executable, and what else of *maps* is executed and is no library; pure.

    A file that was replaced keeps its inode for as long as it is executed, so that its number is never that of its successor.
    """
    found = {}
    for line in maps.split("\n"):
        mapped = _MAPPED_PROGRAM.fullmatch(line)
        if mapped is None:
            continue
        path = mapped[2].replace("\\012", "\n")
        if path == executable or not (_LIBRARY.search(path.removesuffix(_GONE)) or path.startswith(_NO_FILES)):
            found[mapped[1]] = path
    return found


def without_mark(path: str) -> str:
    """Return a path that the kernel gave without its mark for one that is gone."""
    return path.removesuffix(_GONE)
