# SPDX-License-Identifier: MIT
"""What servers say about the topology: replies into values; pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from .identity import HostPort

SLOT_COUNT = 16384


class Shard(NamedTuple):
    """
    Slots, and the servers that hold them.

    Attributes:
        first_slot, last_slot: Both included.
        primary, replicas: Their addresses.
        ids: Their node ids, the primary's first; empty where the server does not say them.
    """

    first_slot: int
    last_slot: int
    primary: HostPort
    replicas: tuple[HostPort, ...]
    ids: tuple[str, ...] = ()


def read_slots(reply: list[Any], asked_host: str) -> list[Shard]:
    """
    Return what CLUSTER SLOTS says.

    Args:
        reply: As answered.
        asked_host: Host of the server that was asked; one that does not know its own name means this.
    """
    shards = []
    for first, last, *nodes in reply:
        addresses = [_address(node, asked_host) for node in nodes]
        ids = tuple(node[2].decode() for node in nodes if len(node) > 2)
        shards.append(Shard(first, last, addresses[0], tuple(addresses[1:]), ids if len(ids) == len(nodes) else ()))
    return shards


class Watched(NamedTuple):
    """
    The primary of a service, as one Sentinel sees it.

    Attributes:
        epoch: Configuration epoch of the service, newer with each failover.
        is_cut_off: Whether this Sentinel does not reach the primary, so that others may know better.
    """

    epoch: int
    is_cut_off: bool


def read_watched(reply: Any) -> Watched:
    """Return what SENTINEL MASTER says; epoch 0 where the user may not ask it."""
    if not isinstance(reply, list):
        return Watched(0, False)
    facts = dict(zip(reply[::2], reply[1::2], strict=True))
    flags = set(facts.get(b"flags", b"").split(b","))
    return Watched(int(facts.get(b"config-epoch", 0)), bool(flags & {b"s_down", b"o_down", b"disconnected"}))


def _address(node: list[Any], asked_host: str) -> HostPort:
    host = node[0].decode() if node[0] else ""
    return (asked_host if host in ("", "?") else host, node[1])


def read_sentinel_replicas(reply: list[list[bytes]]) -> list[HostPort]:
    """Return the replicas of SENTINEL REPLICAS that are up and in contact with their primary."""
    found = []
    for fields in reply:
        facts = dict(zip(fields[::2], fields[1::2], strict=True))
        down = {"s_down", "o_down", "disconnected"} & set(facts[b"flags"].decode().split(","))
        if not down and facts.get(b"master-link-status") == b"ok":
            found.append((facts[b"ip"].decode(), int(facts[b"port"])))
    return found
