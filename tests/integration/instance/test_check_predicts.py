# SPDX-License-Identifier: MIT
"""
What check mode says is what the run then does: the diff line by line, what needs a restart and why, and what is refused.

Over a table of changes, each of an instance that runs, of one that is stopped, and of one that is new.
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest
from keyfleet.core.errors import KeyfleetError
from keyfleet.core.instance.converge import Converged
from keyfleet.core.instance.restart import foresee_restart
from keyfleet.core.service import supervisor
from keyfleet.testing._server import free_port, wait_until
from support.instances import PASSWORD, LiveInstance

pytestmark = pytest.mark.slow

OTHER = -1  # a port that is free

# Options of the instance and its directives, together as they may be changed in one run.
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "port": ({"port": OTHER}, {}),
    "password": ({"password": "another-battery"}, {}),
    "socket beside the port": ({"unix_socket": True}, {}),
    "socket alone": ({"unix_socket": True, "port": 0}, {}),
    "address": ({"bind": ["127.0.0.1", "-::1"]}, {}),
    "log": ({"log": "manager"}, {}),
    "live directives": ({}, {"maxmemory": "64mb", "hz": 20, "save": "3600 1"}),
    "directives of a start": ({}, {"databases": 20, "io-threads": 2}),
    "too few databases": ({}, {"databases": 2}),
    "append-only file on": ({}, {"appendonly": True}),
    "dump of another name": ({}, {"dbfilename": "other.rdb"}),
    "renamed command": ({}, {"rename-command": ["FLUSHALL forbidden"]}),
    "without CONFIG": ({}, {"rename-command": ['CONFIG ""']}),
    "users": ({}, {"user": ["reader on nopass ~* +@read"]}),
    "a secret": ({}, {"masterauth": "the-secret-of-another"}),
}
CASES = [
    *((change, way) for change in CHANGES for way in ("running", "stopped", "new")),
    *((change, "orphaned") for change in ("nothing", "port", "live directives")),
]


UNKNOWN = {("too few databases", "stopped")}  # which databases a stopped server has keys in is known when it has loaded them


def deployed(live: LiveInstance, way: str) -> None:
    """Bring an instance to the state that a change is applied to, with keys in two databases."""
    if way == "new":
        return
    live.settle()
    live.fill(20)
    live.fill(5, db=5)
    if way == "stopped":
        live.stop()
    elif way == "orphaned":
        runner = supervisor.status(live.layout.run_dir)["runner_pid"]
        os.kill(runner, signal.SIGKILL)
        wait_until(lambda: "orphaned" == live.manager.status().state, "the supervisor to be gone")


def outcome(live: LiveInstance, *, check: bool) -> tuple[Optional[Converged], str]:
    """Return what a run says, restart included, or why it is refused."""
    try:
        done = live.settle(check=check)
        if done.restart_needed:
            if check:
                foresee_restart(live.host, live.instance)
            else:
                live.restart()
    except KeyfleetError as error:
        return None, f"{type(error).__name__}: {error}"
    return done, ""


@pytest.mark.parametrize(("change", "way"), CASES)
def test_check_mode_says_what_the_run_does(live: LiveInstance, change: str, way: str) -> None:
    """Check mode touches nothing; the run then shows the same lines, and afterwards there is nothing to do."""
    live.host = replace(live.host, previous_password=PASSWORD)
    deployed(live, way)
    options, directives = CHANGES[change]
    live.options.update({name: free_port("127.0.0.1") if value == OTHER else value for name, value in options.items()})
    live.directives.update(directives)
    before, pid = tree(Path(live.host.root)), live.manager.status().pid
    predicted, refusal = outcome(live, check=True)
    assert (before, pid) == (tree(Path(live.host.root)), live.manager.status().pid)
    real, reason = outcome(live, check=False)
    if (change, way) in UNKNOWN:
        assert ("", True) == (refusal, "database 5 holds 5 keys" in reason)
        return
    assert refusal == reason
    if predicted is None or real is None:
        assert "too few databases" == change
        return
    assert predicted.diffs() == real.diffs()
    assert (predicted.action, predicted.moves, predicted.restart_needed) == (real.action, real.moves, real.restart_needed)
    assert {"running": "unchanged", "stopped": "started", "orphaned": "adopted", "new": "started"}[way] == real.action or way == "running"
    assert way in ("stopped", "new") or not [diff for diff in real.diffs() if diff["before"].startswith("stopped")]
    after = live.settle()
    assert ("unchanged", []) == (after.action, after.restart_needed)


def tree(root: Path) -> dict[str, tuple[int, int]]:
    """Return mode and time of change of everything below a folder."""
    statuses = {str(path): path.lstat() for path in root.rglob("*")}
    return {path: (status.st_mode, status.st_mtime_ns) for path, status in statuses.items()}
