# SPDX-License-Identifier: MIT
"""Whose turn it is to restart: replicas first, a primary after a replica in sync has taken over, none while a member is not well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Optional, Protocol

from ..errors import RefusedError


class Waiting(NamedTuple):
    """A member that must restart: its ``address``, and ``host`` and ``name`` of its instance."""

    address: str
    host: str
    name: str


class Members(Protocol):
    """What a topology offers; each has a class of its own in a file beside this one."""

    def settle(self) -> None:
        """Wait until every member answers, all agree, and every replica is in sync; raise ServerError with what is missing."""

    def is_primary(self, address: str) -> bool:
        """Return whether the member serves writes."""

    def hand_over(self, address: str) -> Optional[str]:
        """Let a replica in sync take over from a primary, wait until it has, and return its address; None if it has no replica."""


class Turn(NamedTuple):
    """
    Who restarts next.

    Attributes:
        waiting: The member.
        successor: Address of the replica that has taken over from it; None for a replica, and for a primary without one.
    """

    waiting: Waiting
    successor: Optional[str] = None


def first(waiting: Sequence[Waiting], primaries: Sequence[str]) -> Waiting:
    """Return who is first: replicas, each kind in the order given; raise RefusedError if none waits."""
    if not waiting:
        raise RefusedError("no member waits for a restart")
    return min(waiting, key=lambda one: one.address in primaries)


def take_turn(members: Members, waiting: Sequence[Waiting]) -> Turn:
    """
    Return who restarts next, when it may: no other member is down, and what it served is served by another member.

    It is asked anew after each restart, since a handover and a failover change who is a primary.

    Raises:
        RefusedError: if none waits.
        ServerError: if the members do not become well, or none takes over.
    """
    members.settle()
    chosen = first(waiting, [one.address for one in waiting if members.is_primary(one.address)])
    if not members.is_primary(chosen.address):
        return Turn(chosen)
    successor = members.hand_over(chosen.address)
    if successor is not None:
        members.settle()
    return Turn(chosen, successor)


def hand_over_each(members: Members, addresses: Sequence[str]) -> dict[str, str]:
    """
    Let a replica take over from each of *addresses* that is a primary now, one after the other.

    Returns:
        The successor of each primary; empty for one without a replica, which stays what it is.
    """
    members.settle()
    found = {}
    for address in [address for address in addresses if members.is_primary(address)]:
        found[address] = members.hand_over(address) or ""
        members.settle()
    return found
