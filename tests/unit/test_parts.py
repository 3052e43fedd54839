# SPDX-License-Identifier: MIT
"""The parts of `make check` and `make test`: each has a budget, every test is in one, and a failure is reported whatever else runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tomllib

from scripts import parts
from scripts.parts import Part, Runner, TableError, read_parts

ROOT = Path(__file__).parents[2]
TABLE = tomllib.loads(parts.TABLE.read_text(encoding="utf-8"))
ROW = {"lane": 1, "test": {"run": "WORD b", "budget_seconds": 5}}


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The parts of these tests write their output here."""
    monkeypatch.setattr(parts, "LOGS", tmp_path)
    return tmp_path


def part(name: str, script: str, lane: int = 1) -> Part:
    """Return a part that runs a shell script."""
    return Part(name, ("sh", "-c", script), 5, lane)


@pytest.mark.parametrize("command", parts.COMMANDS)
def test_every_row_can_be_run(command: str) -> None:
    """Programs are there, in the checkout or on the path of any system, and so are the folders of tests."""
    for found in read_parts(TABLE, command):
        words = [word for word in found.command if word.startswith(("scripts/", "tests/", "molecule/"))]
        assert [] == [word for word in words if not (ROOT / word).exists()]
        assert 0 < found.budget_seconds < TABLE["budget_seconds"][command]


def test_every_folder_of_tests_and_every_scenario_is_in_a_part() -> None:
    """One that is added without a row would never run."""
    commands = [found.command for command in ("test", "full") for found in read_parts(TABLE, command)]
    pairs = [(option, word) for command in commands for option, word in zip(("", *command), command)]
    ignored = {word for option, word in pairs if option == "--ignore"}
    folders = {f"tests/{path.name}" for path in (ROOT / "tests").iterdir() if list(path.rglob("test_*.py"))}
    scenarios = {path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")} - {"shared"}
    assert folders | scenarios | ignored <= {word for option, word in pairs if option != "--ignore"}


def test_words_of_the_table_stand_for_more_words() -> None:
    """Full runs what test does where it has nothing of its own."""
    two, three = ({**ROW, command: {"run": command, "budget_seconds": 5}} for command in ("full", "check"))
    table = {"words": {"WORD": "a 'x y'"}, "part": {"one": ROW, "two": two, "three": three}}
    assert [("a", "x y", "b"), ("full",), ("a", "x y", "b")] == [found.command for found in read_parts(table, "full")]
    assert [("check",)] == [found.command for found in read_parts(table, "check")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"lane": 1, "test": {"run": "a"}}, "one has no budget: give test in its row"),
        ({**ROW, "lain": 2}, "one in parts.toml has lane, test, lain; it needs"),
        ({"test": ROW["test"]}, "it needs lane"),
        ({"lane": 1}, "one of check, test, full"),
    ],
)
def test_a_row_that_lacks_something_is_refused(row: dict[str, object], message: str) -> None:
    """Whatever command is run."""
    with pytest.raises(TableError, match=message):
        read_parts({"words": {}, "part": {"one": row}}, "check")


def test_a_failure_stops_no_other_part_and_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither in its lane nor in another; its last lines are shown, those of the others are in their logs."""
    script = "echo of the log; exit 3"
    done = Runner().run(
        [part("bad", script), part("good", "echo fine"), part("beside", "true", 2), part("skips", "echo '== 1 skipped =='")]
    )
    assert [("bad", False), ("good", True), ("beside", True), ("skips", False)] == [(one.part.name, one.ok) for one in done]
    assert "fine\n" == done[1].output
    said = capsys.readouterr().out
    assert "    of the log\n==> bad FAILED" in said
    assert "fine" not in said


def test_results_mark_what_is_over_its_budget(capsys: pytest.CaptureFixture[str]) -> None:
    """It is no failure: machines are noisy."""
    one = Part("one", ("true",), 10, 1)
    parts.summarize([parts.Outcome(one, True, 10.4, 3, ""), parts.Outcome(one, True, 9.9, 3, "")], 12, 11)
    over, within, total = capsys.readouterr().out.splitlines()[2:5]
    assert ["one", "ok", "10", "s", "10", "s", "3", "s", "over", "budget"] == over.split()
    assert "over" not in within
    assert ["total", "12", "s", "11", "s", "over", "budget"] == total.split()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_part_and_what_it_started(tmp_path: Path, number: signal.Signals) -> None:
    """Those at work are asked to end as Ctrl-C does, those that wait for their turn never begin."""
    table = "[budget_seconds]\ntest = 9\n[words]\n" + "".join(
        f"[part.{name}]\nlane = {lane}\ntest = {{ run = \"sh -c '{script}'\", budget_seconds = 5 }}\n"
        for name, lane, script in (
            ("one", 1, f"sleep 600 & echo $! >{tmp_path}/one; wait"),
            ("two", 2, f"sleep 600 & echo $! >{tmp_path}/two; wait"),
            ("never", 1, f"echo >{tmp_path}/never"),
        )
    )
    (tmp_path / "parts.toml").write_text(table, encoding="utf-8")
    program = """
import sys
from pathlib import Path
from scripts import parts
folder = Path(sys.argv[1])
parts.LOGS, parts.TABLE, parts.GRACE_SECONDS = folder / "logs", folder / "parts.toml", 1
sys.exit(parts.main("test"))
"""
    runner = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    begun = [tmp_path / "one", tmp_path / "two"]
    _wait(lambda: all(path.exists() and path.read_text().strip() for path in begun))
    runner.send_signal(number)
    said = runner.communicate(timeout=60)[0]
    assert (128 + number, False) == (runner.returncode, (tmp_path / "never").exists())
    assert "interrupted: one, two, never" in said
    _wait(lambda: not any(_runs(int(path.read_text())) for path in begun))


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return "sleep" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def test_a_hang_has_a_ceiling() -> None:
    """Every test is ended after a time that no test needs, unless the caller of pytest says another."""
    assert 0 < float(os.environ["PYTEST_TIMEOUT"])
