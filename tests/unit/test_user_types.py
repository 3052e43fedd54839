# SPDX-License-Identifier: MIT
"""mypy --strict sees for users what the client returns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
from keyfleet import Client, HealthReport, Settings

with Client.from_url("redis://a", timeout_seconds=1) as client:
    text: str | None = client.get("k")
    stored: bool = client.set("k", 1.5, ttl_seconds=2, nx=True)
    left: float | None = client.ttl("k")
    fields: dict[str, str] = client.hgetall("h")
    names: list[str] = list(client.scan())
    report: HealthReport = client.health()
    settings: Settings = client.settings
    total: int = client.incr("n") + client.delete("a", "b") + client.hset("h", {"a": 1, "b": b"x"})
    wrong: int = client.get("k")
    client.set("k", None)
    client.set("k", "v", 5)
"""


def test_annotations_serve_users(tmp_path: Path) -> None:
    """What is right passes, and the last three lines are errors: a None missed, a wrong value, a wrong call."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--no-error-summary",
        "--cache-dir",
        str(tmp_path / "cache"),
        str(program),
    ]
    environ = {"MYPYPATH": str(Path(__file__).parents[2] / "python_lib")}
    found = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=300, check=False)
    errors = [line for line in found.stdout.splitlines() if ": error:" in line]
    last = PROGRAM.count("\n")
    assert ([last - 2, last - 1, last], "") == ([int(line.split(":")[1]) for line in errors], found.stderr)
