# SPDX-License-Identifier: MIT
"""What one node of a cluster says about all of them; pure."""

from __future__ import annotations

from typing import NamedTuple, Optional


class ListedNode(NamedTuple):
    """
    One node in the table of a node.

    Attributes:
        id: Its id.
        address: ``host:port``; the host is empty where it is not known.
        flags: ``myself``, ``master``, ``fail`` and others.
        primary: Id of its primary; None for a primary.
        epoch: Its configuration epoch.
        is_linked: Whether the node whose table it is has a link to it.
        slots: Ranges of the slots that it owns, such as ``0-5460``.
    """

    id: str
    address: str
    flags: frozenset[str]
    primary: Optional[str]
    epoch: int
    is_linked: bool
    slots: tuple[str, ...]


class Members(NamedTuple):
    """
    The nodes of a cluster, as one of them sees them.

    Attributes:
        ids: All of them.
        own_id: The one who says so.
        epoch: Newest configuration epoch among them; every failover and every slot that moves makes a newer one.
        failed: Those that the cluster has agreed to call failed.
        is_cut_off: Whether the node that says so reaches no majority of the primaries, so that others may decide without it.
    """

    ids: frozenset[str]
    own_id: str
    epoch: int
    failed: frozenset[str]
    is_cut_off: bool


def read_nodes(text: bytes) -> list[ListedNode]:
    """Return the nodes that the reply to CLUSTER NODES lists; slots that are being moved are left out."""
    nodes = []
    for line in text.decode(errors="replace").splitlines():
        node_id, address, flags, primary, _ping, _pong, epoch, link, *slots = line.split()
        owned = tuple(slot for slot in slots if not slot.startswith("["))
        replicates = None if primary == "-" else primary
        endpoint = address.partition("@")[0]
        nodes.append(ListedNode(node_id, endpoint, frozenset(flags.split(",")), replicates, int(epoch), link == "connected", owned))
    return nodes


def read_members(text: bytes) -> Members:
    """Return what CLUSTER NODES says."""
    nodes = read_nodes(text)
    primaries = [node for node in nodes if "master" in node.flags and node.slots]
    reached = [node for node in primaries if "myself" in node.flags or (node.is_linked and not node.flags & {"fail", "fail?"})]
    return Members(
        ids=frozenset(node.id for node in nodes),
        own_id=next((node.id for node in nodes if "myself" in node.flags), ""),
        epoch=max((node.epoch for node in nodes), default=0),
        failed=frozenset(node.id for node in nodes if "fail" in node.flags),
        is_cut_off=len(primaries) > 1 and 2 * len(reached) <= len(primaries),
    )
