# SPDX-License-Identifier: MIT
"""A Redis or Valkey Cluster of child processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from ..core.connect.client import connect
from ..core.connect.redis_py import AnyClient
from ..core.connect.settings import Settings
from ._binaries import ServerStartError
from ._cluster_nodes import SLOTS, agrees, meets, own_id, view
from ._replication import clients_of, is_in_sync
from ._server import Directives, Server, free_port, start_server, wait_until

_TIMEOUT_SECONDS = 30.0
_MIGRATE_TIMEOUT_MS = 5000


class Cluster:
    """
    A running cluster; a context manager that stops it.

    Attributes:
        nodes: All servers, the primaries first, as created; a failover changes roles, not this list.
        password: Password of the default user, None without one.
    """

    def __init__(self, password: str | None, start_node: Callable[[str], Server]) -> None:
        self.nodes: list[Server] = []
        self.password = password
        self._start_node = start_node  # takes the address
        self._ids: dict[Server, str] = {}
        self._hosts_used = 0

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def settings(self, **changes: Any) -> Settings:
        """Return settings that name all nodes, with *changes* to single fields."""
        nodes = tuple((node.host, node.port) for node in self.nodes)
        return Settings(**{"cluster_nodes": nodes, "password": self.password, **changes})

    def client(self, **changes: Any) -> AnyClient:
        """Return a new redis-py cluster client with replies as bytes; the caller closes it."""
        return connect(self.settings(**changes))

    def stop(self) -> None:
        """Stop all nodes."""
        for node in self.nodes:
            node.kill()

    # Who is who

    def slot_of(self, key: str) -> int:
        """Return the slot of *key*, as a node computes it."""
        with clients_of(self._answering()[:1]) as clients:
            return int(clients[0].execute_command("CLUSTER", "KEYSLOT", key))

    def primaries(self) -> list[Server]:
        """Return the nodes that take themselves for primaries."""
        answering = self._answering()
        with clients_of(answering) as clients:
            return [node for node, client in zip(answering, clients) if view(client)[self._ids[node]].primary == "-"]

    def primary_of(self, key: str) -> Server:
        """
        Return the node that takes itself for the primary of *key*.

        Raises:
            ServerStartError: if none does: it is dead or frozen, and no replica has taken over yet.
        """
        slot = self.slot_of(key)
        answering = self._answering()
        with clients_of(answering) as clients:
            for node, client in zip(answering, clients):
                if view(client)[self._ids[node]].serves(slot):
                    return node
        raise ServerStartError(f"no node that answers serves {key!r}")

    def replicas_of(self, primary: Server) -> list[Server]:
        """Return the nodes that take themselves for replicas of *primary*."""
        answering = self._answering()
        with clients_of(answering) as clients:
            pairs = zip(answering, clients)
            return [node for node, client in pairs if view(client)[self._ids[node]].primary == self._ids[primary]]

    def wait_until_in_sync(self, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        """
        Wait until the running nodes agree that all slots are served, by them alone, and replicas hold what their primaries hold.

        Raises:
            ServerStartError: if they do not in time.
        """
        nodes = self._answering()
        with clients_of(nodes) as clients:
            wait_until(lambda: self._is_in_sync(nodes, clients), "the cluster's nodes to agree and be in sync", timeout_seconds)

    def _is_in_sync(self, nodes: list[Server], clients: list[AnyClient]) -> bool:
        own = [view(client)[self._ids[node]] for node, client in zip(nodes, clients)]
        serving = {node.id for node in own if node.slots or "slave" in node.flags}
        return all(agrees(client, serving) for client in clients) and is_in_sync(clients)

    def _answering(self) -> list[Server]:
        nodes = [node for node in self.nodes if node.is_running() and not node.is_paused()]
        if not nodes:
            raise ServerStartError("no node of the cluster runs")
        return nodes

    # What happens to clusters

    def kill_primary(self, key: str) -> Server:
        """Kill the primary of *key* and return it; a replica takes over after some seconds, which `wait_until_in_sync` awaits."""
        primary = self.primary_of(key)
        primary.kill()
        return primary

    def failover(self, key: str) -> Server:
        """Let a replica take over *key* without loss, wait until all nodes know, and return it."""
        primary = self.primary_of(key)
        replicas = self.replicas_of(primary)
        if not replicas:
            raise ServerStartError(f"the primary of {key!r} has no replica that runs")
        self._promote(replicas[0])
        return replicas[0]

    def _promote(self, replica: Server) -> None:
        self.wait_until_in_sync()
        with clients_of([replica]) as clients:
            clients[0].execute_command("CLUSTER", "FAILOVER")
            wait_until(lambda: bool(clients[0].info("replication")["role"] == "master"), "the replica to take over", _TIMEOUT_SECONDS)
        self.wait_until_in_sync()

    def move_slots(self, slots: Iterable[int], target: Server) -> Iterator[str]:
        """
        Move *slots* to the primary *target* key by key, as fast as this iterator is read.

            for step in cluster.move_slots([cluster.slot_of("k")], target):
                ...  # step is "open" (keys that are not there: ASK), "key" (one more has moved: TRYAGAIN for half pairs), "closed"

        An iterator left unread leaves its slot open.
        """
        for slot in slots:
            source = self._owner(slot)
            if source is not target:
                yield from self._move_slot(slot, source, target)

    def _owner(self, slot: int) -> Server:
        return next(node for node in self._answering() if self._serves(node, slot))

    def _serves(self, node: Server, slot: int) -> bool:
        with clients_of([node]) as clients:
            return view(clients[0])[self._ids[node]].serves(slot)

    def _move_slot(self, slot: int, source: Server, target: Server) -> Iterator[str]:
        auth = ["AUTH", self.password] if self.password is not None else []
        with clients_of([source, target]) as (giving, taking):
            taking.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", self._ids[source])
            giving.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", self._ids[target])
            yield "open"
            while keys := giving.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1):
                to = (target.host, target.port, "", 0, _MIGRATE_TIMEOUT_MS)
                giving.execute_command("MIGRATE", *to, *auth, "KEYS", *keys)
                yield "key"
        # The target first: what it does not own by then has no owner. The others learn it immediately, and not from gossip.
        others = [node for node in self._answering() if node not in (target, source)]
        with clients_of([target, source, *others]) as clients:
            for client in clients:
                if client.info("replication")["role"] == "master":
                    client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", self._ids[target])
        yield "closed"

    def add_node(self, replica_of: Server | None = None) -> Server:
        """Start one more node and wait until all know it: an empty primary, or a replica in sync."""
        node = self.start_one()
        nodes = self._answering()
        with clients_of(nodes) as clients:
            for other in nodes[:-1]:
                clients[-1].execute_command("CLUSTER", "MEET", other.host, other.port)
            known = len(self.nodes)
            wait_until(lambda: all(len(view(client)) >= known for client in clients), "the new node to be known", _TIMEOUT_SECONDS)
            wait_until(lambda: meets(clients[-1], len(nodes)), "the new node to meet the others", _TIMEOUT_SECONDS)
            if replica_of is not None:
                clients[-1].execute_command("CLUSTER", "REPLICATE", self._ids[replica_of])
        self.wait_until_in_sync()
        return node

    def remove_node(self, node: Server) -> None:
        """Kill a replica or an empty primary and let all others forget it."""
        self.nodes.remove(node)
        node.kill()
        with clients_of(self._answering()) as clients:
            for client in clients:
                client.execute_command("CLUSTER", "FORGET", self._ids[node])
        self.wait_until_in_sync()

    def replace_nodes(self) -> None:
        """Replace all nodes by new ones at other addresses, one after the other, without loss; roles and slots pass over."""
        for old in list(self.nodes):
            with clients_of([old]) as clients:
                primary_id = view(clients[0])[self._ids[old]].primary
            if primary_id == "-":
                self._promote(self.add_node(replica_of=old))
            else:
                self.add_node(replica_of=next(node for node in self.nodes if self._ids[node] == primary_id))
            self.remove_node(old)

    def start_one(self) -> Server:
        """Start a node at the next address, which knows no other yet."""
        self._hosts_used += 1
        node = self._start_node(f"127.0.0.{self._hosts_used}")
        self.nodes.append(node)
        self.remember(node)
        return node

    def known_id(self, node: Server) -> str:
        """Return the id that a node had when it was last asked."""
        return self._ids[node]

    def remember(self, node: Server) -> None:
        """Ask a node for its id, which is another one after its files were lost."""
        with clients_of([node]) as clients:
            self._ids[node] = own_id(clients[0])


def start_cluster(
    directory: Path | str,
    shards: int = 3,
    replicas: int = 0,
    password: str | None = None,
    *,
    engine: str = "redis",
    directives: Directives | None = None,
) -> Cluster:
    """
    Start a cluster on 127.0.0.1, 127.0.0.2 … with one port, and wait until every node sees all of it.

    Args:
        directory: Folder for the files of all nodes.
        shards, replicas: Number of primaries, and of replicas for each of them.
        password: Password of the default user on every node.
        engine, directives: As for `start_server`.
    Raises:
        ServerStartError: if a binary is missing or the cluster does not form in time.
    """
    port = free_port(*[f"127.0.0.{number}" for number in range(1, shards * (replicas + 1) + 1)], bus=True)
    cluster = Cluster(password, node_starter(directory, port, password, engine=engine, directives=directives))
    with ExitStack() as undo:
        undo.callback(cluster.stop)
        for _unused in range(shards * (replicas + 1)):
            cluster.start_one()
        _form(cluster, shards)
        undo.pop_all()
    return cluster


def node_starter(
    directory: Path | str, port: int, password: str | None = None, *, engine: str = "redis", directives: Directives | None = None
) -> Callable[[str], Server]:
    """Return a function that starts a node, which knows no other, at a loopback address; arguments as for `start_cluster`."""

    def start_node(host: str) -> Server:
        ours: dict[str, str | int] = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": 2000,
            "bind-source-addr": host,  # without it all bus connections come from 127.0.0.1 and the nodes never meet
            "replica-announce-ip": host,
            "repl-diskless-sync-delay": 0,
            "repl-ping-replica-period": 1,  # a replica is listed once its offset has moved, which this ping does
            "protected-mode": "no",  # takes 127.0.0.2 for a stranger, and nothing else can reach a loopback address
        }
        lines = {**ours, **(directives or {})}
        return start_server(Path(directory) / host, engine=engine, password=password, directives=lines, host=host, port=port)

    return start_node


def _form(cluster: Cluster, shards: int) -> None:
    """Give out the slots, introduce the nodes, attach the replicas, and wait until all agree."""
    with clients_of(cluster.nodes) as clients:
        for number, client in enumerate(clients[:shards]):
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            slots = range(SLOTS * number // shards, SLOTS * (number + 1) // shards)
            client.execute_command("CLUSTER", "ADDSLOTS", *slots)
        for client in clients:  # everyone to everyone: waiting for gossip takes longer
            for node in cluster.nodes:
                client.execute_command("CLUSTER", "MEET", node.host, node.port)
        wait_until(lambda: all(meets(client, len(clients)) for client in clients), "the cluster's nodes to meet")
        for number, client in enumerate(clients[shards:]):
            client.execute_command("CLUSTER", "REPLICATE", own_id(clients[number % shards]))
    cluster.wait_until_in_sync()
