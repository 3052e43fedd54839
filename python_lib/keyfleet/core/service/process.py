# SPDX-License-Identifier: MIT
"""Services without an init system: one detached supervisor each, see ``supervisor.py``; they do not survive a reboot."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, Optional

from ..errors import describe
from ..host import file_entries, files
from ..host.accounts import owner_of_process
from ..host.commands import CLEAN_ENVIRONMENT, run
from ..host.safe_paths import is_folder, read_bytes, replace_file, status_of
from . import supervisor
from .lost import find_lost
from .manager import ServiceManager, ServiceStatus


class ProcessManager(ServiceManager):
    """
    A detached supervisor. ``start`` returns when the server listens; it may still be loading its data, which a PING shows.

    The supervisor is a program of its own, since it outlives the module that starts it, and changes to the server's user on its own.
    """

    def status(self) -> ServiceStatus:
        """Read the supervisor's status file and compare it with the processes; without the file, find them by their locks."""
        try:
            found = supervisor.status_of(self._record())
        except OSError as error:
            raise self.failure("ask for", f"cannot read the state in {self.layout.run_dir}: {error.strerror}") from error
        recorded = bool(found["runner_pid"] or found["server_pid"])
        if not recorded and (lost := find_lost(self.layout)):
            found = supervisor.status_of(lost)
        else:
            recorded = True
        pid = found["server_pid"]
        return ServiceStatus(found["state"], None, pid, found["server_started_at"] if pid else None, found["restarts"] or 0, recorded)

    def _record_again(self) -> None:
        """Write the status file of processes that lost it, so that the supervisor's program finds them."""
        if self.status().recorded:
            return
        lost, run_dir = find_lost(self.layout), PurePosixPath(self.layout.run_dir)
        owner = owner_of_process(lost["server_pid"] or lost["runner_pid"])
        account = {} if owner is None or os.geteuid() != 0 else {"owner": str(owner[0]), "group": str(owner[1])}
        folders = [{"path": str(path), "state": "directory", "mode": "0755"} for path in (run_dir.parent.parent, run_dir.parent)]
        entries = [entry for entry in folders if not is_folder(entry["path"])]
        files.plan(file_entries.parse([*entries, {"path": str(run_dir), "state": "directory", "mode": "0755", **account}])).apply()
        replace_file(f"{run_dir}/{supervisor.STATUS_FILE}", json.dumps(lost, sort_keys=True).encode(), 0o600)

    def _record(self) -> dict[str, Any]:
        """Read the status file; the supervisor itself reads it as the server's user, and this may be root."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return supervisor.parse_record(read_bytes(f"{self.layout.run_dir}/{supervisor.STATUS_FILE}"))
        return {}

    def start(self) -> None:
        """Start or adopt the server and wait until it listens."""
        self._record_again()
        self._run("start", self.timeout_seconds)

    def stop(self, timeout_seconds: Optional[float] = None) -> None:
        """Stop supervisor and server; without a time limit, as long as saving takes."""
        if not self.status().stopped:
            self._record_again()
            self._run("stop", timeout_seconds)

    def start_when_stopped(self) -> None:
        """Leave a runner behind that waits for the stop and starts the server; a start by a later run does no harm to it."""
        words = [sys.executable, "-I", self.layout.runner_file, "start", "--spec", self.layout.spec_file]
        silent = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_RDWR, 0) for descriptor in range(3)]
        try:  # not waited for: it outlives this process
            os.posix_spawn(sys.executable, words, CLEAN_ENVIRONMENT, file_actions=silent, setsid=True)
        except OSError as error:
            raise self.failure("start", f"{self.layout.runner_file} cannot be run: {describe(error)}") from error

    @property
    def restart_command(self) -> str:
        """A call of the supervisor's program."""
        return " ".join(shlex.quote(word) for word in ("python3", self.layout.runner_file, "restart", "--spec", self.layout.spec_file))

    def enable(self) -> None:
        """Do nothing: no init system starts a process with the host."""

    def disable(self) -> None:
        """Do nothing: no init system starts a process with the host."""

    def reload_needed(self) -> bool:
        """Return False: nothing is kept between two calls."""
        return False

    def reload_units(self) -> None:
        """Do nothing: the specification is read at each start."""

    def _run(self, action: str, timeout_seconds: Optional[float]) -> None:
        limit = [] if timeout_seconds is None else ["--timeout-seconds", f"{timeout_seconds:g}"]
        program = self.layout.runner_file
        for path in (program, self.layout.spec_file):
            if status_of(path) is None:
                raise self.failure(action, f"{path} is gone: run site.yml, which writes it again")
        try:
            done = run([sys.executable, "-I", program, action, "--spec", self.layout.spec_file, *limit])
        except (OSError, subprocess.SubprocessError) as error:
            raise self.failure(action, f"{program} cannot be run: {describe(error)}") from error
        if done.returncode != 0:
            raise self.failure(action, _reason(done))


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    try:
        return str(json.loads(done.stdout)["error"])
    except (ValueError, KeyError, TypeError):
        return (done.stderr or done.stdout).strip()
