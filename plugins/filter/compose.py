# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role redis_compose: the files of a folder that Docker Compose reads. Not for other playbooks."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from ..module_utils.keyfleet.host.identity import twins
from ..module_utils.keyfleet.instance.compose import compose_files

HEADER = "# Ansible managed: role redis_compose of keyfleet.redis"


def compose_entries(
    instances: Sequence[Mapping[str, Any]],
    users: Mapping[str, Sequence[Mapping[str, Any]]],
    folder: str,
    deployment: str,
    engine: str,
    image: str,
    version: str,
) -> list[dict[str, Any]]:
    """
    Return the files as the module redis_files takes them; the password is made once, and kept.

    Args:
        instances: ``name``, ``port`` and public ``directives`` of those that are present.
        users: ``name``, ``rules`` and ``needs_password`` of their users, by the name of the instance.
        folder: Where they are.
        deployment, engine, image, version: As for ``compose.compose_files``.
    """
    hidden = [{"path": path, "state": "directory", "mode": "0700"} for path in _own_folders(folder)]
    with_users = [{**instance, "users": users.get(instance["name"], [])} for instance in instances]
    files = compose_files(deployment, engine, image, version, with_users, HEADER)
    entries = [{"path": f"{folder}/{file.name}", "content": file.content, "mode": "0644"} for file in files]
    password = {"path": f"{folder}/password", "state": "seed", "secret_content": secrets.token_urlsafe(24), "mode": "0600"}
    return [*hidden, *entries, password]


def _own_folders(folder: str) -> list[str]:
    """Return the folders that are keyfleet's to make, outermost first; of a folder of the user's, that alone."""
    top, mark, below = folder.partition("/.keyfleet/")
    if not mark:
        return [folder]
    parts = below.split("/")
    return [f"{top}/.keyfleet", *(f"{top}/.keyfleet/{'/'.join(parts[:count])}" for count in range(1, len(parts) + 1))]


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"compose_entries": compose_entries, "compose_sharing": twins}
