# SPDX-License-Identifier: MIT
"""A connection to one node, and what it says of itself and the others."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from ..connect.client import close, connect
from ..connect.redis_py import translate, translated
from ..connect.settings import Settings
from ..errors import DeniedError, KeyfleetError, RefusedError, ServerError
from .tables import Entry, parse_table

# For tests: the process kills itself before the change of this number, counted from 1, as a lost machine would.
KILL_VARIABLE = "KEYFLEET_TEST_KILL_BEFORE_STEP"
_changes = 0


def reach_change() -> None:
    """Note that a command that changes something is next; tests end the process here."""
    global _changes  # noqa: PLW0603 - of the process that is to be killed
    _changes += 1
    if os.environ.get(KILL_VARIABLE) == str(_changes):
        os.kill(os.getpid(), signal.SIGKILL)


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


class Node:
    """
    One node by the address at which this host reaches it.

    Attributes:
        address: ``host:port``.
        id: Its id, as it says.
        report: What it said last.
    """

    def __init__(self, settings: Settings, host: str, port: int) -> None:
        self.settings = replace(settings, cluster_nodes=(), host=host, port=port, db=0)
        self.address = self.settings.address
        self.client = connect(self.settings)
        self.report = self.read()
        self.id = self.report.own.id

    def close(self) -> None:
        """End the connection."""
        close(self.client)

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

    def ask(self, *commands: Sequence[Any], problem: str) -> list[Any]:
        """Run commands in one round trip; an error of one of them is raised and says *problem*."""
        replies = self._run(commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise self._error(reply, problem) from reply
        return replies

    def change(self, *commands: Sequence[Any], problem: str, ignore: str = "") -> list[Any]:
        """
        Run commands that change something, in one round trip.

        Args:
            problem: Says in an error what could not be done.
            ignore: Texts of errors, joined by ``|``, which mean that it was done already.
        """
        if KILL_VARIABLE in os.environ:  # one at a time, so that each can be the one that is not reached
            replies = []
            for command in commands:
                reach_change()
                replies += self._run([command])
        else:
            replies = self._run(commands)
        for reply in replies:
            if isinstance(reply, Exception) and not any(text in str(reply) for text in filter(None, ignore.split("|"))):
                raise self._error(reply, problem) from reply
        return replies

    def _run(self, commands: Iterable[Sequence[Any]]) -> list[Any]:
        with translated(self.settings):
            pipeline = self.client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            return list(pipeline.execute(raise_on_error=False))

    def _error(self, error: Exception, problem: str) -> KeyfleetError:
        if "cluster support disabled" in str(error):
            return RefusedError(f"{self.address} does not run in cluster mode; set cluster-enabled yes and start it anew")
        found = translate(error, self.settings)
        if isinstance(found, ServerError) and not isinstance(found, DeniedError):
            return ServerError(f"{problem}: {found.reason}", self.address)
        return found

    @property
    def entry(self) -> Entry:
        """How others reach it: as it announces itself, else at the address that this host uses."""
        own = self.report.own
        if own.host:
            return own
        try:
            found = socket.getaddrinfo(self.settings.host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            raise RefusedError(f"{self.address}: the name cannot be resolved to an address that other nodes can use: {error}") from error
        return own._replace(host=str(found[0][4][0]))


def open_node(settings: Settings, host: str, port: int) -> tuple[Optional[Node], Optional[KeyfleetError]]:
    """Return a node, or why it cannot be asked."""
    try:
        return Node(settings, host, port), None
    except KeyfleetError as error:
        return None, error
