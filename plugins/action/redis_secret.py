# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a secret kept on the controller, or make it; runs without a connection."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# 32 bytes of randomness as 43 characters of A-Z a-z 0-9 - _: needs no quoting in a URL, a shell or an env file.
SECRET_BYTES = 32


def _read(path: Path) -> Optional[str]:
    try:
        text = path.read_text(encoding="utf-8").rstrip("\n")
    except FileNotFoundError:
        return None
    if not text:
        raise AnsibleActionFail(f"{path} is empty: put the secret back, or remove the file if no server uses it")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise AnsibleActionFail(f"{path} can be read by others: set its mode to 0600")
    return text


def _create(path: Path) -> str:
    """Make the secret; when another process made it meanwhile, theirs counts."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        secret = _read(path) or secret
    finally:
        draft.unlink()
    return secret


class ActionModule(ActionBase):
    """Read the secret in a file of the controller, or make it."""

    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Return the result of the task, the secret as ``secret`` (None if there is none)."""
        result = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(
            {"path": {"type": "path", "required": True}, "create": {"type": "bool", "default": True}},
        )
        path = Path(options["path"])
        secret = _read(path)
        missing = secret is None
        if missing and options["create"]:
            # A secret that is never written stands in for the one that a run would make.
            secret = secrets.token_urlsafe(SECRET_BYTES) if self._task.check_mode else _create(path)
        return {**result, "changed": missing and options["create"], "secret": secret}
