# SPDX-License-Identifier: MIT
"""What servers say about who serves what: replies into addresses; pure."""

from __future__ import annotations

from typing import Any, NamedTuple

SLOT_COUNT = 16384
HostPort = tuple[str, int]


class Shard(NamedTuple):
    """
    Slots, and the servers that hold them.

    Attributes:
        first_slot, last_slot: Both included.
        primary, replicas: Their addresses.
    """

    first_slot: int
    last_slot: int
    primary: HostPort
    replicas: tuple[HostPort, ...]


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
        shards.append(Shard(first, last, addresses[0], tuple(addresses[1:])))
    return shards


def _address(node: list[Any], asked_host: str) -> HostPort:
    host = node[0].decode() if node[0] else ""
    return (asked_host if host in ("", "?") else host, node[1])


def read_redirection(text: str, asked_host: str) -> tuple[int, HostPort]:
    """Return slot and address of ``MOVED 3999 127.0.0.1:6381`` or ``ASK …``; an empty host means the server that was asked."""
    _word, slot, address = text.split(" ")[:3]
    host, _colon, port = address.rpartition(":")
    return int(slot), (host or asked_host, int(port))


def read_sentinel_replicas(reply: list[list[bytes]]) -> list[HostPort]:
    """Return the replicas of SENTINEL REPLICAS that are up and in contact with their primary."""
    found = []
    for fields in reply:
        facts = dict(zip(fields[::2], fields[1::2], strict=True))
        down = {"s_down", "o_down", "disconnected"} & set(facts[b"flags"].decode().split(","))
        if not down and facts.get(b"master-link-status") == b"ok":
            found.append((facts[b"ip"].decode(), int(facts[b"port"])))
    return found
