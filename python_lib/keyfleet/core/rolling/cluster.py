# SPDX-License-Identifier: MIT
"""The members of a cluster, while one after the other restarts."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Optional

from ..cluster.carry_out import Work
from ..cluster.model import Limits
from ..cluster.moving import Progress
from ..cluster.node import Node
from ..cluster.observe import Observed, connect_nodes
from ..cluster.steps import HANDOVER, Promote
from ..cluster.validation import parse_desired
from ..connect.settings import Settings
from ..errors import KeyfleetError, ServerError


class ClusterMembers:
    """
    All nodes of a cluster; a context manager, which closes the connections.

    Args:
        settings: How to talk to every node.
        addresses: Of all nodes of the inventory; those that they know besides are asked too.
        wait_seconds: Longest wait for the nodes to be well, and for a handover.
    """

    def __init__(self, settings: Settings, addresses: Sequence[str], wait_seconds: float) -> None:
        self._settings, self._limits = settings, Limits(wait_seconds=wait_seconds)
        self._desired = parse_desired([{"address": address} for address in addresses])
        self._observed = Observed({}, {})

    def __enter__(self) -> ClusterMembers:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self._observed.close()

    @property
    def _work(self) -> Work:
        return Work(self._observed, self._limits, Progress(lambda text: None))

    def settle(self) -> None:
        """Connect to nodes that have just started, and wait until all agree."""
        self._work.wait(self._connect)
        self._work.wait_for_agreement()

    def _connect(self) -> str:
        self._observed.close()
        self._observed = Observed({}, {})
        try:
            self._observed = connect_nodes(self._settings, self._desired)
        except KeyfleetError as error:
            return str(error)
        return ""

    def _node(self, address: str) -> Node:
        for node in self._observed.nodes.values():
            if node.address == address:
                return node
        raise ServerError("it is no member of the cluster", address)

    def is_primary(self, address: str) -> bool:
        """Return whether the node owns slots, or may get some."""
        return self._node(address).report.own.primary is None

    def hand_over(self, address: str) -> Optional[str]:
        """Let the replica that has most take over, without loss (CLUSTER FAILOVER)."""
        primary = self._node(address)
        replicas = [node for node in self._observed.nodes.values() if node.report.own.primary == primary.id and node.report.is_linked]
        if not replicas:
            return None
        best = max(replicas, key=lambda node: (node.report.offset, node.id))
        self._work.run([Promote(best.id, primary.id, HANDOVER)])
        return best.address
