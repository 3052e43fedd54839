# SPDX-License-Identifier: MIT
"""What a cluster is and what it should be, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

SLOTS = 16384
SMALLEST_CLUSTER = 3  # with fewer primaries none is a majority when one fails

LISTED, RETIRED, UNLISTED, STALE = "listed", "retired", "unlisted", "stale"


@dataclass(frozen=True)
class DesiredNode:
    """
    A node that shall be a member.

    Attributes:
        address: ``host:port`` as the user gives it.
        host, zone: What fails together; members of one shard should differ in both. An empty zone is unknown.
        weight: Share of the slots, in relation to the other nodes; that of a shard is the smallest of its members.
    """

    address: str
    host: str
    zone: str = ""
    weight: float = 1.0


@dataclass(frozen=True)
class Desired:
    """
    What the cluster should be.

    Attributes:
        nodes: All members.
        retired: Addresses of nodes that shall leave.
        announced: Addresses at which the others know nodes of *retired*, where they are not the same.
        replicas: Least number of replicas of each shard.
        shards: Number of shards; None for as many as the nodes allow.
        rebalance: Whether slots are spread anew by weight, or only given to new shards and taken from those that leave.
        assign_lost_slots: Whether slots whose data is gone with their last copy may be given, empty, to others.
    """

    nodes: tuple[DesiredNode, ...]
    retired: tuple[str, ...] = ()
    replicas: int = 1
    shards: Optional[int] = None
    rebalance: bool = False
    assign_lost_slots: bool = False
    announced: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """
    How much is done at a time, and how long is waited.

    Attributes:
        keys: Most keys in one MIGRATE; fewer are sent if a call takes longer than 10 ms.
        slots: Slots that are open at a time.
        wait_seconds: Longest wait for nodes to agree, or for replicas to be in sync.
    """

    keys: int = 100
    slots: int = 16
    wait_seconds: float = 60.0


@dataclass(frozen=True)
class Member:
    """
    A node that is in a table of the cluster, or should be.

    Attributes:
        id: Its id.
        address: As the user gives it, else as the node announces it.
        kind: LISTED; RETIRED; UNLISTED for one that the user does not name; STALE for an entry of tables behind which there is no node.
        host, zone, weight: As for DesiredNode.
        is_reachable: Whether it answered.
        is_failed: Whether the others agree that it failed.
        primary: Id of the node that it replicates; None for a primary.
        known: Ids in its table, its own included; empty if it did not answer.
        keys: Number of keys it holds.
        offset: Replication offset.
        importing, migrating: Slots left open on it, each with the id of the other node.
    """

    id: str
    address: str
    kind: str = LISTED
    host: str = ""
    zone: str = ""
    weight: float = 1.0
    is_reachable: bool = True
    is_failed: bool = False
    primary: Optional[str] = None
    known: frozenset[str] = frozenset()
    keys: int = 0
    offset: int = 0
    importing: Mapping[int, str] = field(default_factory=dict)
    migrating: Mapping[int, str] = field(default_factory=dict)

    @property
    def stays(self) -> bool:
        """Whether it is a member now and shall remain one."""
        return self.is_reachable and self.kind in (LISTED, UNLISTED)


@dataclass(frozen=True)
class ClusterState:
    """
    What the nodes say.

    Attributes:
        members: By id.
        owners: For each slot the id of its primary, None if it has none.
        strays: For slots that are open or have no owner, how many keys each node holds.
    """

    members: Mapping[str, Member]
    owners: Sequence[Optional[str]]
    strays: Mapping[int, Mapping[str, int]] = field(default_factory=dict)


def slots_by_owner(owners: Sequence[Optional[str]]) -> dict[Optional[str], list[int]]:
    """Return the slots of each owner, ascending; those of None have no owner."""
    found: dict[Optional[str], list[int]] = {}
    for slot, owner in enumerate(owners):
        found.setdefault(owner, []).append(slot)
    return found


def ranges(slots: Iterable[int]) -> list[tuple[int, int]]:
    """Return *slots* as ascending pairs of first and last."""
    pairs: list[tuple[int, int]] = []
    for slot in sorted(slots):
        if pairs and slot == pairs[-1][1] + 1:
            pairs[-1] = (pairs[-1][0], slot)
        else:
            pairs.append((slot, slot))
    return pairs


def format_slots(slots: Iterable[int], most: int = 6) -> str:
    """Return *slots* as ``0-5460 7000``, with at most *most* ranges named."""
    pairs = ranges(slots)
    shown = " ".join(str(first) if first == last else f"{first}-{last}" for first, last in pairs[:most])
    return f"{shown} and {len(pairs) - most} more ranges" if len(pairs) > most else shown
