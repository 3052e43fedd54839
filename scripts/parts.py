# SPDX-License-Identifier: MIT
"""
Run the parts of `make check` and `make test`, several side by side, and end with a table of what each took beside its budget.

Usage: scripts/parts.py check|test|full [PART ...]
  check|test|full  the command whose parts are run; scripts/parts.toml is the table of them
  PART             only these

The output of each part is in .cache/logs/PART.log; the last lines of one that fails are printed. A part that fails does not stop the
others. Ctrl-C ends all of them. A skipped test is a failure: it did not run.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "scripts" / "parts.toml"
LOGS = ROOT / ".cache" / "logs"
COMMANDS = ("check", "test", "full")
NICE_PER_LANE = 5
GRACE_SECONDS = 30
"""How long an interrupted part may take to end its servers and containers, and then what it started to end itself."""
SHOWN_LINES = 40
SKIPPED = re.compile(r"^=+ .*\d+ skipped", re.MULTILINE)
NAMED = re.compile(r"^(?:FAILED|ERROR|SKIPPED) .*", re.MULTILINE)
TOTALS = re.compile(r"^=+ .*\d+ (?:passed|failed|error).* in [0-9.]+s.*=+$", re.MULTILINE)


class TableError(Exception):
    """scripts/parts.toml has a row that cannot be run; the message names it and what it lacks."""


@dataclass(frozen=True)
class Part:
    """
    One row of the table.

    Attributes:
        name: What the results call it.
        command: The program and its arguments.
        budget_seconds: How long it may take on two cores, beside the parts of the other lanes.
        lane: Parts of one lane run one after the other; those of a higher lane give way to those of a lower one.
    """

    name: str
    command: tuple[str, ...]
    budget_seconds: int
    lane: int


@dataclass(frozen=True)
class Outcome:
    """What a part did: the processor seconds are those of its own processes, containers not counted."""

    part: Part
    ok: bool
    seconds: float
    processor_seconds: float
    output: str

    @property
    def row(self) -> str:
        """Return its line of the table of results."""
        over = "  over budget" if self.seconds > self.part.budget_seconds else ""
        result = "ok" if self.ok else "FAILED"
        return f"{self.part.name:12} {result:6} {self.seconds:6.0f} s {self.part.budget_seconds:6} s {self.processor_seconds:8.0f} s{over}"


def read_parts(table: Mapping[str, Any], command: str) -> list[Part]:
    """
    Return the parts of a command in the order of the table.

    Raises:
        TableError: if a row lacks its budget or another key, or has one that means nothing.
    """
    found = []
    for name, row in table["part"].items():
        _refuse_what_lacks_something(name, row)
        if chosen := row.get(command, row.get("test") if command == "full" else None):
            expanded = " ".join(table["words"].get(word, word) for word in chosen["run"].split(" "))
            found.append(Part(name, tuple(shlex.split(expanded)), chosen["budget_seconds"], row["lane"]))
    return found


def _refuse_what_lacks_something(name: str, row: Mapping[str, Any]) -> None:
    runs = {command: row[command] for command in COMMANDS if command in row}
    if not runs or row.keys() != {"lane", *runs}:
        raise TableError(
            f"{name} in {TABLE.name} has {', '.join(row)}; it needs lane and one of {', '.join(COMMANDS)}, and takes nothing else."
        )
    for command, run in runs.items():
        if "budget_seconds" not in run:
            raise TableError(
                f"{name} has no budget: give {command} in its row of {TABLE.name} budget_seconds, what it may take on two cores."
            )


class Runner:
    """Runs parts; knows which processes are at work, so that they can be ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self._stopping = False

    def run(self, parts: Sequence[Part]) -> list[Outcome]:
        """Run all parts, lanes side by side, and return what they did, in their order."""
        done: dict[str, Outcome] = {}
        lanes = sorted({part.lane for part in parts})
        threads = [threading.Thread(target=self._run_lane, args=([part for part in parts if part.lane == lane], done)) for lane in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [done[part.name] for part in parts if part.name in done]

    def stop(self) -> None:
        """End every part: ask first, as Ctrl-C does, and kill what is still there after GRACE_SECONDS."""
        with self._lock:
            self._stopping = True
        for wanted, seconds in ((signal.SIGINT, GRACE_SECONDS), (signal.SIGKILL, 0)):
            self._signal(wanted)
            deadline = time.monotonic() + seconds
            while self._running and time.monotonic() < deadline:
                time.sleep(0.1)

    def _signal(self, wanted: signal.Signals) -> None:
        with self._lock:
            for leader in self._running:
                os.killpg(leader, wanted)

    def _run_lane(self, parts: Iterable[Part], done: dict[str, Outcome]) -> None:
        for part in parts:
            outcome = self._run_part(part)
            if outcome is None:
                return
            done[part.name] = outcome
            report(outcome)

    def _run_part(self, part: Part) -> Outcome | None:
        """Run one part to its end; None if all parts are being stopped."""
        log, began = LOGS / f"{part.name}.log", time.monotonic()
        with log.open("wb") as output:
            with self._lock:
                if self._stopping:
                    return None
                say(part.name)
                process = subprocess.Popen(
                    ["nice", "-n", str(NICE_PER_LANE * (part.lane - 1)), *part.command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=ROOT,
                    start_new_session=True,
                )
                self._running.add(process.pid)
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # not reaped yet, so its number stays its own for signals
            if self._stopping:
                _end_group(process.pid)
            with self._lock:
                self._running.discard(process.pid)
            _pid, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if self._stopping:
            return None
        text = log.read_text(encoding="utf-8", errors="replace")
        ok = process.returncode == 0 and not SKIPPED.search(text)
        return Outcome(part, ok, time.monotonic() - began, usage.ru_utime + usage.ru_stime, text)


def _end_group(leader: int) -> None:
    """Kill what a part left running when it was interrupted; what shells start in the background ignores SIGINT."""
    deadline = time.monotonic() + GRACE_SECONDS
    while _others(leader) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(leader, signal.SIGKILL)


def _others(leader: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError):
            if leader == os.getpgid(int(path.name)) and leader != int(path.name):
                found.append(int(path.name))
    return found


def say(text: str) -> None:
    """Print a line that says what is done now."""
    print(f"==> {text}", flush=True)


def report(outcome: Outcome) -> None:
    """Print that a part has ended, and its last lines if it failed."""
    result = "ok" if outcome.ok else "FAILED"
    lines = [] if outcome.ok else [f"    {line}" for line in outcome.output.splitlines()[-SHOWN_LINES:]]
    print("\n".join([*lines, f"==> {outcome.part.name} {result}, {outcome.seconds:.0f} s"]), flush=True)


def summarize(outcomes: Sequence[Outcome], seconds: float, budget_seconds: int) -> None:
    """Print the table of parts, what failed, and pytest's own last lines."""
    over = "  over budget" if seconds > budget_seconds else ""
    print(f"\n{'part':12} {'result':6} {'took':>8} {'budget':>8} {'processor':>10}")
    print("\n".join([*(outcome.row for outcome in outcomes), f"{'total':19} {seconds:6.0f} s {budget_seconds:6} s{over}"]))
    for outcome in outcomes:
        print("\n".join(found)) if (found := NAMED.findall(outcome.output)) else None
    for outcome in outcomes:
        if not outcome.ok:
            say(f"{outcome.part.name} FAILED; its output: {(LOGS / outcome.part.name).relative_to(ROOT)}.log")
    for outcome in outcomes:
        for line in TOTALS.findall(outcome.output):
            print(f"{outcome.part.name:12} {line.strip('= ')}")


def main(command: str, *chosen: str) -> int:
    """Run the parts of a command, or those chosen; return the exit status."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    parts = read_parts(table, command)
    if unknown := set(chosen) - {part.name for part in parts}:
        print(
            f"keyfleet: {', '.join(sorted(unknown))}: no part of {command}; its parts: {', '.join(part.name for part in parts)}",
            file=sys.stderr,
        )
        return 2
    parts = [part for part in parts if not chosen or part.name in chosen]
    LOGS.mkdir(parents=True, exist_ok=True)
    for old in LOGS.glob("*.log"):
        old.unlink()
    os.environ["NO_COLOR"] = "1"  # the output goes to files
    runner, began = Runner(), time.monotonic()
    interrupted = _stopped_by_signals(runner)
    outcomes = runner.run(parts)
    summarize(outcomes, time.monotonic() - began, table["budget_seconds"][command])
    if interrupted:
        say("interrupted: " + ", ".join(part.name for part in parts if part.name not in {outcome.part.name for outcome in outcomes}))
        return 128 + interrupted[0]
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def _stopped_by_signals(runner: Runner) -> list[int]:
    """Let SIGINT and SIGTERM stop the runner; return the list that they are put into."""
    got: list[int] = []

    def stop(number: int, _frame: object) -> None:
        if not got:
            got.append(number)
            threading.Thread(target=runner.stop).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return got


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        print((__doc__ or "").strip())
        sys.exit(0 if sys.argv[1:] == ["--help"] else 2)
    try:
        sys.exit(main(*sys.argv[1:]))
    except TableError as error:
        sys.exit(f"keyfleet: {error}")
