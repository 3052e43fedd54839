# SPDX-License-Identifier: MIT
"""Sentinels and nodes that know old topologies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Union

from keyfleet import Settings
from keyfleet.testing._sentinel import _start_one
from keyfleet.testing._server import free_port
from keyfleet.testing.servers import Cluster, SentinelGroup, Server


def outdated_sentinel(folder: Path, engine: str, primary: Union[Server, Settings]) -> Server:
    """Start a Sentinel that no other one knows and that takes *primary* for the primary, as one with an old file that is cut off."""
    return _start_one(folder, engine, [f"monitor main {primary.host} {primary.port} 2", "down-after-milliseconds main 1000"])


def asking(group: SentinelGroup, first: Server, **changes: Any) -> Settings:
    """Return settings whose list begins with the Sentinel *first*."""
    known = group.settings(**changes)
    return group.settings(sentinels=((first.host, first.port), *known.sentinels), **changes)


def isolated(cluster: Cluster, key: str) -> Server:
    """
    Let the primary of *key* be replaced while it is away, and come back as one that reaches no other node and is reached by clients only.

    Its bus has another port than the others know, and it has a wrong port for each of theirs.
    """
    node = cluster.kill_primary(key)
    cluster.wait_until_in_sync()
    state = node.directory / "nodes.conf"
    state.write_text("\n".join(re.sub(r"@\d+", "@1", line) for line in state.read_text().splitlines()) + "\n")
    with node.config_file.open("a") as config:
        config.write(f"cluster-port {free_port(node.host)}\n")
    node.start()
    return node


def only(node: Server, cluster: Cluster, **changes: Any) -> Settings:
    """Return settings that name one node of the cluster."""
    return cluster.settings(cluster_nodes=((node.host, node.port),), **changes)
