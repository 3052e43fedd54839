# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the roles and playbooks about hosts. Not for other playbooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.keyfleet.host.folders import folder_problem
from ..module_utils.keyfleet.host.identity import shared_ports, twins
from ..module_utils.keyfleet.host.validation import kernel_problems


def host_conflicts(reports: Mapping[str, Mapping[str, Any]], host: str, root: str) -> list[str]:
    """
    Return how other inventory names of its machine are in the way of a host: with the same root, or with the same port.

    Args:
        reports: Results of redis_preflight, by inventory name; hosts that were not asked have skipped it.
        root: ``redis_server_root`` of *host*.
    """
    asked = {name: report for name, report in reports.items() if "place" in report}
    same_root = twins({name: report["place"] for name, report in asked.items()})
    found = [
        f"{' and '.join(names)} are one machine with one redis_server_root ({root}): list all of its instances under one name, or give "
        "each name another redis_server_root"
        for names in same_root
        if host in names
    ]
    return [*found, *shared_ports(asked)]


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"folder_problem": folder_problem, "kernel_problems": kernel_problems, "host_conflicts": host_conflicts}
