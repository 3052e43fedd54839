# SPDX-License-Identifier: MIT
"""A run killed before each step of a change, then a crash: every key is there, and the next run converges."""

from __future__ import annotations

from typing import Any

import pytest
from support.instances import LiveInstance

ON_EVERY_SERVER = "full"
pytestmark = pytest.mark.slow
RUNNING = {
    "on": ({}, {"appendonly": True}, ["write_record", "switch_on", "write_files"]),
    "off": ({"appendonly": True}, {"appendonly": None}, ["save", "write_files", "switch_off", "set_aside"]),
}
RESTART = ["save", "write_for_now", "stop", "relocate", "write_files", "prepare_own", "start", "compare_keys", "commit"]
RESTARTED = {
    "aof": (
        {"appendonly": True},
        {"appenddirname": "other", "appendfilename": "other.aof"},
        [*RESTART, "finish_files", "open", "set_aside"],
    ),
    "rdb": ({}, {"dbfilename": "other.rdb"}, [*RESTART, "finish_files", "open", "set_aside"]),
}
STOPPED = {
    "on": ({}, {"appendonly": True}, ["write_files", "start", "switch_on", "finish_files", "open"]),
    "off": ({"appendonly": True}, {"appendonly": None}, ["start", "save", "commit", "finish_files", "switch_off", "open", "set_aside"]),
    "moved": ({"appendonly": True}, {"appenddirname": "other"}, ["relocate", "write_files", "start", "finish_files", "set_aside"]),
}


def cases(table: dict[str, Any]) -> list[Any]:
    """Return each change with each of its steps."""
    return [pytest.param(before, change, step, id=f"{name}-{step}") for name, (before, change, steps) in table.items() for step in steps]


def desired(live: LiveInstance) -> list[str]:
    """Return what the server has of what the inventory names, booleans as words."""
    return [live.active(name) for name in live.directives]


def converges(live: LiveInstance, change: dict[str, Any], keys: int) -> None:
    """Lose the machine, start as configured, run again: every key each time, and what was desired in the end."""
    if live.manager.status().active:
        live.crash()
    else:
        live.start_as_configured()
    assert keys == live.all_keys()
    live.apply(**change)
    assert keys == live.keys()
    assert ["yes" if value is True else value for value in live.directives.values()] == desired(live)
    live.crash()
    assert keys == live.keys()


@pytest.mark.parametrize(("before", "change", "step"), cases(RUNNING))
def test_killed_while_a_running_server_changes(live: LiveInstance, before: Any, change: Any, step: str) -> None:
    """Switching the append-only file, live."""
    live.settle(**before)
    live.fill(100)
    with live.client() as client:
        client.save()  # what a start without append-only file has
    assert live.killed_before(step, lambda: live.settle(**change))
    converges(live, change, 100)


@pytest.mark.parametrize(("before", "change", "step"), cases(RESTARTED))
def test_killed_during_a_restart(live: LiveInstance, before: Any, change: Any, step: str) -> None:
    """Data files that get other names."""
    live.settle(**before)
    live.fill(100)
    with live.client() as client:
        client.save()
    live.settle(**change)
    assert live.killed_before(step, live.restart)
    converges(live, change, 100)


@pytest.mark.parametrize(("before", "change", "step"), cases(STOPPED))
def test_killed_during_a_start(live: LiveInstance, before: Any, change: Any, step: str) -> None:
    """A stopped server that starts with other files."""
    live.settle(**before)
    live.fill(100)
    live.stop()
    assert live.killed_before(step, lambda: live.settle(**change))
    converges(live, change, 100)
