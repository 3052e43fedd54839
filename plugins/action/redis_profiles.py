# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the connection profiles of a host with the inventory, and write those that differ; runs without a connection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils.keyfleet.errors import FilesError, RefusedError
from ..module_utils.keyfleet.host import file_entries, files
from ..module_utils.keyfleet.host.folders import folder_problem
from ..module_utils.keyfleet.profile.names import Owner, deployment_problem, env_path, host_problem
from ..module_utils.keyfleet.profile.plan import Desired, ProfilePlan, candidates, foreign_problems, plan_profiles
from ..module_utils.keyfleet.profile.validation import address_problem, profile_problems
from ..module_utils.keyfleet.profile.values import at_address

OPTIONS: dict[str, dict[str, Any]] = {
    "deployment": {"type": "str", "required": True},
    "host": {"type": "str", "default": ""},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "path": {"type": "str", "required": True},
    "forms_folder": {"type": "str", "required": True},
    "own_folders": {"type": "list", "elements": "str", "default": []},
    "instances": {"type": "list", "elements": "dict", "default": []},
    "absent": {"type": "list", "elements": "str", "default": []},
    "kept": {"type": "list", "elements": "str", "default": []},
    "knows_all": {"type": "bool", "default": False},
    "address": {"type": "str", "default": ""},
    "key_prefix": {"type": "str", "default": ""},
    "ca": {"type": "str", "default": ""},
    "ca_path": {"type": "str", "default": ""},
    "tls_server_name": {"type": "str", "default": ""},
    "forms": {"type": "list", "elements": "str", "default": []},
    "users": {"type": "list", "elements": "dict", "default": []},
    "ecs_secret_arns": {"type": "dict", "default": {}},
    "only_validate": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Render, compare, write."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """Return the result of the task; no diff shows what a file with a password holds."""
        result = super().run(tmp, task_vars)
        _unused, options = self.validate_argument_spec(OPTIONS)
        problems = list(_place_problems(options))
        if problems:
            raise AnsibleActionFail("; ".join(problems))
        desired = _desired(options)
        problems = profile_problems(desired.instances, desired.forms, desired.users, desired.secret_arns)
        if problems:
            raise AnsibleActionFail("; ".join(problems))
        texts = _read(desired)
        problems = foreign_problems(desired, texts)
        if problems:
            raise AnsibleActionFail("; ".join(problems))
        wanted = plan_profiles(desired, texts)
        check = self._task.check_mode or options["only_validate"]
        try:
            planned = files.plan(file_entries.parse(_entries(options, wanted)), check=check)
            if not check:
                planned.apply()
        except (FilesError, RefusedError) as error:
            raise AnsibleActionFail(f"the connection profiles cannot be written: {error}") from None
        if options["only_validate"]:
            return {**result, "changed": False}
        diffs = {"diff": [diff for change in planned.changes for diff in change.diffs()]} if self._task.diff else {}
        return {**result, "changed": bool(planned.changes), "changed_paths": planned.changed_paths, "notes": list(wanted.notes), **diffs}


def _place_problems(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the names, and with the places where files are to be."""
    problems = (deployment_problem(options["deployment"]), host_problem(options["host"]), address_problem(options["address"]))
    found = [problem for problem in problems if problem]
    path = options["path"]
    problem = _folder_problem(str(PurePosixPath(path).parent), options["own_folders"])
    if problem or not PurePosixPath(path).suffix or Path(path).is_dir():
        found.append(
            f"redis_endpoint_path is {path!r}, and must be the absolute path of a file, with an ending such as '.env', in a folder that "
            f"exists on the controller and can be written{problem and ': '}{problem}. An inventory that is no file has no folder of its "
            "own; set the variable then."
        )
    problem = _folder_problem(options["forms_folder"], options["own_folders"]) if options["forms"] else ""
    if problem:
        found.append(
            f"redis_endpoint_forms_folder is {options['forms_folder']!r}, and must be the absolute path of a folder that exists on the "
            f"controller and can be written: {problem}."
        )
    return found


def _folder_problem(folder: str, own: list[str]) -> str:
    """Return why files cannot be made in a folder, which exists or is made by the role; empty if they can."""
    if not folder.startswith("/"):
        return "it is no absolute path"
    return folder_problem(folder, must_exist="/" if folder in own else folder)


def _desired(options: Mapping[str, Any]) -> Desired:
    ca_file = options["ca_path"] or (_ca_file(options) if options["ca"] else "")  # without one, those of the system count
    named = options["tls_server_name"]
    instances = [
        {**endpoint, "ca_file": ca_file, "tls_server_name": endpoint.get("tls_server_name") or named}
        for endpoint in (at_address(endpoint, options["address"]) for endpoint in options["instances"])
    ]
    taken = ("deployment", "host", "hosts", "absent", "kept", "knows_all", "key_prefix", "forms", "users", "ca")
    return Desired(
        path=PurePosixPath(options["path"]),
        folder=PurePosixPath(options["forms_folder"]),
        secret_arns=options["ecs_secret_arns"],
        instances=instances,
        **{name: options[name] for name in taken},
    )


def _read(desired: Desired) -> dict[str, str]:
    """Return what the files hold that may be profiles of the deployment; a link is none."""
    folders = {str(folder): Path(folder) for folder in (desired.path.parent, desired.folder)}
    try:
        names = {name: [path.name for path in folder.iterdir()] for name, folder in folders.items() if folder.is_dir()}
    except OSError as error:
        raise AnsibleActionFail(f"{error.filename} cannot be read ({error.strerror}): the connection profiles are kept there") from None
    texts = {}
    for place in sorted(candidates(desired, names)):
        path = Path(place)
        if path.is_symlink() or not path.is_file():
            continue
        try:
            texts[place] = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise AnsibleActionFail(f"{place} cannot be read ({error.strerror}): profiles belong to the user who runs Ansible") from None
    return texts


def _ca_file(options: Mapping[str, Any]) -> str:
    """Return where the certificates are written that clients of the host trust: beside the env file of its instance ``default``."""
    return str(PurePosixPath(env_path(options["path"], Owner("default", host=options["host"]))).with_suffix(".ca.pem"))


def _entries(options: Mapping[str, Any], wanted: ProfilePlan) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = [{"path": path, "state": "directory", "mode": "0700"} for path in options["own_folders"]]
    if any(endpoint.get("tls", "off") != "off" for endpoint in options["instances"]):
        entries += [{"path": _ca_file(options), "content": options["ca"], "mode": "0644"}] if options["ca"] else []
    elif options["knows_all"]:
        entries.append({"path": _ca_file(options), "state": "absent"})
    for file in wanted.files:
        if file.content is None:
            entries.append({"path": file.path, "state": "absent"})
        elif file.secret:
            entries.append({"path": file.path, "secret_content": file.content, "mode": "0600"})
        else:
            entries.append({"path": file.path, "content": file.content, "mode": "0644"})
    return entries
