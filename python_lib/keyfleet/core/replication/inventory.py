# SPDX-License-Identifier: MIT
"""The replications that the hosts of a deployment say together, and what is wrong with them; found from the inventory alone, pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..connect.values import split_address
from ..errors import KeyfleetError
from ..topology.validation import mixed_tls
from .validation import parse_desired

OF_ALL = ("primary", "force", "min_replicas_to_write", "wait_seconds")
FEWEST_MEMBERS = 2
DEFAULT_INSTANCE = "default"


def service_of(deployment: str, name: str) -> str:
    """Return the name of the replication that the instances *name* form, as profiles name them."""
    return deployment if name == DEFAULT_INSTANCE else f"{deployment}-{name}"


def peers_of(
    deployment: str, nodes: Sequence[Mapping[str, Any]], own: Sequence[Mapping[str, Any]], sentinels: int
) -> dict[str, dict[str, Any]]:
    """
    Return, by instance of a host, the other members of its replication, as `service.start_role.Peers`; none for one that is alone.

    Args:
        nodes, own: ``name`` and ``address`` of the instances that stay in the deployment, and of those of the host.
        sentinels: Number of Sentinels.
    """
    found = {}
    for node in own:
        others = [one["address"] for one in nodes if one["name"] == node["name"] and one["address"] != node["address"]]
        if others:
            service = service_of(deployment, node["name"])
            found[node["name"]] = {"service": service, "own": node["address"], "others": others, "sentinels": sentinels}
    return found


def groups_of(deployment: str, hosts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Return ``service``, ``members``, ``retired`` and ``min_replicas_to_write`` of each replication.

    Args:
        hosts: What each host says: ``instances`` (each with its ``name`` and ``address``), ``is_retired``, and OF_ALL.
    """
    names = dict.fromkeys(instance["name"] for host in hosts.values() for instance in host["instances"])
    groups: list[dict[str, Any]] = []
    if not hosts:
        return groups
    first = next(iter(hosts.values()))
    for name in names:
        found: dict[bool, list[str]] = {False: [], True: []}
        for host in hosts.values():
            found[host["is_retired"]] += [one["address"] for one in host["instances"] if one["name"] == name]
        replicas, wanted = len(found[False]) - 1, int(first["min_replicas_to_write"])
        groups.append(
            {
                "service": service_of(deployment, name),
                "members": found[False],
                "retired": found[True],
                # With one replica a failure of it would stop all writes.
                "min_replicas_to_write": wanted if wanted >= 0 else int(replicas > 1),
            }
        )
    return groups


def inventory_problems(deployment: str, hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return why the hosts of a deployment cannot be a replication, a sentence each; arguments as for `groups_of`."""
    found = [*_differing(deployment, hosts), *mixed_tls(deployment, hosts)]
    found += [*_shared_addresses(deployment, hosts), *_unreachable(deployment, hosts)]
    return found or list(_impossible(deployment, hosts))


def _differing(deployment: str, hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name in OF_ALL:
        said = {host: values[name] for host, values in hosts.items()}
        if len({str(value) for value in said.values()}) > 1:
            each = ", ".join(f"{value} on {host}" for host, value in said.items())
            yield f"redis_replication_{name} differs within the deployment {deployment}: {each}. Give all its hosts the same"


def _shared_addresses(deployment: str, hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    taken: dict[str, str] = {}
    for name, host in hosts.items():
        for instance in host["instances"]:
            server = f"{name}/{instance['name']}"
            other = taken.setdefault(instance["address"], server)
            if other != server:
                yield (
                    f"the deployment {deployment} has {other} and {server} at the same place, {instance['address']}: let each host bind to "
                    "an address of its own that the others reach (redis_server_bind), or give the instances other ports"
                )


def _unreachable(deployment: str, hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield which hosts the others cannot reach, since they listen on loopback."""
    on_loopback = {name: any(_is_loopback(one["address"]) for one in host["instances"]) for name, host in hosts.items()}
    if any(on_loopback.values()) and not all(on_loopback.values()):
        names = ", ".join(name for name, is_loopback in on_loopback.items() if is_loopback)
        yield f"redis_server_bind of {names} has loopback alone, where the other hosts of {deployment} cannot reach it: name an address"


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(split_address(address)[0]).is_loopback
    except ValueError:
        return False


def _impossible(deployment: str, hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    staying = [host for host in hosts.values() if not host["is_retired"]]
    first = next(iter(hosts.values()))
    for group in groups_of(deployment, hosts):
        what = f"the replication {group['service']} of the deployment {deployment}"
        if len(group["members"]) < (1 if group["retired"] else FEWEST_MEMBERS):  # one that is left becomes a single node next
            yield (
                f"{what} has {len(group['members'])} instances on {len(staying)} hosts, and redis_topology is 'replication', which needs "
                f"{FEWEST_MEMBERS} or more: add hosts with this instance, or use redis_topology 'single'"
            )
            continue
        primary = first["primary"] if first["primary"] in group["members"] else None
        try:
            parse_desired(
                group["members"],
                group["retired"],
                service=group["service"],
                primary=primary,
                min_replicas_to_write=group["min_replicas_to_write"],
            )
        except KeyfleetError as error:
            yield f"{what} is not possible: {error}"
    everyone = [one["address"] for host in staying for one in host["instances"]]
    if first["primary"] and first["primary"] not in everyone:
        yield f"redis_replication_primary is {first['primary']!r}; the addresses of {deployment} are {', '.join(everyone)}"
