# SPDX-License-Identifier: MIT
"""The Sentinels that hosts say together, and what is wrong with them; found from the inventory alone, pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

OF_ALL = ("watch", "quorum", "state_folder")
PORTS = range(1024, 65536)


def sentinel_problems(
    hosts: Mapping[str, Mapping[str, Any]], deployments: Sequence[str], elsewhere: Sequence[str] = (), secured: Sequence[str] = ()
) -> list[str]:
    """
    Return why Sentinels cannot work, a sentence each.

    Args:
        hosts: What each host with a Sentinel says: ``address``, ``port``, ``quorum``, ``watch``, ``state_folder``, and times.
        deployments: Names of the deployments that are replications.
        elsewhere: Hosts with a Sentinel that no play of servers reaches.
        secured: Those of *deployments* whose servers speak TLS.
    """
    found = [
        f"{name} is in the group redis_sentinel and not in redis: add it there, with redis_server_instances: [] if it shall run no server"
        for name in elsewhere
    ]
    return [*found, *_differing(hosts), *_of_hosts(hosts), *_of_watches(hosts, deployments), *_of_tls(hosts, secured)] if hosts else found


def majority(count: int) -> int:
    """Return how many of *count* Sentinels are most of them."""
    return count // 2 + 1


def _differing(hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name in OF_ALL:
        said = {host: values[name] for host, values in hosts.items()}
        if len({str(value) for value in said.values()}) > 1:
            each = ", ".join(f"{value} on {host}" for host, value in said.items())
            what = "redis_deployment" if name == "state_folder" else f"redis_sentinel_{name}"
            yield f"{what} differs within the group redis_sentinel: {each}. Give all its hosts the same"


def _of_hosts(hosts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    taken: dict[str, str] = {}
    for name, host in hosts.items():
        if int(host["port"]) not in PORTS:
            yield f"redis_sentinel_port is {host['port']} on {name}; allowed: {PORTS.start} to {PORTS.stop - 1}"
        other = taken.setdefault(host["address"], name)
        if other != name:
            yield f"the Sentinels of {other} and {name} are at the same place, {host['address']}: give them other addresses or ports"
        for option in ("down_after_ms", "failover_timeout_ms", "parallel_syncs"):
            if int(host[option]) < 1:
                yield f"redis_sentinel_{option} is {host[option]} on {name}; allowed: 1 or more"


def _of_watches(hosts: Mapping[str, Mapping[str, Any]], deployments: Sequence[str]) -> Iterator[str]:
    first = next(iter(hosts.values()))
    quorum, count = int(first["quorum"]), len(hosts)
    if not 0 <= quorum <= count:
        yield (
            f"redis_sentinel_quorum is {quorum}; allowed: 1 to {count}, the number of hosts in the group redis_sentinel, or 0 for the "
            "majority"
        )
    unknown = [name for name in first["watch"] if name not in deployments]
    if unknown:
        yield (
            f"redis_sentinel_watch names {', '.join(unknown)}, and the deployments that are replications are "
            f"{', '.join(deployments) or 'none'}"
        )
    if not deployments:
        yield (
            f"the group redis_sentinel has {', '.join(hosts)}, and no deployment has redis_topology 'replication': Sentinels would have "
            "nothing to watch"
        )


def _of_tls(hosts: Mapping[str, Mapping[str, Any]], secured: Sequence[str]) -> Iterator[str]:
    watch = next(iter(hosts.values()))["watch"]
    found = [name for name in secured if not watch or name in watch]
    if found:
        yield (
            f"redis_server_tls is not 'off' for the deployment {', '.join(found)}, which Sentinels watch, and Sentinels speak no TLS yet: "
            "use 'off', or leave the deployment out of redis_sentinel_watch"
        )


def watches_of(host: Mapping[str, Any], replications: Sequence[Mapping[str, Any]], count: int) -> list[dict[str, Any]]:
    """
    Return the option ``watches`` of the module redis_sentinel.

    Args:
        host: What the host says.
        replications: ``deployment``, ``service``, ``primary``, ``servers``, ``username`` and ``password`` of each.
        count: Number of Sentinels.
    """
    chosen = [one for one in replications if not host["watch"] or one["deployment"] in host["watch"]]
    times = {name: int(host[name]) for name in ("down_after_ms", "failover_timeout_ms", "parallel_syncs")}
    names = ("service", "primary", "servers", "username", "password")
    quorum = int(host["quorum"]) or majority(count)
    return [{**{name: one[name] for name in names}, "quorum": quorum, **times} for one in chosen]
