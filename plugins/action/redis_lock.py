# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse a second run on the same deployment; runs on the controller, without a connection."""

from __future__ import annotations

import datetime
import fcntl
import getpass
import json
import os
import socket
from pathlib import Path
from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils.controller_files import make_private_folder


def _started_at(pid: int) -> Optional[str]:
    """Return a text that distinguishes this process from a later one of the same number; None if there is no such process."""
    try:
        # Field 22 of /proc/PID/stat, counted after the command name, which may hold blanks and brackets.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "unknown"


def _holder(text: str) -> Optional[dict[str, Any]]:
    """Return who holds the lock, or None if it is free."""
    try:
        record: dict[str, Any] = json.loads(text)
        if record["host"] == socket.gethostname() and _started_at(record["pid"]) != record["started_at"]:
            return None
    except (ValueError, KeyError, TypeError):
        return None  # written half by a process that was killed
    return record


def _refuse_another(path: Path, text: str) -> None:
    """Fail if another run holds the lock."""
    holder = _holder(text)
    if holder is not None and holder["pid"] != os.getppid():
        raise AnsibleActionFail(
            f"another run is at work on this deployment: process {holder['pid']} of {holder['user']} on {holder['host']}, "
            f"since {holder['since']}. Wait until it ends; if that host is gone for good, remove {path}."
        )


class ActionModule(ActionBase):
    """Take the lock for the running ``ansible-playbook``; it ends with that process, however it ends."""

    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Return the result of the task."""
        result = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec({"path": {"type": "path", "required": True}, "former_path": {"type": "path"}})
        path = Path(options["path"])
        if not Path(self._task.args["path"]).is_absolute():
            raise AnsibleActionFail(f"path is {self._task.args['path']!r}: give an absolute path")
        if options["former_path"]:
            self._end_former(Path(options["former_path"]))
        if self._task.check_mode and not path.exists():
            return {**result, "changed": False}
        try:
            make_private_folder(path.parent)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise AnsibleActionFail(
                f"path is {str(path)!r}, and no lock can be kept there ({error.strerror}): name a file in a folder that you may write to"
            ) from None  # Ansible would say the reason twice
        with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # held for the next lines only: the record below is the lock
            mine = os.getppid()  # the worker's parent is ansible-playbook itself
            _refuse_another(path, file.read())
            if not self._task.check_mode:
                record = {
                    "pid": mine,
                    "started_at": _started_at(mine),
                    "host": socket.gethostname(),
                    "user": getpass.getuser(),
                    "since": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                }
                file.seek(0)
                file.truncate()
                json.dump(record, file)
        return {**result, "changed": False}

    def _end_former(self, path: Path) -> None:
        """Fail if a run of an earlier version holds its lock; remove the file, which nothing reads any more, otherwise."""
        try:
            _refuse_another(path, path.read_text(encoding="utf-8"))
            if not self._task.check_mode:
                path.unlink()
        except (OSError, UnicodeDecodeError):
            pass  # no file, or none that an earlier version wrote
