# SPDX-License-Identifier: MIT
"""
Whether a running server is the installed program.

The path of the program need not lead to what is executed: it may be a wrapper, or a script that starts the program with a loader of its
own. So what a start would execute is asked of a throw-away server, wherever the paths do not answer it.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Optional

from ..directives.throwaway import engine_version, throwaway
from ..host.processes import program_files, without_mark
from .model import Host
from .starting import conditions, server_account

if TYPE_CHECKING:
    import redis

_DETACHED = "/"


def program_reasons(client: redis.Redis, host: Host, pid: Optional[int]) -> list[str]:
    """Return why the running process is not the installed program; empty if it is, or this user may not see what it executes."""
    _unused, version = engine_version(host.binary)
    info = client.info("server")
    running = str(info.get("valkey_version") or info.get("redis_version"))
    if running != version:
        return [f"version {version} is installed and {running} runs"]
    executed = {} if pid is None else program_files(pid)
    if not executed or list(executed.values()) == [os.path.realpath(host.binary)]:
        return []
    reason = replaced(executed, _executed_by_a_start(host))
    return [reason] if reason else []


def replaced(executed: dict[str, str], desired: dict[str, str]) -> str:
    """
    Return how the files that a server executes differ from those that a start would execute; empty if they are the same. Pure.

    A unit mounts its program alone (``ExecPaths=``). Replacing the file detaches that mount, and the path of what still runs is ``/``.
    """
    if executed.keys() == desired.keys():
        return ""
    before, after = (sorted(map(without_mark, files.values())) for files in (executed, desired))
    if before == after or _DETACHED in before:
        return "the program was replaced since the server started"
    return f"binary changed: {', '.join(before)} runs and shall be {', '.join(after)}"


def _executed_by_a_start(host: Host) -> dict[str, str]:
    with throwaway(host.binary, [], conditions=conditions(host, server_account(host))) as ask:
        found = re.search(r"^process_id:(\d+)", ask("INFO", "server"), re.MULTILINE)
        return program_files(int(found[1])) if found else {}
