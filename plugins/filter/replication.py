# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role redis_replication. Not for other playbooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..module_utils.keyfleet.connect.values import split_address
from ..module_utils.keyfleet.replication.inventory import groups_of, inventory_problems, peers_of, service_of


def replication_hosts(hosts: Mapping[str, Any], deployment: str) -> dict[str, Any]:
    """
    Return what the hosts of a deployment say.

    Args:
        hosts: By name, what ``validate.yml`` of the role registered; those of other topologies have skipped it.
    """
    return {name: said for name, said in hosts.items() if said.get("deployment") == deployment}


def replication_problems(hosts: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with each deployment that is a replication; arguments as for `replication_hosts`."""
    deployments = dict.fromkeys(said["deployment"] for said in hosts.values() if "deployment" in said)
    return [problem for name in deployments for problem in inventory_problems(name, replication_hosts(hosts, name))]


def replication_groups(hosts: Mapping[str, Any], deployment: str) -> list[dict[str, Any]]:
    """Return the replications of a deployment, as options of the module redis_replication; arguments as for `replication_hosts`."""
    return groups_of(deployment, replication_hosts(hosts, deployment))


def replication_peers(
    nodes: Sequence[Mapping[str, Any]], own: Sequence[Mapping[str, Any]], deployment: str, sentinels: int
) -> dict[str, dict[str, Any]]:
    """Return the other members of the replication of each instance of a host; arguments as for `peers_of`."""
    return peers_of(deployment, nodes, own, sentinels)


def replication_endpoints(
    endpoints: Sequence[Mapping[str, Any]], report: Mapping[str, Any], sentinels: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """
    Return where applications reach the replication of each instance: its primary, or the Sentinels that know it.

    Args:
        endpoints: From `server_endpoints`.
        report: ``redis_replication_report``.
        sentinels: ``redis_sentinel_report``.
    """
    is_watched = sentinels["addresses"] and (not sentinels["watch"] or report["deployment"] in sentinels["watch"])
    found = []
    for endpoint in endpoints:
        service = service_of(report["deployment"], endpoint["name"])
        primary = report["services"].get(service, {}).get("primary")
        host, port = split_address(primary) if primary else (endpoint["host"], endpoint["port"])
        watched = (
            {"sentinels": sentinels["addresses"], "service": service, "sentinel_password": sentinels["password"]} if is_watched else {}
        )
        found.append({**endpoint, "host": host, "port": port, **watched})
    return found


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "replication_hosts": replication_hosts,
            "replication_problems": replication_problems,
            "replication_groups": replication_groups,
            "replication_peers": replication_peers,
            "replication_endpoints": replication_endpoints,
        }
