# SPDX-License-Identifier: MIT
"""Servers that are started through a link, a script or a loader: a run sees that the program is the same, and that it was replaced."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from keyfleet.testing._binaries import find_binary
from support.instances import LiveInstance

NAME = "redis-server"


def script(path: Path, *words: str) -> None:
    """Write a script that becomes a program, by rename."""
    draft = path.with_name("draft")
    draft.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    draft.chmod(0o755)
    draft.replace(path)


class Installed:
    """A program of its own in a folder, and the path that leads to it."""

    def __init__(self, folder: Path, way: str) -> None:
        self.folder, self.path, self.way = folder, folder / "bin" / NAME, way
        self.path.parent.mkdir(parents=True)
        self.program = self.path if way == "itself" else folder / NAME
        self.put(self.program)
        if way != "itself":
            getattr(self, way)(self.program)

    def put(self, path: Path) -> None:
        """Install the program, as a package manager does: by rename."""
        shutil.copy2(os.path.realpath(find_binary("redis-7.0")), draft := path.with_name("new"))
        draft.replace(path)

    def link(self, program: Path) -> None:
        """Lead to a program by a link, which is replaced by rename."""
        (draft := self.path.with_name("draft")).symlink_to(program)
        draft.replace(self.path)

    def hard_link(self, program: Path) -> None:
        """Give the program a second name."""
        (draft := self.path.with_name("draft")).hardlink_to(program)
        draft.replace(self.path)

    def script(self, program: Path) -> None:
        """Lead to it by a script."""
        script(self.path, str(program))

    def nested(self, program: Path) -> None:
        """Lead to it by a script that runs a script."""
        script(self.folder / "inner", str(program))
        script(self.path, "/usr/bin/env", "A=1", str(self.folder / "inner"))

    def loader(self, program: Path) -> None:
        """Start it with a loader, as scripts/servers does."""
        script(self.path, os.path.realpath(next(Path("/lib64").glob("ld-linux*"))), "--argv0", str(self.path), str(program))


WAYS = ["itself", "link", "hard_link", "script", "nested", "loader"]


def same_file_again(installed: Installed) -> None:
    """Upgrade in the same place."""
    installed.put(installed.program)
    if installed.way == "hard_link":
        installed.hard_link(installed.program)


def old_one_kept(installed: Installed) -> None:
    """Upgrade in the same place; the former program stays under another name."""
    os.link(installed.program, installed.folder / "former")
    same_file_again(installed)


def moved_aside(installed: Installed) -> None:
    """Upgrade in the same place; the former program was renamed."""
    installed.program.rename(installed.folder / "former")
    same_file_again(installed)


UPGRADES = [same_file_again, old_one_kept, moved_aside]


@pytest.mark.parametrize(
    ("way", "upgrade"),
    [(way, upgrade) for way in WAYS for upgrade in UPGRADES if upgrade is same_file_again or way in ("itself", "loader")],
)
def test_a_replaced_program_is_seen_and_the_same_one_is_not(
    live: LiveInstance, tmp_path: Path, way: str, upgrade: Callable[[Installed], None]
) -> None:
    """However it is started; after the restart nothing is left to do."""
    installed = Installed(tmp_path / "p", way)
    live.host = replace(live.host, binary=str(installed.path))
    live.settle()
    assert [] == live.settle().restart_needed
    upgrade(installed)
    (reason,) = live.settle().restart_needed
    assert "the program was replaced" in reason or "binary changed: " in reason
    live.restart()
    assert [] == live.settle().restart_needed


@pytest.mark.parametrize("way", ["link", "script", "nested", "loader"])
def test_a_way_that_leads_to_another_program_is_seen(live: LiveInstance, tmp_path: Path, way: str) -> None:
    """The reason names both; a way that is made anew and leads to the same program is none."""
    installed = Installed(tmp_path / "p", way)
    live.host = replace(live.host, binary=str(installed.path))
    live.settle()
    lead: Callable[[Path], None] = getattr(installed, way)
    lead(installed.program)
    assert [] == live.settle().restart_needed
    other = tmp_path / "other"
    installed.put(other)
    lead(other)
    (reason,) = live.settle().restart_needed
    assert str(installed.program) in reason.partition(" shall be ")[0]
    assert str(other) in reason.partition(" shall be ")[2]


def test_a_loader_in_the_place_of_none_is_seen(live: LiveInstance, tmp_path: Path) -> None:
    """And back."""
    installed = Installed(tmp_path / "p", "script")
    live.host = replace(live.host, binary=str(installed.path))
    live.settle()
    installed.loader(installed.program)
    assert 1 == len(live.settle().restart_needed)
    live.restart()
    assert [] == live.settle().restart_needed
    installed.script(installed.program)
    assert 1 == len(live.settle().restart_needed)
