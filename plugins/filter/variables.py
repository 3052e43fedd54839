# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the playbooks: variables that no role of the collection knows, and which hosts are one deployment."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..plugin_utils.role_specs import role_spec

ROLES = Path(__file__).parents[2] / "roles"
DEPLOYMENT = "redis_deployment"
# Hold for all roles, and so have the prefix of none.
COMMON = (DEPLOYMENT, "redis_topology")
# How alike a name is to one of COMMON, 0 to 1, that was meant to be it.
ALIKE = 0.9


@functools.cache
def known_variables() -> dict[str, set[str]]:
    """Return the public variables that the argument specs of each role document, by role."""
    known = {}
    for spec in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        known[spec.parts[-3]] = {name for options in role_spec(spec.parents[1]).values() for name in options}
    return known


def unknown_variables(names: Iterable[str]) -> list[str]:
    """
    Return what is wrong with the names of a host's variables: those with the prefix of a role that its argument specs do not know.

    Args:
        names: All variables of a host; those without such a prefix are not keyfleet's.
    """
    known, problems = known_variables(), []
    for name in sorted(names):
        role = next((role for role in known if name.startswith(f"{role}_")), None)
        meant = difflib.get_close_matches(name, COMMON, n=1, cutoff=ALIKE) if role is None and name not in COMMON else []
        problems += [f"{name} is no variable of keyfleet: did you mean {one}?" for one in meant]
        if role is None or name in known[role]:
            continue
        close = difflib.get_close_matches(name, known[role], n=1, cutoff=0)
        problems.append(f"{name} is no variable of the role {role}: did you mean {close[0]}? docs/reference/roles/{role}.md lists them all")
    return problems


def deployment_hosts(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], deployment: str) -> list[str]:
    """
    Return those of *hosts* that belong to a deployment.

    Args:
        hostvars: Variables of each host as the inventory states them; without a name it is the deployment ``redis``.
    """
    return [host for host in hosts if _deployment(hostvars[host]) == deployment]


def deployments_of(hosts: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the deployment of each of *hosts*."""
    return {host: _deployment(hostvars[host]) for host in hosts}


def _deployment(variables: Mapping[str, Any]) -> str:
    return str(variables.get("redis_server_deployment") or variables.get(DEPLOYMENT) or "redis")


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"unknown_variables": unknown_variables, "deployment_hosts": deployment_hosts, "deployments_of": deployments_of}
