# SPDX-License-Identifier: MIT
"""What a program is asked for is remembered for as long as the same file is there."""

from __future__ import annotations

from pathlib import Path

from keyfleet.core.directives.throwaway import engine_version
from keyfleet.core.instance.state import program_format


def test_a_program_is_asked_once_and_its_successor_anew(tmp_path: Path) -> None:
    """A program that is replaced in its place, as an upgrade does, is another one."""
    program, log = tmp_path / "redis-server", tmp_path / "log"
    script = f'#!/bin/sh\necho "$@" >> {log}\nexec redis-server "$@"\n'
    program.write_text(script)
    program.chmod(0o755)
    first = [engine_version(str(program)) for _time in range(3)]
    formats = [program_format(str(program)) for _time in range(3)]
    assert (1, 1, 2) == (len(set(first)), len(set(formats)), len(log.read_text().splitlines()))
    newer = tmp_path / "newer"
    newer.write_text(script.replace("exec redis-server", "echo Redis server v=99.0.0 ||"))
    newer.chmod(0o755)
    newer.replace(program)
    assert ("redis", "99.0.0") == engine_version(str(program))
