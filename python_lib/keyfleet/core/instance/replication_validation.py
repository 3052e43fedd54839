# SPDX-License-Identifier: MIT
"""What is wrong with an instance that is a member of a replication, found from the inventory alone; pure."""

from __future__ import annotations

from collections.abc import Iterator

from ..directives.values import to_lines
from ..topology.validation import REPLICATION
from .model import Instance

GUARDS = ("min-replicas-to-write", "min-slaves-to-write")
NEEDED_COMMANDS = ("CONFIG", "REPLICAOF", "SLAVEOF", "PSYNC", "REPLCONF", "FAILOVER", "CLIENT", "INFO")


def replication_problems(instance: Instance) -> Iterator[str]:
    """Yield what does not fit to a replication, each beginning with the option."""
    if instance.topology != REPLICATION or not instance.present:
        return
    for name in GUARDS:
        if name in instance.directives:
            yield (
                f"directives.{name} is {str(instance.directives[name])!r}, and it is set when replicas are attached: set "
                "redis_replication_min_replicas_to_write instead"
            )
    renamed = [words[0].upper() for words in to_lines("rename-command", instance.directives.get("rename-command", []), "lines")]
    for command in NEEDED_COMMANDS:
        if command in renamed:
            yield f"directives.rename-command renames {command}, which replication needs"
    if not instance.port:
        yield "port is 0: a member of a replication needs one, give a port of its own"
