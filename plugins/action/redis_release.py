# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy an archive of the controller to the host, where the module needs it and only there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils.keyfleet.install.releases import file_sha256, wrong_sum

MODULE = "keyfleet.redis.redis_release"


class ActionModule(ActionBase):
    """Ask the module; if it has to build from a file of the controller, check the file, copy it and ask again."""

    _supports_check_mode = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Return the result of the module."""
        super().run(tmp, task_vars)
        given = dict(self._task.args)
        result: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=given, task_vars=task_vars)
        if result.get("failed") or not result.get("archive_needed"):
            return result
        archive = str(given["archive"])
        if not Path(archive).is_file():
            raise AnsibleActionFail(f"redis_server_archive_source is {archive!r}, which is no file on the controller")
        found = file_sha256(archive)
        if found != given["sha256"]:
            raise AnsibleActionFail(wrong_sum(str(given["sha256"]), found))
        if self._task.check_mode:
            return result
        self._make_tmp_path()
        copied = self._transfer_file(archive, self._connection._shell.join_path(self._connection._shell.tmpdir, "archive"))
        try:
            return dict(self._execute_module(module_name=MODULE, module_args={**given, "copied_archive": copied}, task_vars=task_vars))
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
