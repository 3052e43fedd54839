# SPDX-License-Identifier: MIT
"""Write when each play and task begins, and when the run ends, as a line of JSON to the file that KEYFLEET_CLOCK_LOG names."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: clock
type: aggregate
short_description: when each task begins
description: For the benchmark of a deployment.
author: keyfleet maintainers
"""


class CallbackModule(CallbackBase):
    """Note the time."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "clock"

    def _note(self, what: str, mode: str = "a") -> None:
        with Path(os.environ["KEYFLEET_CLOCK_LOG"]).open(mode, encoding="utf-8") as log:
            log.write(json.dumps({"at": time.monotonic(), "what": what}) + "\n")

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Begin anew."""
        self._note("start", "w")

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Note a play."""
        self._note(f"play {play.get_name()}")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Note a task."""
        self._note(task.get_name())

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Note the end."""
        self._note("end")
