# SPDX-License-Identifier: MIT
"""What other processes have open and listen on, from the kernel."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.host.ports import ports_of
from keyfleet.core.host.processes import holders, parent, program_files, programs_in, words_of

PROGRAM = "import sys; kept = open(sys.argv[1]); print('ready', flush=True); sys.stdin.read()"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file whose folder has another name as well."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    path = tmp_path / "link/a lock (deleted)"
    path.touch()
    return path


@pytest.fixture
def holder(file: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the file open."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        yield process
        process.communicate()


def test_holders_of_a_file_that_is_there_and_of_one_that_is_gone(file: Path, holder: subprocess.Popen[str]) -> None:
    """By the path as it was asked for, through links; a file that no process has open has no holders."""
    other = str(file.parent / "other")
    assert {str(file): {holder.pid}, other: set()} == holders([str(file), other])
    file.unlink()
    assert {holder.pid} == holders([str(file)])[str(file)]
    assert {} == holders([])


def test_parent_and_words(file: Path, holder: subprocess.Popen[str]) -> None:
    """Of a living process; nothing of one that has ended."""
    assert (os.getpid(), str(file)) == (parent(holder.pid), words_of(holder.pid)[-1])
    holder.communicate()
    assert (None, []) == (parent(holder.pid), words_of(holder.pid))


def test_ports_of_a_process() -> None:
    """Only those that it listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        assert [listening.getsockname()] == [
            pair for pair in ports_of(os.getpid()) if pair[1] in (listening.getsockname()[1], other.getsockname()[1])
        ]


PROGRAMS = ["/usr/bin/redis-server", "/opt/so/valkey-server", "/opt/a b/redis.so-server", "/srv/lib/loader", "/srv/new\nline"]
LIBRARIES = ["/usr/lib/libc.so.6", "/lib64/ld-linux-x86-64.so.2", "/lib/ld-2.31.so", "/opt/modules/search.so", "/lib/libssl.so.1.1"]
MEMORY = ["/memfd:jit", "/dev/zero", "/SYSV00000000", "[vdso]", "[heap]", ""]
RIGHTS = ["r-xp", "r--p", "rw-p", "r-xs"]
MAPPED = st.lists(st.tuples(st.sampled_from([*PROGRAMS, *LIBRARIES, *MEMORY]), st.sampled_from(RIGHTS), st.booleans()), max_size=12)


def line_of(place: str, rights: str, inode: int) -> str:
    """Return the line of ``maps`` that the kernel prints."""
    number = inode if place.startswith("/") else 0
    return f"7f00-7f10 {rights} 00028000 fe:00 {number}".ljust(73) + place.replace("\n", "\\012")


@given(MAPPED, st.sampled_from([*PROGRAMS, *LIBRARIES]), st.booleans())
def test_programs_are_what_is_executed_and_no_library(mapped: list[tuple[str, str, bool]], executable: str, gone: bool) -> None:
    """The executable always is one, even a loader that is named like a library; memory with a name never is."""
    places = [(path, path + " (deleted)" * gone, rights) for path, rights, gone in [(executable, "r-xp", gone), *mapped]]
    lines = [line_of(place, rights, inode) for inode, (_path, place, rights) in enumerate(places, 1)]
    wanted = {
        f"fe:00 {inode}": place
        for inode, (path, place, rights) in enumerate(places, 1)
        if "x" in rights and (place == places[0][1] or path in PROGRAMS)
    }
    assert wanted == programs_in("\n".join(lines), places[0][1])


def test_program_files_of_a_process(holder: subprocess.Popen[str]) -> None:
    """The interpreter of this process, which a second one executes too; nothing of one that has ended."""
    executed = program_files(holder.pid)
    assert ([os.path.realpath(sys.executable)], program_files(os.getpid())) == (list(executed.values()), executed)
    holder.communicate()
    assert {} == program_files(holder.pid)
