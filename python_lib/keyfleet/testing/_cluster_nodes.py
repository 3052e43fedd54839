# SPDX-License-Identifier: MIT
"""What the nodes of a cluster say about it."""

from __future__ import annotations

from typing import NamedTuple

from ..core.connect.redis_py import AnyClient

SLOTS = 16384


class NodeView(NamedTuple):
    """
    A node, as one node sees it.

    Attributes:
        id: Its id.
        flags: Its role and its troubles: master, slave, fail?, handshake …
        primary: Id of its primary, ``-`` for a primary.
        is_connected: Whether the bus connection to it stands.
        slots: Its slots as texts: ``0-5460``, ``7``, and open ones as ``[7->-id]`` or ``[7-<-id]``.
    """

    id: str
    flags: frozenset[str]
    primary: str
    is_connected: bool
    slots: tuple[str, ...]

    def serves(self, slot: int) -> bool:
        """Say whether it is the primary of *slot*."""
        bounds = [text.split("-") for text in self.slots if not text.startswith("[")]
        return "master" in self.flags and any(int(pair[0]) <= slot <= int(pair[-1]) for pair in bounds)


def view(client: AnyClient) -> dict[str, NodeView]:
    """Return all nodes that this node knows, by id."""
    lines = [line.split() for line in client.execute_command("CLUSTER", "NODES").decode().splitlines()]
    nodes = [
        NodeView(
            id=words[0],
            flags=frozenset(words[2].split(",")) - {"myself"},
            primary=words[3],
            is_connected=words[7] == "connected",
            slots=tuple(words[8:]),
        )
        for words in lines
    ]
    return {node.id: node for node in nodes}


def own_id(client: AnyClient) -> str:
    """Return the id of the node."""
    return str(client.execute_command("CLUSTER", "MYID").decode())


def meets(client: AnyClient, count: int) -> bool:
    """Say whether the node is connected to *count* nodes, itself included."""
    return count == sum(node.is_connected and "handshake" not in node.flags for node in view(client).values())


def agrees(client: AnyClient, ids: set[str]) -> bool:
    """Say whether the node sees all slots served, and exactly these nodes as primaries with slots or replicas that take part."""
    info = client.execute_command("CLUSTER", "INFO").decode()
    listed = {node[2].decode() for shard in client.execute_command("CLUSTER", "SLOTS") for node in shard[2:]}
    return "cluster_state:ok" in info and f"cluster_slots_ok:{SLOTS}" in info and listed == ids
