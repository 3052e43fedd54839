# SPDX-License-Identifier: MIT
"""What one node of a cluster says about all of them; pure."""

from __future__ import annotations

from typing import NamedTuple


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


def read_members(text: bytes) -> Members:
    """Return what CLUSTER NODES says."""
    ids, failed, own_id, epoch = set(), set(), "", 0
    primaries = reached = 0
    for line in text.decode(errors="replace").splitlines():
        node_id, _address, flag_list, _primary, _ping, _pong, node_epoch, link, *slots = line.split()
        flags = set(flag_list.split(","))
        ids.add(node_id)
        epoch = max(epoch, int(node_epoch))
        own_id = node_id if "myself" in flags else own_id
        if "fail" in flags:
            failed.add(node_id)
        if "master" in flags and slots:
            primaries += 1
            reached += "myself" in flags or (link == "connected" and not flags & {"fail", "fail?"})
    return Members(frozenset(ids), own_id, epoch, frozenset(failed), is_cut_off=primaries > 1 and 2 * reached <= primaries)
