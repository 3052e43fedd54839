# SPDX-License-Identifier: MIT
"""The cluster that the hosts of a deployment say together, and what is wrong with it; found from the inventory alone, pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from ..connect.values import split_address
from ..errors import KeyfleetError
from ..topology.validation import mixed_tls
from .shards import count_shards
from .validation import parse_desired, parse_limits

OF_ALL = ("replicas", "shards", "rebalance", "assign_lost_slots", "batch_keys", "batch_slots", "wait_seconds")


def cluster_options(hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """
    Return the options of the module redis_cluster for one deployment.

    Args:
        hosts: What each host says: ``instances`` (each with ``address`` and ``announced``), ``is_retired``, ``zone``, ``weight``, and
            OF_ALL.
    """
    nodes = [
        {"address": instance["address"], "host": name, "zone": host["zone"], "weight": float(host["weight"])}
        for name, host in hosts.items()
        if not host["is_retired"]
        for instance in host["instances"]
    ]
    leaving = [instance for host in hosts.values() if host["is_retired"] for instance in host["instances"]]
    announced = {node["address"]: node["announced"] for node in leaving if node["announced"] != node["address"]}
    first = next(iter(hosts.values()))
    return {
        "nodes": nodes,
        "retired": [node["address"] for node in leaving],
        "announced": announced,
        **{name: first[name] for name in OF_ALL},
    }


def inventory_problems(deployment: str, hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return why the hosts of a deployment cannot be a cluster, a sentence each; arguments as for `cluster_options`."""
    found = [*_differing(deployment, hosts), *mixed_tls(deployment, hosts)]
    found += [*_shared_addresses(deployment, hosts), *_unreachable(deployment, hosts)]
    return found or list(_impossible(deployment, hosts))


def _differing(deployment: str, hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name in OF_ALL:
        said = {host: values[name] for host, values in hosts.items()}
        if len({str(value) for value in said.values()}) > 1:
            each = ", ".join(f"{value} on {host}" for host, value in said.items())
            yield f"redis_cluster_{name} differs within the deployment {deployment}: {each}. Give all its hosts the same"


def _shared_addresses(deployment: str, hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield which nodes are reached at one address, or have a bus port that is another's."""
    taken: dict[tuple[str, int], str] = {}
    for name, host in hosts.items():
        for instance in host["instances"]:
            address, port = split_address(instance["address"])
            node, places = f"{name}/{instance['name']}", [(address, port), (address, instance["bus_port"])]
            shared = next((place for place in places if place in taken), None)
            if shared is not None:
                yield (
                    f"the deployment {deployment} has {taken[shared]} and {node} at the same place, {address}:{shared[1]}: let each host "
                    "bind to an address of its own that the others reach (redis_server_bind), or give the nodes other ports"
                )
            taken.update(dict.fromkeys(places, node))


def _unreachable(deployment: str, hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield which hosts the others cannot reach, since they listen on loopback."""
    on_loopback = {name: all(_is_loopback(instance["address"]) for instance in host["instances"]) for name, host in hosts.items()}
    if any(on_loopback.values()) and not all(on_loopback.values()):
        names = ", ".join(name for name, is_loopback in on_loopback.items() if is_loopback)
        yield f"redis_server_bind of {names} has loopback alone, where the other nodes of {deployment} cannot reach it: name an address"


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(split_address(address)[0]).is_loopback
    except ValueError:
        return False


def _impossible(deployment: str, hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    options = cluster_options(hosts)
    limits = [options.pop(name) for name in ("batch_keys", "batch_slots", "wait_seconds")]
    try:
        parse_limits(*limits)
        desired = parse_desired(**options)
        count_shards(len(desired.nodes), desired)
    except KeyfleetError as error:
        yield f"the deployment {deployment} cannot be a cluster (redis_cluster_*, and the instances of its hosts): {error}"
