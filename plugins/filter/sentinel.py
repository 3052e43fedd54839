# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role redis_sentinel, and of the playbooks about what its Sentinels watch. Not for other playbooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..module_utils.keyfleet.acl.model import SENTINEL, sentinel_password
from ..module_utils.keyfleet.connect.values import format_nodes
from ..module_utils.keyfleet.profile.values import client_address
from ..module_utils.keyfleet.replication.inventory import groups_of
from ..module_utils.keyfleet.sentinel import inventory


def sentinel_address(bind: Sequence[str], port: Any, public_address: str) -> str:
    """Return where others reach a Sentinel that listens on *bind*."""
    return format_nodes([(client_address(bind, public_address), int(port))])


def sentinel_announced(bind: Sequence[str]) -> str:
    """Return the address that a Sentinel announces; empty for one that listens on all, which is reached where its connections come from."""
    address = client_address(bind, "*")
    return "" if address == "*" else address


def sentinel_problems(
    hosts: Mapping[str, Mapping[str, Any]], deployments: Sequence[str], elsewhere: Sequence[str], secured: Sequence[str]
) -> list[str]:
    """Return why Sentinels cannot work; see ``sentinel.inventory``."""
    return inventory.sentinel_problems(hosts, deployments, elsewhere, secured)


def sentinel_watches(host: Mapping[str, Any], replications: Sequence[Mapping[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return the option ``watches`` of the module redis_sentinel; see ``sentinel.inventory``."""
    return inventory.watches_of(host, replications, count)


def sentinel_login(admin_password: str) -> dict[str, str]:
    """Return ``username`` and ``password`` as whom Sentinels log in to servers with this password of the administrative user."""
    return {"username": SENTINEL, "password": sentinel_password(admin_password) if admin_password else ""}


def replicated_deployments(hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names of the deployments that are replications; arguments as for `watched_replications`."""
    said = (variables.get("__redis_replication_validated", {}) for variables in hosts.values())
    return list(dict.fromkeys(one["deployment"] for one in said if "deployment" in one))


def secured_deployments(hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names of the deployments that are replications with TLS; arguments as for `watched_replications`."""
    said = [variables.get("__redis_replication_validated", {}) for variables in hosts.values()]
    secured = [one["deployment"] for one in said if any(instance["tls"] != "off" for instance in one.get("instances", ()))]
    return list(dict.fromkeys(secured))


def watched_replications(hosts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Return the replications of all deployments, as redis_sentinel takes them.

    Args:
        hosts: Variables of each host of the play.
    """
    said: dict[str, dict[str, Any]] = {}
    found: dict[str, Any] = {}
    logins: dict[str, Any] = {}
    for name, variables in hosts.items():
        own = variables.get("__redis_replication_validated", {})
        if "deployment" not in own:
            continue
        said.setdefault(own["deployment"], {})[name] = own
        found.update(variables.get("__redis_replication_found", {}))
        logins.setdefault(own["deployment"], variables.get("__redis_replication_login") or {"username": "", "password": ""})
    return [
        {
            "deployment": deployment,
            "service": group["service"],
            "primary": found.get(group["service"], {}).get("primary") or group["members"][0],
            "servers": group["members"],
            **logins[deployment],
        }
        for deployment, members in said.items()
        for group in groups_of(deployment, members)
    ]


def sentinels_of(report: Mapping[str, Any], deployment: str) -> list[str]:
    """Return the addresses of the Sentinels that watch a deployment, or shall; *report* is ``redis_sentinel_report``."""
    return list(report["addresses"]) if not report["watch"] or deployment in report["watch"] else []


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "sentinel_address": sentinel_address,
            "sentinel_announced": sentinel_announced,
            "sentinel_problems": sentinel_problems,
            "sentinel_watches": sentinel_watches,
            "sentinel_login": sentinel_login,
            "sentinels_of": sentinels_of,
            "watched_replications": watched_replications,
            "replicated_deployments": replicated_deployments,
            "secured_deployments": secured_deployments,
        }
