# SPDX-License-Identifier: MIT
"""Another user who swaps a file or a folder for a link to what only root may touch, before a chosen system call of ``safe_paths``."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from keyfleet.core.errors import KeyfleetError
from keyfleet.core.host import safe_paths

UNPRIVILEGED = 65534
SECRET = b"only root reads this\n"
CALLS = ("open", "stat", "fstat", "readlink", "scandir", "rename", "unlink", "rmdir", "link", "mkdir", "fchown", "fchmod")
KINDS = ("symbolic", "hard")


def make_roots_files(folder: Path, names: tuple[str, ...] = ("x",)) -> Path:
    """Make a folder of root with ``secret``, and a folder ``below`` with files of these names; return it."""
    (folder / "below").mkdir(parents=True)
    for path in (folder / "secret", *(folder / "below" / name for name in names)):
        path.write_bytes(SECRET)
    return folder


def contents(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return owner, mode and content of everything below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_uid, status.st_mode, path.read_bytes() if stat.S_ISREG(status.st_mode) else b"")
    return found


def lead_elsewhere(place: Path, roots: Path, kind: str) -> None:
    """Put a link to root's secret, or of a folder to root's folder, in the place of what is there; a hard link only of a file."""
    target = roots / "below" if place.is_dir() and not place.is_symlink() else roots / "secret"
    if place.is_symlink() or not place.parent.exists():
        return
    if place.exists():
        place.rename(f"{place}.away")
    if kind == "hard" and target.is_file():
        place.hardlink_to(target)
    elif kind == "symbolic":
        place.symlink_to(target)


def each_moment(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[int], Callable[[], object]], place: Callable[[int], Path], roots: Path, kind: str
) -> Iterator[tuple[int, object]]:
    """
    Run a step once for each system call that it makes, with a swap before that call; yield the number and the step's result, or its error.

    Args:
        make: Prepares a round, and returns the step.
        place: What is swapped in a round.
    """
    calls, number = 1, 0
    while number < calls:
        step, done = make(number), 0

        def swapping(call: Callable[..., object], number: int = number) -> Callable[..., object]:
            def with_swap(*args: object, **options: object) -> object:
                nonlocal done
                if done == number:
                    lead_elsewhere(place(number), roots, kind)
                done += 1
                return call(*args, **options)

            return with_swap

        patched = {name: swapping(getattr(os, name)) if name in CALLS else getattr(os, name) for name in dir(os)}
        patched["fsync"] = lambda descriptor: None  # the machine does not fail here
        with monkeypatch.context() as patch:
            patch.setattr(safe_paths, "os", SimpleNamespace(**patched))
            try:
                result: object = step()
            except (OSError, KeyfleetError) as error:
                result = error
        calls = done
        yield number, result
        number += 1
