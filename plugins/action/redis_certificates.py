# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make, renew and check the certificates of all hosts of a play; runs on the controller, without a connection."""

from __future__ import annotations

from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

STATES = ("present", "renewed", "changing", "changed", "dropped", "absent")


class ActionModule(ActionBase):
    """One task for all hosts: each deployment has its folder, and each host its certificate in it."""

    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Return the result of the task: by host what the servers need."""
        result = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(
            {"hosts": {"type": "dict", "required": True}, "state": {"type": "str", "choices": list(STATES), "default": "present"}}
        )
        try:
            from ..plugin_utils.certificate_store import HostRequest, Store, StoreError
        except ImportError as error:
            raise AnsibleActionFail(
                f"certificates need the Python library cryptography on the controller ({error}): pip install 'keyfleet[deploy]', or the "
                "package python3-cryptography"
            ) from None
        requests = [HostRequest.of(host, given) for host, given in options["hosts"].items() if given]
        stores = {request.folder: Store(request.folder, check=self._task.check_mode) for request in requests}
        own = {request.folder for request in requests if request.source == "own"}
        problems: list[str] = []
        moved = False
        for folder, store in stores.items():
            try:
                step = {"changing": store.begin_change, "changed": store.change, "dropped": store.drop}.get(options["state"])
                if step is not None and folder in own:
                    moved = step() or moved
                if options["state"] == "absent":
                    moved = store.remove() or moved
            except StoreError as error:
                problems += error.args
        found: dict[str, dict[str, str]] = {}
        for request in requests if options["state"] != "absent" else ():
            try:
                found[request.host] = stores[request.folder].certificate(request, again=options["state"] == "renewed")
            except StoreError as error:
                problems += [f"{request.host}: {problem}" for problem in error.args]
        changes = [change for store in stores.values() for change in store.changes]
        phases = {request.host: stores[request.folder].phase for request in requests}
        seen = {"hosts": found, "changes": changes, "phases": phases, "state": options["state"]}
        return {**result, "changed": moved or bool(changes), "problems": list(dict.fromkeys(problems)), **seen}
