# SPDX-License-Identifier: MIT - made from _async/router.py by scripts/generate_sync.py; change that one
"""Which server takes a command: one server, the primary that Sentinel names, or the owner of the key's slot."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable
from typing import Any

from redis.crc import key_slot

from .._protocol.discovery import SLOT_COUNT, Shard, read_sentinel_replicas, read_slots
from .._protocol.resp import ErrorReply, pack
from .._transport.dialer import Address, Dialer, format_address
from .._transport.failures import LostError, NotSentError
from .._transport.thread_pool import Node
from .._transport.thread_waits import DeadlineLock
from ..core.errors import DeniedError, KeyfleetError, UnreachableError


class Router:
    """
    The servers of a deployment as far as they are known; this one is for a single server.

    Attributes:
        version: Grows when something was learned, so that a caller can tell whether what failed is still what is known.
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
        """Addresses of the replicas, as far as a cluster told them."""
        return []

    @property
    def is_complete(self) -> bool:
        """Whether every key has a server."""
        return bool(self._primaries)

    def moved(self, slot: int, address: Address) -> None:
        """Note that *slot* is served at *address* now; only a cluster says so."""

    def learn(self, deadline: float, seen_version: int) -> None:
        """
        Ask the deployment who serves what, unless someone else did since *seen_version*.

        Raises:
            NotSentError: with the error for the caller if nobody knows.
        """
        held = self._lock.take(deadline)
        if held is None:
            raise NotSentError(UnreachableError(self._dialer.settings.address, "no server said in time who serves what"))
        try:
            if self.version != seen_version:
                return
            self.version += 1  # who asks for the same reason meanwhile goes on with what this attempt brings, even if that is nothing
            self._learn(deadline)
            self.learned_at, self.breaker.failures = time.monotonic(), 0
        except NotSentError as failure:
            self.trouble = failure
            raise
        finally:
            held.release()

    def _learn(self, deadline: float) -> None:
        """One server has nothing to say; its name is resolved again with each connection."""

    def _ask_any(self, candidates: Iterable[Node], arguments: tuple[str, ...], deadline: float) -> tuple[Node, Any]:
        """Return the first server that answers without an error, and its answer."""
        asked = list(dict.fromkeys(candidates))
        trouble: KeyfleetError = UnreachableError(self._dialer.settings.address, "no server is known")
        for left_to_ask, node in zip(range(len(asked), 0, -1), asked, strict=True):
            now = time.monotonic()
            share = now + max((deadline - now) / (left_to_ask + 1), 0)  # the last one leaves half of the time for what follows
            try:
                reply = node.ask(pack(arguments), share)
            except NotSentError as failure:
                if not isinstance(failure.cause, UnreachableError):
                    raise
                trouble = failure.cause
            except LostError as failure:
                trouble = UnreachableError(format_address(node.address), str(failure))
            else:
                if reply is not None and reply.__class__ is not ErrorReply:
                    return node, reply
                trouble = self._explain(node, reply)
        raise NotSentError(trouble)

    def _explain(self, node: Node, reply: ErrorReply | None) -> KeyfleetError:
        if reply is None:
            return UnreachableError(self._dialer.settings.address, "no Sentinel that answers knows a primary of this service")
        if reply.code == "LOADING":
            return UnreachableError(format_address(node.address), str(reply))
        return self._dialer.translate(reply)

    def close(self) -> None:
        """Close all connections."""
        for node in self._nodes.values():
            node.close()


