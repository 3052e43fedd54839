# SPDX-License-Identifier: MIT
"""What is wrong with the hosts of a deployment taken together, found from the inventory alone; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SINGLE, REPLICATION, CLUSTER = TOPOLOGIES = ("single", "replication", "cluster")


def topology_problems(deployment: str, hosts: Mapping[str, Mapping[str, Any]], left_out: Sequence[str] = ()) -> list[str]:
    """
    Return what is wrong with the hosts of a deployment taken together, a sentence each.

    Args:
        hosts: What the inventory says of each host of the deployment that takes part in the run: ``topology``.
        left_out: Hosts of the deployment that the run leaves out, because of ``--limit``.
    """
    return [*_mixed(deployment, hosts), *_limited(deployment, hosts, left_out)]


def _mixed(deployment: str, hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Return whether hosts disagree: a node that is no member would be taken for one."""
    said = {topology: [name for name, host in hosts.items() if host["topology"] == topology] for topology in TOPOLOGIES}
    found = {topology: names for topology, names in said.items() if names}
    if len(found) > 1:
        each = "; ".join(f"{topology} on {', '.join(names)}" for topology, names in found.items())
        yield f"redis_topology differs within the deployment {deployment}: {each}. Give all hosts the same, or another redis_deployment"


def _limited(deployment: str, hosts: Mapping[str, Mapping[str, Any]], left_out: Sequence[str]) -> Iterator[str]:
    """Return whether members are left out: the plan of a topology needs all of them."""
    topologies = sorted({host["topology"] for host in hosts.values()} - {SINGLE})
    if topologies and left_out:
        yield (
            f"--limit leaves out {', '.join(left_out)} of the deployment {deployment}, and redis_topology is {topologies[0]!r}: run it on "
            "all hosts of the deployment, or with --tags verify"
        )


def mixed_tls(deployment: str, hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """
    Return whether some servers of a topology speak TLS and others do not: they would not reach each other.

    Args:
        hosts: What each host says: ``instances``, each with its ``name`` and ``tls``.
    """
    said = {f"{name}/{one['name']}": one.get("tls", "off") for name, host in hosts.items() for one in host["instances"]}
    if len(set(said.values())) > 1:
        each = ", ".join(f"{tls!r} on {server}" for server, tls in said.items())
        yield f"tls differs within the deployment {deployment}: {each}. Give all its instances the same, such as with redis_server_tls"
