# SPDX-License-Identifier: MIT
"""A connection to one node, and what it says of itself and the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..connect.node import ServerNode
from ..connect.settings import Settings
from ..errors import KeyfleetError, RefusedError
from .tables import Entry, parse_table


@dataclass(frozen=True)
class Report:
    """
    What a node says.

    Attributes:
        own: Its own entry.
        table: All entries by id, without nodes that are only being met.
        is_ok: Whether it calls the cluster ok: every slot is served.
        keys: Number of keys.
        offset: Replication offset.
        is_linked: Whether a replica is connected to its primary and has all of its data; True for a primary.
    """

    own: Entry
    table: dict[str, Entry]
    is_ok: bool
    keys: int
    offset: int
    is_linked: bool


class Node(ServerNode):
    """
    One node by the address at which this host reaches it.

    Attributes:
        id: Its id, as it says.
        report: What it said last.
    """

    def __init__(self, settings: Settings, host: str, port: int) -> None:
        super().__init__(settings, host, port)
        self.report = self.read()
        self.id = self.report.own.id

    def read(self) -> Report:
        """
        Ask the node anew.

        Raises:
            RefusedError: if it does not run in cluster mode.
        """
        table_text, state, info, keys = self.ask(
            ("CLUSTER", "NODES"), ("CLUSTER", "INFO"), ("INFO", "replication"), ("DBSIZE",), problem="cannot be asked for the cluster"
        )
        everyone = parse_table(table_text.decode())
        own = next(entry for entry in everyone.values() if "myself" in entry.flags)
        self.report = Report(
            own=own,
            table={entry.id: entry for entry in everyone.values() if not entry.is_transient},
            is_ok=b"cluster_state:ok" in state,
            keys=int(keys),
            offset=int(info.get("slave_repl_offset", info.get("master_repl_offset", 0))),
            is_linked=info["role"] == "master" or info.get("master_link_status") == "up",
        )
        return self.report

    def _error(self, error: Exception, problem: str) -> KeyfleetError:
        if "cluster support disabled" in str(error):
            return RefusedError(f"{self.address} does not run in cluster mode; set cluster-enabled yes and start it anew")
        return super()._error(error, problem)

    @property
    def entry(self) -> Entry:
        """How others reach it: as it announces itself, else at the address that this host uses."""
        own = self.report.own
        if own.host:
            return own
        return own._replace(host=self.resolved_host())


def open_node(settings: Settings, host: str, port: int) -> tuple[Optional[Node], Optional[KeyfleetError]]:
    """Return a node, or why it cannot be asked."""
    try:
        return Node(settings, host, port), None
    except KeyfleetError as error:
        return None, error
