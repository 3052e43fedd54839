# SPDX-License-Identifier: MIT
"""What starts the servers: the unit, which systemd itself reads, and the runner."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from keyfleet.core.service import start_role, supervisor
from keyfleet.core.service.starters import runner_text, start_role_text, unit_text


@pytest.mark.parametrize("engine", ["redis", "valkey"])
def test_systemd_reads_the_unit_without_a_complaint(tmp_path: Path, engine: str) -> None:
    """Of a line of it; whether the program is there depends on the machine."""
    text = unit_text(engine, f"/usr/bin/{engine}-server", engine, engine)
    assert f"ExecStart=/usr/bin/{engine}-server " in text
    assert f"User={engine}\nGroup={engine}\n" in text
    unit = tmp_path / "keyfleet@one.service"
    unit.write_text(text, encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert [] == [line for line in done.stderr.splitlines() if line.startswith(f"{unit}:")]


def test_the_programs_are_files_of_the_library() -> None:
    """Byte by byte, wherever they were imported from."""
    assert Path(start_role.__file__).read_text(encoding="utf-8") == start_role_text()
    assert Path(supervisor.__file__).read_text(encoding="utf-8") == runner_text()
