# SPDX-License-Identifier: MIT
"""What servers say about the topology and about themselves: replies into values; pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from .resp import pack

SLOT_COUNT = 16384
HostPort = tuple[str, int]


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


class Identity(NamedTuple):
    """
    Who must answer at an address, as far as that is known.

    Attributes:
        mode: What HELLO must call it: ``cluster``, or empty for anything.
        role: ``master``, or empty for any role.
        node_id: Its id in the cluster, or empty.
    """

    mode: str = ""
    role: str = ""
    node_id: str = ""

    def introduction(self, reads_only: bool) -> tuple[bytes, int]:
        """
        Return what a new connection sends before anything else, and how many replies that gets.

        Args:
            reads_only: Whether it is for reads from a replica of a cluster, which answers them after READONLY only.
        """
        commands: list[tuple[str, ...]] = [HELLO] if self.mode or self.role else []
        commands += [("CLUSTER", "MYID")] if self.node_id else []
        commands += [("READONLY",)] if reads_only else []
        return b"".join(map(pack, commands)), len(commands)

    def mismatch(self, replies: list[Any]) -> str | None:
        """Return what is wrong with the server that gave *replies* to the introduction; who may not ask learns nothing wrong."""
        greeting = read_greeting(replies[0]) if self.mode or self.role else {}
        mode, role = greeting.get("mode", self.mode), greeting.get("role", self.role)
        if self.mode and mode != self.mode:
            return f"another server took over the address: it runs in {mode} mode and is no node of the cluster"
        if self.role and role != self.role:
            return f"it is a {role} and not the primary"
        found = replies[bool(self.mode or self.role)] if self.node_id else None
        if self.node_id and isinstance(found, bytes) and found.decode() != self.node_id:
            return f"another server took over the address: it is node {found.decode()} and not {self.node_id}"
        return None


HELLO: tuple[str, ...] = ("HELLO", "2")  # the version is needed on Redis 6.0


def read_greeting(reply: Any) -> dict[str, str]:
    """Return the texts of HELLO's reply by name, as ``mode`` and ``role``; nothing if it is an error."""
    if not isinstance(reply, list):
        return {}
    pairs = zip(reply[::2], reply[1::2], strict=False)
    return {name.decode(): value.decode() for name, value in pairs if isinstance(name, bytes) and isinstance(value, bytes)}


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
