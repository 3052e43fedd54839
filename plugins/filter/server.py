# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role redis_server: variables in, what the modules take out. Not for other playbooks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Optional

from ansible.errors import AnsibleFilterError

from ..module_utils.keyfleet.instance.advice import advice
from ..module_utils.keyfleet.instance.config import starter_digest
from ..module_utils.keyfleet.instance.log_rotation import rotation_text
from ..module_utils.keyfleet.instance.model import OPEN_FILES, Instance, from_variables, module_options, with_password
from ..module_utils.keyfleet.instance.order import next_restart
from ..module_utils.keyfleet.instance.validation import problems
from ..module_utils.keyfleet.layout import UNIT_FILE, Layout, runner_spec


def server_problems(variables: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the variables of the role; empty when nothing is."""
    return problems(variables)


def server_advice(
    variables: Mapping[str, Any],
    health: list[dict[str, Any]],
    memory: Mapping[str, Any],
    service_manager: str,
) -> list[str]:
    """
    Return what the operator should think about, a line each.

    Args:
        health: Results of the module redis_health, a loop over names.
        memory: As redis_preflight returns it; ``total_bytes`` is 0 if it is not known.
    """
    found: dict[str, dict[str, Any]] = {}
    for result in health:
        checks = {check["name"]: check["found"] for check in result["checks"]}
        if "memory" in checks:
            found[result["item"]] = {**checks.get("clients", {}), **checks["memory"]}
    options = {"manager": service_manager, "root": variables["root"], "keep_days": int(variables["log_keep_days"])}
    return advice(from_variables(variables, memory["default_maxmemory"]), found, memory["total_bytes"], **options)


def server_plan(
    variables: Mapping[str, Any],
    generated_password: Optional[str] = None,
    default_maxmemory: Optional[Mapping[str, int]] = None,
    host: Optional[Mapping[str, Any]] = None,
    unit: str = "",
) -> list[dict[str, Any]]:
    """
    Return the instances as the modules redis_preflight, redis_instances and redis_restart take them.

    Args:
        variables: The role's variables.
        generated_password: Of instances that have none of their own; None while it is not known.
        default_maxmemory: Bytes by name, of instances that name no ``maxmemory``.
        host: As for `server_files`; with it, each instance also says by which unit or specification it is started.
        unit: Text of the systemd unit.
    """
    found = []
    for instance in from_variables(variables, default_maxmemory):
        starter = "" if host is None else starter_digest(_starter(Layout(variables["root"], instance.name), host, unit))
        found.append(module_options(replace(with_password(instance, generated_password), starter=starter)))
    return found


def public_plan(plan: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Return ``name``, ``port`` and ``directives`` of the present instances, without any secret and without users.

    Args:
        plan: From `server_plan`.
    """
    return [{name: options[name] for name in ("name", "port", "directives")} for options in plan if options["state"] == "present"]


def _starter(layout: Layout, host: Mapping[str, Any], unit: str) -> str:
    """Return the text of what starts an instance: the unit that all share, or its own specification for the runner."""
    if host["service_manager"] == "systemd":
        return unit
    user = {} if host["unprivileged"] else {"user": host["user"], "group": host["group"]}
    return json.dumps(runner_spec(layout, host["binary"], nofile=OPEN_FILES, **user), indent=2) + "\n"


def server_files(
    variables: Mapping[str, Any],
    host: Mapping[str, Any],
    header: str,
    starter: str,
    generated_password: Optional[str] = None,
    default_maxmemory: Optional[Mapping[str, int]] = None,
) -> list[dict[str, Any]]:
    """
    Return the files and directories of the host as the module redis_files takes them.

    What says how an instance finds its data, its configuration and users, is not among them: redis_instances writes it in its time.

    Args:
        variables: The role's variables.
        host: ``service_manager``, ``unprivileged``, ``user``, ``group`` and ``binary``.
        header: Comment lines for the top of each file.
        starter: Text of the systemd unit, or of the runner for the manager ``process``.
        generated_password, default_maxmemory: As for `server_plan`.
    Raises:
        AnsibleFilterError: if an instance has no password yet; a server is never opened for want of one.
    """
    # What the server only reads belongs to root where root manages the host; without root everything is one user's.
    ours = {} if host["unprivileged"] else {"owner": "root", "group": host["group"]}
    theirs = {} if host["unprivileged"] else {"owner": host["user"], "group": host["group"]}
    root = variables["root"]
    place = UNIT_FILE if host["service_manager"] == "systemd" else Layout(root, "any").runner_file
    present = [instance for instance in from_variables(variables, default_maxmemory) if instance.present]
    if not present:  # the module redis_instances removes the starter with the last instance
        return []
    found = [
        *({"path": str(folder), "state": "directory", "mode": "0755"} for folder in _parents(root, place)),
        {"path": place, "content": starter, "mode": "0644"},
    ]
    for instance in present:
        complete = with_password(instance, generated_password)
        if complete.password is None:
            raise AnsibleFilterError(f"instance {instance.name} has no password: none is given, and none was made")
        found += _instance_files(complete, {**variables, **host}, header, ours, theirs)
    return found


def server_next_restart(waiting: Sequence[Sequence[str]], hosts: Sequence[str]) -> dict[str, str]:
    """
    Return ``host`` and ``name`` of the instance that restarts next; both empty if none waits.

    Args:
        waiting: Names of the instances that still wait, for each of *hosts*.
    """
    host, name = next_restart(dict(zip(hosts, waiting))) or ("", "")  # noqa: B905 - Python 3.9
    return {"host": host, "name": name}


def _instance_files(
    instance: Instance, place: Mapping[str, Any], header: str, ours: dict[str, Any], theirs: dict[str, Any]
) -> list[dict[str, Any]]:
    layout = Layout(place["root"], instance.name)
    found = [
        {"path": layout.config_dir, "state": "directory", **ours, "mode": "0750"},
        {"path": layout.data_dir, "state": "directory", **theirs, "mode": "0750"},
        {"path": layout.log_dir, "state": "directory", **theirs, "mode": "0750"},
    ]
    if place["service_manager"] == "process":
        found.append({"path": layout.run_dir, "state": "directory", **theirs, "mode": "0755"})
        found.append({"path": layout.spec_file, "content": _starter(layout, place, ""), **ours, "mode": "0640"})
    if instance.log == "file" and int(place["log_keep_days"]):
        account = None if place["unprivileged"] else (place["user"], place["group"])
        rotation = rotation_text(layout, int(place["log_keep_days"]), header, account)
        found.append({"path": layout.rotation_file, "content": rotation, "mode": "0644"})
    else:
        found.append({"path": layout.rotation_file, "state": "absent"})
    return [*found, {"path": layout.server_file, "state": "seed", "content": "", **theirs, "mode": "0600"}]


def _parents(root: str, place: str) -> list[PurePosixPath]:
    """Return the folders that a bare root lacks, outermost first; those of the system itself are there."""
    wanted = {PurePosixPath(place).parent, PurePosixPath(Layout(root, "any").rotation_file).parent}
    for top in ("config_dir", "data_dir", "log_dir", "run_dir"):
        wanted.add(PurePosixPath(getattr(Layout(root, "any"), top)).parent)
    below = {folder for leaf in wanted for folder in (leaf, *leaf.parents) if folder.is_relative_to(root)}
    standard = {
        PurePosixPath(path)
        for path in ("/", "/etc", "/etc/systemd", "/etc/systemd/system", "/var", "/var/lib", "/var/log", "/run", "/usr", "/usr/local")
    }
    return sorted(below - standard, key=lambda folder: len(folder.parts))


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "server_problems": server_problems,
            "server_advice": server_advice,
            "server_plan": server_plan,
            "public_plan": public_plan,
            "server_files": server_files,
            "server_next_restart": server_next_restart,
        }
