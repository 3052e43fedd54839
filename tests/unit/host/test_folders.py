# SPDX-License-Identifier: MIT
"""Folders in which nothing can be made are refused with the reason, on real file systems."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from keyfleet.core.host.folders import folder_problem
from support.imports import ROOT

PROGRAM = "import sys; from keyfleet.core.host.folders import folder_problem; print(folder_problem(sys.argv[1]))"
# In namespaces of its own, where a file system of any kind can be mounted.
MOUNTED = 'mount -t tmpfs -o "$0" tmpfs "$1" && sh -c "$2" "$1" && exec "$3" -c "$4" "$1/new"'


@pytest.mark.parametrize("rest", ["", "/new", "/new/deeper"])
def test_folders_that_are_there_or_can_be_made_pass(tmp_path: Path, rest: str) -> None:
    """Through links too."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert ["", ""] == [folder_problem(f"{tmp_path}/{name}{rest}") for name in ("real", "link")]
    assert "" == folder_problem("/")


@pytest.mark.parametrize("rest", ["", "/new", "/new/deeper"])
def test_what_is_no_folder_is_named(tmp_path: Path, rest: str) -> None:
    """The path itself, or one above it: a file, a socket of the system, a link in a circle."""
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.symlink_to("link")
    assert f"{file} is no folder: name another" == folder_problem(f"{file}{rest}")
    assert "/dev/null is no folder: name another" == folder_problem(f"/dev/null{rest}")
    assert folder_problem(f"{link}{rest}").startswith(f"{link} is a link that leads in a circle")


def test_folder_that_is_not_made_must_be_there(tmp_path: Path) -> None:
    """What is missing below it is made."""
    place = f"{tmp_path}/none/new/deeper"
    words = "its folder {} does not exist: make it, or name another"
    assert [words.format(folder) for folder in (f"{tmp_path}/none", f"{tmp_path}/none/new", place)] == [
        folder_problem(place, must_exist=folder) for folder in (f"{tmp_path}/none", f"{tmp_path}/none/new", place)
    ]
    assert ["", ""] == [folder_problem(place, must_exist=folder) for folder in ("/", str(tmp_path))]


def test_folders_of_the_kernel_are_refused() -> None:
    """Root may write there, and nothing is kept."""
    assert ["/proc is of the kernel, which keeps no files there: name another"] * 2 == [
        folder_problem("/proc"),
        folder_problem("/proc/new"),
    ]


def test_names_and_paths_that_are_too_long_are_refused(tmp_path: Path) -> None:
    """Exactly where the system would, with room for what comes below."""
    assert "" == folder_problem(f"{tmp_path}/{'x' * 255}")
    assert "is a name of 256 bytes where the system allows 255" in folder_problem(f"{tmp_path}/{'x' * 256}")
    assert "is a name of 256 bytes" in folder_problem(f"{tmp_path}/{'é' * 128}")
    deep = "/" + "/".join(["x" * 99] * 40)
    assert ("", True) == (folder_problem(deep, 95), "leave room for the files below" in folder_problem(deep, 96))


@pytest.mark.parametrize(
    ("options", "before", "words"),
    [
        ("ro", "true", "is on a file system that is mounted read-only"),
        ("size=1m", "head -c 1000k /dev/zero >$0/large", "has no space left"),
        ("size=4m,nr_inodes=2", "touch $0/one", "has no inode left"),
        ("size=4m", "true", ""),
    ],
)
def test_file_systems_that_take_no_file_are_refused(tmp_path: Path, options: str, before: str, words: str) -> None:
    """The folder is named, and what to do."""
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    arguments = [options, str(tmp_path), before, sys.executable, PROGRAM]
    command = ["unshare", *rights, "--mount", "sh", "-ec", MOUNTED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT / "python_lib")})
    assert (words == "") == (done.stdout.strip() == "")
    assert words in done.stdout
    assert words == "" or (str(tmp_path) in done.stdout and "name another" in done.stdout)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take on another user")
def test_folders_of_another_user_are_refused(tmp_path: Path) -> None:
    """One that may not be entered, and one that may not be written in."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for place in (tmp_path, *tmp_path.parents):
        place.chmod(place.stat().st_mode | 0o111)
    closed.chmod(0o700)
    found = [as_unprivileged(place) for place in (f"{closed}/new/deeper", f"{tmp_path}/new")]
    assert [f"user 65534 may not enter {closed}", f"user 65534 may not write in {tmp_path}"] == [text.partition(":")[0] for text in found]


def as_unprivileged(path: str) -> str:
    """Return the problem that another user has."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setgroups([])
        os.setuid(65534)
        os.write(writing, folder_problem(path).encode())
        os._exit(0)
    os.close(writing)
    os.wait()
    with os.fdopen(reading) as file:
        return file.read()
