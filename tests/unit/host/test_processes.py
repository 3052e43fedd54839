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
from keyfleet.core.host.ports import ports_of
from keyfleet.core.host.processes import holders, parent, words_of

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
