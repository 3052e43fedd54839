# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role redis_cluster. Not for other playbooks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..module_utils.keyfleet.cluster.inventory import cluster_options, inventory_problems


def cluster_hosts(hosts: Mapping[str, Any], deployment: str) -> dict[str, Any]:
    """
    Return what the hosts of a deployment say, those that leave last: any other one can do the work.

    Args:
        hosts: By name, what ``validate.yml`` of the role registered; those of other topologies have skipped it.
    """
    found = [(name, said) for name, said in hosts.items() if said.get("deployment") == deployment]
    return dict(sorted(found, key=lambda pair: bool(pair[1]["is_retired"])))


def cluster_problems(hosts: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with each deployment that is a cluster and is known as a whole; arguments as for `cluster_hosts`."""
    deployments = dict.fromkeys(said["deployment"] for said in hosts.values() if "deployment" in said)
    clusters = {name: cluster_hosts(hosts, name) for name in deployments}
    whole = {name: members for name, members in clusters.items() if not any(host["is_partial"] for host in members.values())}
    return [problem for name, members in whole.items() for problem in inventory_problems(name, members)]


def cluster_module(hosts: Mapping[str, Any], deployment: str) -> dict[str, Any]:
    """Return the options of the module redis_cluster for a deployment; arguments as for `cluster_hosts`."""
    return cluster_options(cluster_hosts(hosts, deployment))


def cluster_handovers(nodes: Iterable[Mapping[str, Any]], hosts: Collection[str]) -> list[dict[str, str]]:
    """Return the nodes of *hosts*, all nodes if it is empty, as the module redis_turn takes them; *nodes* as of `cluster_module`."""
    chosen = [node for node in nodes if not hosts or node["host"] in hosts]
    return [{"address": node["address"], "host": node["host"], "name": node["address"]} for node in chosen]


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "cluster_hosts": cluster_hosts,
            "cluster_problems": cluster_problems,
            "cluster_module": cluster_module,
            "cluster_handovers": cluster_handovers,
        }
