# SPDX-License-Identifier: MIT - made from _async/cluster_router.py by scripts/generate_sync.py; change that one
"""Which server of a cluster takes a command: the owner of the key's slot, or one of its replicas."""

from __future__ import annotations

import itertools
from typing import Any

from redis.crc import key_slot

from .._protocol.discovery import SLOT_COUNT, Shard, read_slots
from .._protocol.identity import Identity
from .._protocol.resp import pack
from .._protocol.topology import Sources, View
from .._transport.dialer import Address, Dialer
from .._transport.failures import StrangerError
from .._transport.thread_link import Link
from .._transport.thread_pool import Node
from ..core.connect.members import read_members
from ..core.errors import UnreachableError
from .discovering_router import DiscoveringRouter, Unusable

QUESTIONS: list[tuple[str, ...]] = [("CLUSTER", "SLOTS"), ("CLUSTER", "NODES")]


class ClusterRouter(DiscoveringRouter):
    """The owner of each slot, and its replicas."""

    def __init__(self, dialer: Dialer) -> None:
        super().__init__(dialer)
        self._seeds = [self.node_at(address) for address in dialer.settings.cluster_nodes]
        self._replica_nodes: dict[Address, Node] = {}
        self._owners: list[Node | None] = [None] * SLOT_COUNT
        self._replicas: dict[Node, list[Node]] = {}
        self._sources = Sources(first_votes=1)  # calls to an outdated owner fail, so that this is suspect soon
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

    def node_at(self, address: Address) -> Node:
        known = self._nodes.get(address)
        if known is None:
            known = super().node_at(address)
            if self._primaries:  # before that, the seeds may be what the settings should not name, and CLUSTER SLOTS says it better
                known.identity = Identity("cluster")
        return known

    def is_cut_off(self, node: Node) -> bool:
        believed, node_id = self._sources.believed, node.identity.node_id
        if believed is None or not node_id or not believed.members:
            return False
        return node_id in believed.failed or node_id not in believed.members

    def _learn(self, deadline: float, is_suspect: bool) -> None:
        addresses = [*(node.address for node in [*self._primaries, *self._nodes.values(), *self._seeds]), *self._replica_nodes]
        view = self._ask_sources(self._sources.survey(addresses, is_suspect=is_suspect), deadline)
        self._take(view.content)

    def _view_of(self, address: Address, deadline: float) -> View:
        """Ask the server at *address* for its view."""
        node = self._nodes.get(address) or self._replica_nodes[address]
        try:
            replies = self._ask(node, QUESTIONS, deadline)
        except StrangerError:
            if node not in self._seeds:
                raise
            replies = self._ask_stranger(node, deadline)
        slots, members = replies[0], replies[1]
        shards = tuple(read_slots(self._checked(node, slots), str(address[0])))
        if not shards:
            none = "no node serves a slot; the cluster is not formed yet"
            raise Unusable(UnreachableError(self._dialer.settings.address, none))
        if not isinstance(members, bytes):  # the user may not ask
            return View(shards)
        seen = read_members(members)
        return View(shards, seen.epoch, seen.ids, seen.failed, seen.own_id, seen.is_cut_off, is_appointed=node in self._seeds)

    def _ask_stranger(self, node: Node, deadline: float) -> list[Any]:
        """Ask whoever answers at an address of the settings: the whole cluster may have been made anew."""
        link = Link.open(self._dialer, node.address, deadline)
        try:
            return link.exchange(b"".join(map(pack, QUESTIONS)), len(QUESTIONS), deadline)
        finally:
            link.close()

    def _take(self, shards: tuple[Shard, ...]) -> None:
        owners: list[Node | None] = [None] * SLOT_COUNT
        replicas: dict[Node, list[Node]] = {}
        for shard in shards:
            owner = self.node_at(shard.primary)
            owners[shard.first_slot : shard.last_slot + 1] = [owner] * (shard.last_slot + 1 - shard.first_slot)
            replicas[owner] = [self._replica_at(address) for address in shard.replicas]
            for node, node_id in zip([owner, *replicas[owner]], shard.ids):
                _identify(node, node_id)
        self._owners, self._replicas, self._primaries = owners, replicas, list(replicas)
        _forget(self._nodes, {*replicas, *self._seeds})
        _forget(self._replica_nodes, {node for nodes in replicas.values() for node in nodes})

    def _replica_at(self, address: Address) -> Node:
        return self._replica_nodes.get(address) or self._replica_nodes.setdefault(address, Node(self._dialer, address, is_replica=True))

    def close(self) -> None:
        super().close()
        for node in self._replica_nodes.values():
            node.close()


def _identify(node: Node, node_id: str) -> None:
    """Let new connections make sure that *node* is the one with this id; those to one with another id are of no use."""
    if node.identity.node_id not in ("", node_id):
        node.drop()
    node.identity = Identity("cluster", node_id=node_id)


def _forget(nodes: dict[Address, Node], kept: set[Node]) -> None:
    """Close and remove all nodes but those to keep."""
    for address, node in list(nodes.items()):
        if node not in kept:
            node.drop()
            del nodes[address]
