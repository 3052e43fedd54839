# SPDX-License-Identifier: MIT
"""The table of a node, as CLUSTER NODES prints it; pure."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional


class Entry(NamedTuple):
    """
    One node in the table of a node.

    Attributes:
        id: Its id.
        host, port, bus_port: Where the others reach it; the host is empty where it is not known yet.
        hostname: What it announces besides; empty if nothing.
        flags: ``myself``, ``master``, ``fail`` …
        primary: Id of its primary; None for a primary.
        epoch: Its configuration epoch: of two that claim a slot, the greater one owns it.
        slots: First and last of each range that it owns.
        importing, migrating: Slots left open, each with the id of the other node; only a node itself says so.
        is_connected: Whether the node whose table it is has a link to it.
    """

    id: str
    host: str
    port: int
    bus_port: int
    hostname: str
    flags: frozenset[str]
    primary: Optional[str]
    epoch: int
    slots: tuple[tuple[int, int], ...]
    importing: dict[int, str]
    migrating: dict[int, str]
    is_connected: bool = True

    @property
    def address(self) -> str:
        """``host:port``, by name where it has one."""
        host = self.hostname or self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def is_transient(self) -> bool:
        """Whether the node is only being met; its id is not the real one then."""
        return "handshake" in self.flags


def parse_table(text: str) -> dict[str, Entry]:
    """Return the entries of a table by id."""
    return {entry.id: entry for entry in map(_parse_line, text.splitlines())}


def _parse_line(line: str) -> Entry:
    node_id, address, flags, primary, _ping, _pong, epoch, link, *slots = line.split()
    endpoint, _separator, names = address.partition(",")
    host, _separator, ports = endpoint.rpartition(":")
    port, _separator, bus_port = ports.partition("@")
    owned: list[tuple[int, int]] = []
    importing: dict[int, str] = {}
    migrating: dict[int, str] = {}
    for text in slots:
        opened = re.fullmatch(r"\[(\d+)-([<>])-(\w+)\]", text)
        if opened is None:
            first, _separator, last = text.partition("-")
            owned.append((int(first), int(last or first)))
        else:
            (migrating if opened[2] == ">" else importing)[int(opened[1])] = opened[3]
    return Entry(
        id=node_id,
        host=host,
        port=int(port),
        bus_port=int(bus_port or 0),
        hostname=names.partition(",")[0],
        flags=frozenset(flags.split(",")),
        primary=None if primary == "-" else primary,
        epoch=int(epoch),
        slots=tuple(owned),
        importing=importing,
        migrating=migrating,
        is_connected=link == "connected",
    )
