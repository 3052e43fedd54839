# SPDX-License-Identifier: MIT
"""What is wrong with an instance that is a node of a cluster, found from the inventory alone; pure."""

from __future__ import annotations

from collections.abc import Iterator

from ..directives.values import to_lines
from ..topology.validation import CLUSTER, SINGLE
from .model import BUS_OFFSET, PORTS, Instance

NOT_ON_CLUSTER = {
    "databases": "a cluster has the database 0 alone",
    "cluster-replica-no-failover": "no replica could take over; keep such a node out of the cluster",
}
OF_KEYFLEET = ("masteruser", "masterauth", "primaryuser", "primaryauth")
NEEDED_COMMANDS = ("CLUSTER", "CONFIG", "MIGRATE", "ASKING", "DBSIZE", "RESTORE", "RESTORE-ASKING", "PSYNC", "REPLCONF")


def cluster_problems(instance: Instance) -> Iterator[str]:
    """Yield what does not fit to the topology of the instance, each beginning with the option."""
    if instance.topology == SINGLE:
        return
    for name in OF_KEYFLEET:
        if name in instance.directives:
            yield f"directives.{name} is given: replicas follow their primary as a user of keyfleet's, leave it out"
    if instance.topology != CLUSTER:
        return
    if not instance.present:
        yield "state is 'absent', which would stop the node with its slots: put its host into the group redis_retired, which drains it"
        return
    for name, reason in NOT_ON_CLUSTER.items():
        if name in instance.directives:
            yield f"directives.{name} is {str(instance.directives[name])!r}, and redis_topology is 'cluster': {reason}; leave it out"
    renamed = [words[0].upper() for words in to_lines("rename-command", instance.directives.get("rename-command", []), "lines")]
    for command in NEEDED_COMMANDS:
        if command in renamed:
            yield f"directives.rename-command renames {command}, which nodes of a cluster need"
    if not instance.port:
        yield "port is 0: a node of a cluster needs one, give a port of its own"
    elif instance.bus_port not in PORTS:
        yield (
            f"port is {instance.port}, and the bus of the cluster would have port {instance.bus_port}: use a port up to "
            f"{PORTS.stop - 1 - BUS_OFFSET}, or set directives.cluster-port"
        )
