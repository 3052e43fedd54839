# SPDX-License-Identifier: MIT
"""
Files and folders of a host beside the configuration of its servers: what starts them, folders, rotation of logs.

What says how an instance finds its data, its configuration and users, is not among them: ``carry_out`` writes it in its time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from ..acl.model import replication_password
from ..host.file_entries import FileEntry, parse
from ..host.files import FilePlan, plan
from ..layout import UNIT_FILE, Layout, runner_spec
from ..service.start_role import peers_text
from ..service.starters import runner_text, start_role_text, unit_text
from .config import HEADER, starter_digest
from .log_rotation import rotation_text
from .maxmemory import Memory
from .model import OPEN_FILES, Host, Instance

# Folders of the system itself.
_STANDARD = frozenset(
    PurePosixPath(path)
    for path in ("/", "/etc", "/etc/systemd", "/etc/systemd/system", "/var", "/var/lib", "/var/log", "/run", "/usr", "/usr/local")
)


def complete(host: Host, instances: Iterable[Instance], memory: Memory) -> list[Instance]:
    """
    Return the instances of the inventory with what the host adds: by what each is started, and its ``maxmemory`` where none is named.

    Args:
        memory: From ``inspect_memory``.
    """
    found = []
    for instance in instances:
        starter = starter_digest(_starter_text(host, host.layout(instance.name)))
        computed = memory.default_maxmemory.get(instance.name) if "maxmemory" not in instance.directives else None
        directives = {**instance.directives, "maxmemory": str(computed)} if computed else instance.directives
        login = replication_password(host.admin_passwords[0]) if host.admin_passwords else ""
        found.append(
            replace(instance, starter=starter, directives=directives, maxmemory_computed=bool(computed), replication_password=login)
        )
    return found


def plan_files(host: Host, instances: Sequence[Instance], keep_days: int, *, check: bool) -> FilePlan:
    """
    Return what is to be done so that the host has its files.

    Args:
        keep_days: How many old logs logrotate keeps; 0 leaves rotation to the operator.
        check: As for ``host.files.plan``.
    Raises:
        RefusedError: naming every path that cannot become what it shall be; nothing was touched.
    """
    return plan(host_files(host, instances, keep_days), check=check)


def host_files(host: Host, instances: Sequence[Instance], keep_days: int) -> list[FileEntry]:
    """
    Return the files and folders as they shall be, in the order in which they are made; none without an instance that shall be present."""
    present = [instance for instance in instances if instance.present]
    if not present:  # the starter goes with the last instance
        return []
    systemd = host.service_manager == "systemd"
    place = UNIT_FILE if systemd else host.layout("any").runner_file
    starter = _unit_text(host) if systemd else runner_text()
    entries: list[dict[str, Any]] = [
        *({"path": str(folder), "state": "directory", "mode": "0755"} for folder in _parents(host.root, place)),
        {"path": host.layout("any").role_program, "content": start_role_text(), "mode": "0644"},
        {"path": place, "content": starter, "mode": "0644"},
    ]
    for instance in present:
        entries += _instance_files(host, instance, keep_days)
    return parse(entries)


def _unit_text(host: Host) -> str:
    return unit_text(host.engine, host.binary, host.user, host.group)


def _starter_text(host: Host, layout: Layout) -> str:
    """Return the text of what starts an instance: the unit that all share, or its own specification for the runner."""
    if host.service_manager == "systemd":
        return _unit_text(host)
    user = {"user": host.user, "group": host.group} if os.geteuid() == 0 else {}
    return json.dumps(runner_spec(layout, host.binary, nofile=OPEN_FILES, **user), indent=2) + "\n"


def _instance_files(host: Host, instance: Instance, keep_days: int) -> list[dict[str, Any]]:
    # What the server only reads belongs to root where root manages the host; without root everything is one user's.
    ours = {"owner": "root", "group": host.group} if os.geteuid() == 0 else {}
    theirs = {"owner": host.user, "group": host.group} if os.geteuid() == 0 else {}
    layout = host.layout(instance.name)
    found: list[dict[str, Any]] = [
        {"path": layout.config_dir, "state": "directory", **ours, "mode": "0750"},
        {"path": layout.data_dir, "state": "directory", **theirs, "mode": "0750"},
        {"path": layout.log_dir, "state": "directory", **theirs, "mode": "0750"},
    ]
    if host.service_manager == "process":
        found.append({"path": layout.run_dir, "state": "directory", **theirs, "mode": "0755"})
        found.append({"path": layout.spec_file, "content": _starter_text(host, layout), **ours, "mode": "0640"})
    if instance.peers:
        found.append({"path": layout.peers_file, "content": peers_text(instance.peers), **ours, "mode": "0640"})
    else:
        found.append({"path": layout.peers_file, "state": "absent"})
    if instance.tls_pem:  # without TLS they go once the server does without them; see the step ``forget_tls``
        found.append({"path": layout.tls_ca_file, "content": instance.tls_ca, **ours, "mode": "0640"})
        found.append({"path": layout.tls_file, "secret_content": instance.tls_pem, **ours, "mode": "0640"})
    if instance.log == "file" and keep_days:
        account = (host.user, host.group) if os.geteuid() == 0 else None
        rotation = rotation_text(layout, keep_days, HEADER, account)
        found.append({"path": layout.rotation_file, "content": rotation, "mode": "0644"})
    else:
        found.append({"path": layout.rotation_file, "state": "absent"})
    return [*found, {"path": layout.server_file, "state": "seed", "content": "", **theirs, "mode": "0600"}]


def _parents(root: str, place: str) -> list[PurePosixPath]:
    """Return the folders that a bare root lacks, outermost first; those of the system itself are there."""
    layout = Layout(root, "any")
    wanted = {PurePosixPath(path).parent for path in (place, layout.role_program, layout.rotation_file)}
    wanted |= {PurePosixPath(folder).parent for folder in (layout.config_dir, layout.data_dir, layout.log_dir, layout.run_dir)}
    below = {folder for leaf in wanted for folder in (leaf, *leaf.parents) if folder.is_relative_to(root)}
    return sorted(below - _STANDARD, key=lambda folder: len(folder.parts))
