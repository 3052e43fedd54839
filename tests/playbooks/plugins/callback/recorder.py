"""
Write the result of every task as a line of JSON to the file that KEYFLEET_RESULT_LOG names.

KEYFLEET_KILL_AFTER kills the run (SIGKILL, its whole process group) right after a result, before the next task: ``changed:3`` after the
third one that changed something, ``any:3`` after the third one of all.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: recorder
type: aggregate
short_description: results as lines of JSON
description: For tests. Censors what a terminal would not show either.
author: keyfleet maintainers
"""


class CallbackModule(CallbackBase):
    """Record ok, changed, failed and skipped results."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "recorder"

    def __init__(self) -> None:
        super().__init__()
        self._results = 0

    def _record(self, outcome: str, result: Any) -> None:
        record = {
            "outcome": outcome,
            "host": result._host.get_name(),
            "task": result._task.get_name(),
            "action": result._task.action,
            "result": json.loads(self._dump_results(result._result)),
        }
        with Path(os.environ["KEYFLEET_RESULT_LOG"]).open("a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")
        kind, _colon, number = os.environ.get("KEYFLEET_KILL_AFTER", "").partition(":")
        if kind in ("any", outcome):
            self._results += 1
            if self._results == int(number):
                os.killpg(0, signal.SIGKILL)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Record a task that went well."""
        self._record("changed" if result._result.get("changed") else "ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Record a task that failed."""
        self._record("failed", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Record a task that was skipped."""
        self._record("skipped", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Record a host that could not be reached."""
        self._record("unreachable", result)
