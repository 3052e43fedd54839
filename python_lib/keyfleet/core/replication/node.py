# SPDX-License-Identifier: MIT
"""A connection to one server of a replication, and what it says of itself."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ..connect.node import ServerNode, reach_step
from ..connect.settings import Settings
from ..connect.values import format_nodes
from ..errors import KeyfleetError, RefusedError, UnreachableError
from .model import NO_HISTORY
from .sentinels import as_mapping


@dataclass(frozen=True)
class Report:
    """
    What a server says.

    Attributes:
        run_id: Of its process.
        follows: Host and port of the server that it replicates; None for a primary.
        is_linked: Whether a replica is connected and has been given all data.
        is_loading: Whether it still loads its data.
        offset, history, former_history, former_until, keys: As in `model.Member`.
        replicas: Host and port of each connected replica, as the server knows it, with its offset; -1 while it is given the data.
    """

    run_id: str
    follows: Optional[tuple[str, int]]
    is_linked: bool
    is_loading: bool
    offset: int
    history: str
    former_history: str
    former_until: int
    keys: int
    replicas: Mapping[tuple[str, int], int]


class ReplicationNode(ServerNode):
    """
    One server.

    Attributes:
        report: What it said last.
        places: Every host and port that may stand for it: its address, and what the name in it resolves to.
    """

    def __init__(self, settings: Settings, host: str, port: int) -> None:
        super().__init__(settings, host, port)
        self.report = self.read()
        self.places = places_of(host, port)

    def read(self) -> Report:
        """
        Ask the server anew.

        Raises:
            RefusedError: if it runs in cluster mode.
        """
        sections = ("replication", "keyspace", "server", "persistence", "cluster")
        replies = self.ask(*(("INFO", section) for section in sections), problem="cannot be asked for its replication")
        info = {name: value for reply in replies for name, value in reply.items()}
        if info.get("cluster_enabled"):
            raise RefusedError(f"{self.address} runs in cluster mode, in which the cluster decides what a server replicates")
        self.report = parse_report(info)
        return self.report

    def _run(self, commands: Iterable[Sequence[Any]], *, together: bool = False) -> list[Any]:
        """Run commands again if the connection was lost: a change of role closes it, and all of these may be repeated."""
        listed = list(commands)
        try:
            return super()._run(listed, together=together)
        except UnreachableError:
            return super()._run(listed, together=together)

    def directive(self, name: str) -> str:
        """Return the value of a directive; empty if the server does not know it."""
        return self.directives(name).get(name, "")

    def directives(self, *names: str) -> dict[str, str]:
        """Return the values of those directives that the server knows."""
        replies = self.ask(*(("CONFIG", "GET", name) for name in names), problem=f"cannot be asked for {', '.join(names)}")
        return {name: value for reply in replies for name, value in as_mapping(reply).items()}

    def persist(self) -> None:
        """Write its role into its own file, so that it has it after a restart; a server without a file has none to write."""
        reach_step("persist")
        self.change(("CONFIG", "REWRITE"), problem="cannot write its role into its file", ignore="without a config file")


def parse_report(info: Mapping[str, Any]) -> Report:
    """Return what INFO says."""
    is_primary = info["role"] == "master"
    is_linked = is_primary or (info.get("master_link_status") == "up" and not info.get("master_sync_in_progress"))
    slaves = [value for name, value in info.items() if name.startswith("slave") and isinstance(value, Mapping) and "ip" in value]
    replicas = {(str(one["ip"]), int(one["port"])): int(one["offset"]) if one.get("state") == "online" else -1 for one in slaves}
    return Report(
        run_id=str(info["run_id"]),
        follows=None if is_primary else (str(info["master_host"]), int(info["master_port"])),
        is_linked=is_linked,
        is_loading=bool(info.get("loading")),
        offset=int(info["master_repl_offset"] if is_primary else info.get("slave_repl_offset", 0)),
        history=str(info["master_replid"]),
        former_history=str(info.get("master_replid2", NO_HISTORY)),
        former_until=int(info.get("second_repl_offset", -1)),
        keys=sum(int(value["keys"]) for name, value in info.items() if name.startswith("db") and isinstance(value, Mapping)),
        replicas=replicas,
    )


def places_of(host: str, port: int) -> frozenset[tuple[str, int]]:
    """Return host and port, and those of every address that the host's name resolves to."""
    found = {(host, port)}
    with contextlib.suppress(OSError):
        found |= {(str(one[4][0]), port) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    return frozenset(found)


def open_node(settings: Settings, host: str, port: int) -> tuple[Optional[ReplicationNode], Optional[KeyfleetError]]:
    """Return a server, or why it cannot be asked."""
    try:
        return ReplicationNode(settings, host, port), None
    except KeyfleetError as error:
        return None, error


def format_place(place: tuple[str, int]) -> str:
    """Return ``host:port``."""
    return format_nodes([place])
