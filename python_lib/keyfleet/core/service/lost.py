# SPDX-License-Identifier: MIT
"""
Which processes of the process manager run an instance whose run folder, or the notes in it, are gone; reads only.

The supervisor and its server keep the lock files of the instance open as long as they live (see ``supervisor.py``). The kernel names an
open file by the path that it had, also after that was removed, and so says whose they are, whatever is left on disk.
"""

from __future__ import annotations

import os
import time
from typing import Any, Optional

from ..host.processes import holders, parent, words_of
from ..layout import Layout
from .supervisor import start_ticks


def find_lost(layout: Layout) -> dict[str, Any]:
    """
    Return what ``status.json`` would say of the living processes of an instance; empty if there are none, or not one server but several.

    A server's children, which save, are not servers.
    """
    runner_lock, server_lock = (f"{layout.run_dir}/{kind}.lock" for kind in ("runner", "server"))
    found = holders((runner_lock, server_lock))
    runners = {pid for pid in found[runner_lock] if words_of(pid)[-2:] == ["supervise", layout.name]}
    family = {pid for pid in found[server_lock] if layout.runner_file not in words_of(pid)} - runners
    servers = {pid for pid in family if parent(pid) not in family}
    if len(servers) > 1 or len(runners) > 1 or not (servers or runners):
        return {}
    server, runner = next(iter(servers), None), next(iter(runners), None)
    return {
        "name": layout.name,
        "state": "running" if server else "backing-off",
        "restarts": 0,
        "last_exit": None,
        "runner_pid": runner,
        "runner_ticks": None if runner is None else start_ticks(runner),
        "server_pid": server,
        "server_ticks": None if server is None else start_ticks(server),
        "server_started_at": None if server is None else _started_at(server),
    }


def _started_at(pid: int) -> Optional[float]:
    """Return when a process started, in seconds since 1970; None if it has ended."""
    ticks = start_ticks(pid)
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    return None if ticks is None else time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")
