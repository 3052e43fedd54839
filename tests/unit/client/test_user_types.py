# SPDX-License-Identifier: MIT
"""mypy --strict and pyright see for users what the clients return, without a union of sync and async."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
from dataclasses import dataclass
from datetime import timedelta

from keyfleet import AsyncClient, Client, HealthReport, Policy, Prefix, Settings, Stats


@dataclass
class User:
    name: str


with Client.from_url("redis://a", timeout_seconds=1, policy=Policy(on_error="fallback")) as client:
    text: str | None = client.get(Prefix.CACHE.key("k"))
    stored: bool = client.set("k", 1.5, ttl_seconds=2, nx=True)
    before: str | None = client.set("k", "v", get=True)
    flag: bool = bool(stored)
    either: bool | str | None = client.set("k", "v", get=flag)
    left: float | None = client.within(0.5).ttl("k")
    raw: bytes | None = client.get_bytes("k")
    jobs: list[bytes] = client.lrange("l", as_bytes=True)
    ranked: list[tuple[str, float]] = client.zrange("z", withscores=True)
    tags: set[str] = client.smembers("s")
    user: User | None = client.get_json("u", decoder=User)
    users: dict[str, User | None] = client.get_many_json(["u"], decoder=lambda value: User(**value))
    expires: bool = client.expire("k", timedelta(minutes=5)) and client.hset("h", "field", 1) > 0
    fields: dict[str, str] = client.hgetall("h")
    several: dict[str, str | None] = client.get_many(["a", "b"])
    names: list[str] = list(client.scan(type="hash"))
    report: HealthReport = client.health()
    settings: Settings = client.settings
    stats: Stats = client.stats
    total: int = client.incr("n") + client.delete("a", "b") + client.hset("h", {"a": 1, "b": b"x"})


async def main() -> None:
    async with AsyncClient.from_env() as client:
        text: str | None = await client.get("k")
        stored: bool = await client.set("k", 1.5, ttl_seconds=2, nx=True)
        before: str | None = await client.set("k", "v", get=True)
        names: list[str] = [name async for name in client.scan()]
        report: HealthReport = await client.health()
        total: int = await client.incr("n") + await client.delete("a", "b")
        print(text, stored, before, names, report, total)
        unawaited: str | None = client.get("k")
        print(unawaited)


wrong: int = client.get("k")
client.set("k", None)
client.set("k", "v", 5)
"""
WRONG_LINES = [number for number, line in enumerate(PROGRAM.splitlines(), 1) if "unawaited:" in line] + [
    PROGRAM.count("\n") - 2,
    PROGRAM.count("\n") - 1,
    PROGRAM.count("\n"),
]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program of a user, of which four lines are wrong."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return path


def test_mypy_serves_users(program: Path) -> None:
    """What is right passes, and what is wrong is found: a missing await, a None missed, a wrong value, a wrong call."""
    options = ["--strict", "--config-file=", "--no-error-summary", "--cache-dir", str(program.parent / "cache")]
    environ = {"MYPYPATH": str(ROOT / "python_lib")}
    command = [sys.executable, "-m", "mypy", *options, str(program)]
    found = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=300, check=False)
    errors = [int(line.split(":")[1]) for line in found.stdout.splitlines() if line.startswith(str(program)) and ": error:" in line]
    assert (WRONG_LINES, "") == (errors, found.stderr), found.stdout


def test_pyright_serves_users(program: Path) -> None:
    """The same for pyright in strict mode, with nothing unknown in what the library returns."""
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT / "python_lib")], "pythonVersion": "3.11"}
    (program.parent / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [
        str(Path(sys.executable).with_name("basedpyright")),
        "--outputjson",
        "--project",
        str(program.parent),
        "--pythonpath",
        sys.executable,
    ]
    found = subprocess.run(command, capture_output=True, text=True, cwd=program.parent, timeout=300, check=False)
    diagnostics = json.loads(found.stdout)["generalDiagnostics"]
    errors = [item["range"]["start"]["line"] + 1 for item in diagnostics if item["severity"] == "error" and item["file"] == str(program)]
    assert WRONG_LINES == sorted(set(errors)), diagnostics
