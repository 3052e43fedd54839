# SPDX-License-Identifier: MIT
"""The servers of a replication, while one after the other restarts."""

from __future__ import annotations

from types import TracebackType
from typing import Optional

from ..connect.settings import Settings
from ..errors import KeyfleetError, ServerError
from ..replication.carry_out import Work
from ..replication.handover import behind
from ..replication.model import DesiredReplication, HandOver
from ..replication.node import ReplicationNode
from ..replication.observe import Observed, connect_members, what_is_unsettled


class ReplicationMembers:
    """
    All servers of a replication; a context manager, which closes the connections.

    Args:
        settings, sentinel_settings: How to talk to every server and Sentinel.
        desired: Addresses of the servers and Sentinels.
        wait_seconds: Longest wait for the servers to be well, and for a handover.
    """

    def __init__(self, settings: Settings, sentinel_settings: Settings, desired: DesiredReplication, wait_seconds: float) -> None:
        self._settings, self._sentinel_settings, self._desired = settings, sentinel_settings, desired
        self._wait_seconds, self._observed = wait_seconds, Observed()

    def __enter__(self) -> ReplicationMembers:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self._observed.close()

    @property
    def _work(self) -> Work:
        return Work(self._observed, self._desired.service, self._wait_seconds, lambda text: None)

    def settle(self) -> None:
        """Connect to servers that have just started, and wait until one is the primary and all others are in sync with it."""
        self._work.wait(self._connect)
        self._work.wait(self._what_is_missing)

    def _connect(self) -> str:
        self._observed.close()
        self._observed = Observed()
        try:
            self._observed = connect_members(self._settings, self._sentinel_settings, self._desired)
        except KeyfleetError as error:
            return str(error)
        return ""

    def _what_is_missing(self) -> str:
        try:
            unsettled = what_is_unsettled(self._observed, self._desired.service)
            if unsettled:
                return unsettled
            primaries = [node for node in self._observed.nodes.values() if node.report.follows is None]
            if len(primaries) != 1:
                return f"{', '.join(node.address for node in primaries) or 'no server'} takes writes, instead of one"
            return next(filter(None, (behind(primaries[0], node) for node in self._replicas())), "")
        except KeyfleetError as error:
            return str(error)

    def _replicas(self) -> list[ReplicationNode]:
        return [node for node in self._observed.nodes.values() if node.report.follows is not None]

    def is_primary(self, address: str) -> bool:
        """Return whether the server takes writes."""
        if address not in self._observed.nodes:
            raise ServerError("it is no member of the replication", address)
        return self._observed.nodes[address].report.follows is None

    def hand_over(self, address: str) -> Optional[str]:
        """Let the replica that has most take over, without loss."""
        replicas = self._replicas()
        if not replicas:
            return None
        best = max(replicas, key=lambda node: (node.report.offset, node.address))
        self._work.run([HandOver(address, best.address)])
        successor = next(node.address for node in self._observed.nodes.values() if node.read().follows is None)
        for replica in self._replicas():  # where no Sentinel does it
            if replica.address != successor:
                self._work.attach(replica.address, successor)
        return successor
