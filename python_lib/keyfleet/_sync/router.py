# SPDX-License-Identifier: MIT - made from _async/router.py by scripts/generate_sync.py; change that one
"""Which server takes a command: here for one server, with what all routers offer."""

from __future__ import annotations

import math
import time

from .._transport.dialer import Address, Dialer
from .._transport.failures import NotSentError
from .._transport.thread_pool import Node
from .._transport.thread_waits import DeadlineLock
from ..core.errors import UnreachableError


class Router:
    """
    The servers of a deployment as far as they are known; this one is for a single server.

    Attributes:
        version: Grows when something was learned, so that a caller sees whether the server that failed is still the known one.
        breaker: Counts calls that failed because no server was known for them.
        learned_at: When something was learned last, by the monotonic clock.
        trouble: What a call hears for whose key no server is known.
    """

    def __init__(self, dialer: Dialer) -> None:
        settings = dialer.settings
        self._dialer, self._lock = dialer, DeadlineLock()
        self.version, self.breaker = 0, dialer.new_breaker()
        self.learned_at = -math.inf
        self.trouble = NotSentError(UnreachableError(settings.address, "no node serves the slot of the key"))
        self._nodes: dict[Address, Node] = {}
        if not settings.cluster_nodes and not settings.sentinels:
            self._primaries = [self.node_at(settings.unix_socket or (settings.host, settings.port))]
        else:
            self._primaries = []

    def find(self, name: str | None, reads: bool) -> Node | None:
        """
        Return the server for a command, None if it is not known yet.

        Args:
            name: Full name of a key of the command.
            reads: Whether the command changes nothing.
        """
        del name, reads
        return self._primaries[0]

    def primaries(self) -> list[Node]:
        """Return the servers that together hold all keys, as far as they are known."""
        return list(self._primaries)

    def serving(self) -> list[Node]:
        """Return the servers that calls go to, as far as they are known."""
        return list(self._primaries)

    def node_at(self, address: Address) -> Node:
        """Return the server at *address*."""
        return self._nodes.get(address) or self._nodes.setdefault(address, Node(self._dialer, address))

    @property
    def nodes(self) -> list[Node]:
        """All servers that were talked to."""
        return list(self._nodes.values())

    @property
    def replica_addresses(self) -> list[Address]:
        """Addresses of the replicas, as far as a cluster reported them."""
        return []

    @property
    def is_complete(self) -> bool:
        """Whether every key has a server."""
        return bool(self._primaries)

    def moved(self, slot: int, address: Address) -> None:
        """Note that *slot* is served at *address* now; only a cluster says so."""

    def is_cut_off(self, node: Node) -> bool:
        """Say whether the other servers have declared *node* failed, so that it hears nothing from them although it answers."""
        del node
        return False

    def has_changes(self) -> bool:
        """Say whether to `learn` before the next use of a server; only Sentinels report what happens."""
        return False

    def learn(self, deadline: float, seen_version: int, *, is_suspect: bool = True) -> None:
        """
        Ask the deployment for its topology, unless another caller did since *seen_version*.

        Args:
            deadline: Until when it has to be known.
            seen_version: The version that the caller used.
            is_suspect: Whether calls failed with what is known; else it is compared with another source.
        Raises:
            NotSentError: with the error for the caller if no server is known.
        """
        held = self._lock.take(deadline)
        if held is None:
            raise NotSentError(UnreachableError(self._dialer.settings.address, "the topology was not known in time"))
        try:
            if self.version != seen_version:
                return
            self.version += 1  # concurrent callers share this lookup's result, even a failure
            self._learn(deadline, is_suspect)
            self.learned_at, self.breaker.failures = time.monotonic(), 0
        except NotSentError as failure:
            self.trouble = failure
            raise
        finally:
            held.release()

    def _learn(self, deadline: float, is_suspect: bool) -> None:
        """One server has nothing to say; its name is resolved again with each connection."""

    def close(self) -> None:
        """Close all connections."""
        for node in self._nodes.values():
            node.close()
