# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the playbooks about what the hosts of a deployment are together. Not for other playbooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.keyfleet.topology import validation


def topology_problems(hosts: Mapping[str, Mapping[str, Any]], left_out: Mapping[str, str]) -> list[str]:
    """
    Return what is wrong with each deployment, as ``topology.validation.topology_problems`` says it.

    Args:
        hosts: What the inventory says of each host of the run: ``deployment`` and ``topology``.
        left_out: Deployment of each host that the run leaves out.
    """
    found = []
    for deployment in sorted({host["deployment"] for host in hosts.values()}):
        members = {name: host for name, host in hosts.items() if host["deployment"] == deployment}
        found += validation.topology_problems(deployment, members, [name for name, other in left_out.items() if other == deployment])
    return found


def topology_waiting(hosts: Mapping[str, Mapping[str, Any]], deployment: str) -> list[dict[str, str]]:
    """
    Return ``host``, ``name`` and ``address`` of each instance of a deployment that must still restart.

    Args:
        hosts: Variables of each host of the run.
    """
    found = []
    for host, variables in hosts.items():
        said, names = variables["__redis_server_validated"], variables.get("__redis_server_waiting", [])
        if said["deployment"] == deployment:
            nodes = [node for node in said["nodes"] if node["name"] in names]
            found += [{"host": host, "name": node["name"], "address": node["address"]} for node in nodes]
    return found


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"topology_problems": topology_problems, "topology_waiting": topology_waiting}