class SentinelRouter(Router):
    """The primary that Sentinel names, and its replicas."""

    def __init__(self, dialer: Dialer) -> None:
        super().__init__(dialer)
        settings = dialer.settings
        own = dialer.for_sentinels()
        self._sentinels = [Node(own, address) for address in settings.sentinels]
        self._replicas: list[Node] = []
        self._turn = itertools.count()

    def find(self, name: str | None, reads: bool) -> Node | None:
        del name
        if reads and self._replicas and self._dialer.policy.read_from == "replica":
            return self._replicas[next(self._turn) % len(self._replicas)]
        return self._primaries[0] if self._primaries else None

    def serving(self) -> list[Node]:
        return [*self._primaries, *self._replicas]

    @property
    def nodes(self) -> list[Node]:
        return [*self._nodes.values(), *self._sentinels]

    def _learn(self, deadline: float) -> None:
        service = str(self._dialer.settings.sentinel_service)
        sentinel, found = self._ask_any(self._sentinels, ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service), deadline)
        self._sentinels.sort(key=lambda known: known is not sentinel)  # who answered is asked first
        primary = self.node_at((found[0].decode(), int(found[1])))
        if self._is_replica(primary, deadline):  # Sentinel has not seen yet what happened
            raise NotSentError(UnreachableError(format_address(primary.address), "Sentinel names it as the primary and it is a replica"))
        replicas: list[Node] = []
        if self._dialer.policy.read_from == "replica":
            _node, listed = self._ask_any([sentinel], ("SENTINEL", "REPLICAS", service), deadline)
            replicas = [self.node_at(address) for address in read_sentinel_replicas(listed)]
        if self._primaries != [primary]:
            for old in self._primaries:
                old.drop()
        self._primaries, self._replicas = [primary], replicas

    def _is_replica(self, node: Node, deadline: float) -> bool:
        try:
            _node, role = self._ask_any([node], ("ROLE",), deadline)
        except NotSentError as failure:
            if isinstance(failure.cause, DeniedError):  # to users without @dangerous; then READONLY will tell
                return False
            raise
        return bool(role[0] != b"master")

    def close(self) -> None:
        super().close()
        for sentinel in self._sentinels:
            sentinel.close()


class ClusterRouter(Router):
    """The owner of each slot, and its replicas."""

    def __init__(self, dialer: Dialer) -> None:
        super().__init__(dialer)
        self._seeds = [self.node_at(address) for address in dialer.settings.cluster_nodes]
        self._replica_nodes: dict[Address, Node] = {}
        self._owners: list[Node | None] = [None] * SLOT_COUNT
        self._replicas: dict[Node, list[Node]] = {}
        self._turn = itertools.count()

    def find(self, name: str | None, reads: bool) -> Node | None:
        owner = self._primaries[0] if name is None and self._primaries else None if name is None else self._owners[key_slot(name.encode())]
        if reads and owner is not None and self._dialer.policy.read_from == "replica":
            replicas = self._replicas.get(owner)
            if replicas:
                return replicas[next(self._turn) % len(replicas)]
        return owner

    def serving(self) -> list[Node]:
        return [*self._primaries, *self._replica_nodes.values()]

    @property
    def nodes(self) -> list[Node]:
        return [*self._nodes.values(), *self._replica_nodes.values()]

    @property
    def replica_addresses(self) -> list[Address]:
        return list(self._replica_nodes)

    @property
    def is_complete(self) -> bool:
        return None not in self._owners

    def moved(self, slot: int, address: Address) -> None:
        self._owners[slot] = self.node_at(address)

    def _learn(self, deadline: float) -> None:
        node, reply = self._ask_any([*self._primaries, *self._nodes.values(), *self._seeds], ("CLUSTER", "SLOTS"), deadline)
        shards = read_slots(reply, str(node.address[0]))
        if not shards:
            raise NotSentError(UnreachableError(self._dialer.settings.address, "no node serves a slot; the cluster is not formed yet"))
        self._take(shards)

    def _take(self, shards: list[Shard]) -> None:
        owners: list[Node | None] = [None] * SLOT_COUNT
        replicas: dict[Node, list[Node]] = {}
        for shard in shards:
            owner = self.node_at(shard.primary)
            owners[shard.first_slot : shard.last_slot + 1] = [owner] * (shard.last_slot + 1 - shard.first_slot)
            replicas[owner] = [self._replica_at(address) for address in shard.replicas]
        self._owners, self._replicas, self._primaries = owners, replicas, list(replicas)
        _forget(self._nodes, {*replicas, *self._seeds})
        _forget(self._replica_nodes, {node for nodes in replicas.values() for node in nodes})

    def _replica_at(self, address: Address) -> Node:
        return self._replica_nodes.get(address) or self._replica_nodes.setdefault(address, Node(self._dialer, address, is_replica=True))

    def close(self) -> None:
        super().close()
        for node in self._replica_nodes.values():
            node.close()


def _forget(nodes: dict[Address, Node], kept: set[Node]) -> None:
    """Close and remove all nodes but those to keep."""
    for address, node in list(nodes.items()):
        if node not in kept:
            node.drop()
            del nodes[address]


def make_router(dialer: Dialer) -> Router:
    """Return the router for the settings of *dialer*."""
    if dialer.settings.cluster_nodes:
        return ClusterRouter(dialer)
    return SentinelRouter(dialer) if dialer.settings.sentinels else Router(dialer)
