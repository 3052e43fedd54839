# SPDX-License-Identifier: MIT
"""What a server says about itself, and where it sends a call: replies into values; pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from .resp import pack

HostPort = tuple[str, int]
HELLO: tuple[str, ...] = ("HELLO", "2")  # the version is needed on Redis 6.0


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


def read_greeting(reply: Any) -> dict[str, str]:
    """Return the texts of HELLO's reply by name, as ``mode`` and ``role``; nothing if it is an error."""
    if not isinstance(reply, list):
        return {}
    pairs = zip(reply[::2], reply[1::2], strict=False)
    return {name.decode(): value.decode() for name, value in pairs if isinstance(name, bytes) and isinstance(value, bytes)}


def read_redirection(text: str, asked_host: str) -> tuple[int, HostPort]:
    """Return slot and address of ``MOVED 3999 127.0.0.1:6381`` or ``ASK …``; an empty host means the server that was asked."""
    _word, slot, address = text.split(" ")[:3]
    host, _colon, port = address.rpartition(":")
    return int(slot), (host or asked_host, int(port))
