# SPDX-License-Identifier: MIT
"""Nodes on loopback that become a cluster by the library, as the module redis_cluster forms it."""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keyfleet.core.cluster.carry_out import disagreement
from keyfleet.core.cluster.converge import ClusterOutcome, converge
from keyfleet.core.cluster.model import SLOTS, ClusterState, Limits
from keyfleet.core.cluster.observe import connect_nodes, read_state
from keyfleet.core.cluster.validation import parse_desired
from keyfleet.core.connect.node import KILL_VARIABLE
from keyfleet.core.connect.settings import Settings
from keyfleet.core.instance.model import BUS_OFFSET
from keyfleet.testing._cluster import Cluster, node_starter
from keyfleet.testing._cluster_nodes import view
from keyfleet.testing._replication import clients_of
from keyfleet.testing._server import Server, free_port, wait_until

PASSWORD = "battery-staple"


def address(node: Server) -> str:
    """Return ``host:port`` of a node."""
    return f"{node.host}:{node.port}"


def killed_before(change: int, work: Callable[[], object]) -> bool:
    """Do some work in a process that kills itself before its change of this number; return whether it got there."""
    pid = os.fork()
    if pid == 0:
        try:
            os.environ[KILL_VARIABLE] = str(change)
            work()
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    _pid, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or 0 == os.WEXITSTATUS(status), "the run failed; its error is above"
    return os.WIFSIGNALED(status)


class Formation:
    """
    Some nodes that know each other or not.

    Attributes:
        cluster: The nodes; its methods need them formed.
        port: Of all nodes.
        folder: Holds a folder for each node, named after its host.
    """

    def __init__(self, folder: Path, engine: str = "redis-7.0", count: int = 6, directives: dict[str, Any] | None = None) -> None:
        self.port = free_port(*[f"127.0.0.{number}" for number in range(1, count + 3)], bus=True)
        bus = {"cluster-port": self.port + BUS_OFFSET}  # which stays, as with nodes of the role, when TLS gets a port
        starter = node_starter(folder, self.port, PASSWORD, engine=engine, directives={**bus, **(directives or {})})
        self.folder, self.cluster = folder, Cluster(PASSWORD, starter)
        for _unused in range(count):
            self.cluster.start_one()

    @property
    def nodes(self) -> list[Server]:
        """All nodes."""
        return self.cluster.nodes

    def desired(self, nodes: Sequence[Server] | None = None, retired: Iterable[Server] = (), **options: Any) -> Any:
        """Return the desired cluster of *nodes*, all of them if not given."""
        listed = [{"address": address(node)} for node in (self.nodes if nodes is None else nodes)]
        return parse_desired(listed, [address(node) for node in retired], **options)

    def settings(self) -> Settings:
        """Return the credentials of all nodes."""
        return Settings(password=PASSWORD, timeout_seconds=5.0)

    def form(
        self, nodes: Sequence[Server] | None = None, retired: Iterable[Server] = (), *, check: bool = False, **options: Any
    ) -> ClusterOutcome:
        """Do what the module does."""
        return converge(self.settings(), self.desired(nodes, retired, **options), Limits(wait_seconds=30), check=check)

    def form_nodes(self, nodes: Sequence[Mapping[str, Any]], *, check: bool = False, **options: Any) -> ClusterOutcome:
        """Do what the module does with nodes as its option has them."""
        return converge(self.settings(), parse_desired(nodes, **options), Limits(wait_seconds=30), check=check)

    def state(self, nodes: Sequence[Server] | None = None) -> ClusterState:
        """Return what the nodes say."""
        desired = self.desired(nodes)
        observed = connect_nodes(self.settings(), desired)
        try:
            return read_state(observed, desired)
        finally:
            observed.close()

    def killed_before(self, change: int, work: Callable[[], object]) -> bool:
        """Do some work in a process that kills itself before its change of this number; return whether it got there."""
        return killed_before(change, work)

    def run_killed(self, work: Callable[[], object], every: int, most: int = 200) -> int:
        """Run *work* again and again, killed before its change number *every*, until one run needs fewer; return how many were killed."""
        for number in range(most):
            if not self.killed_before(every, work):
                return number
        raise AssertionError(f"{most} runs did not come to an end")

    def fill(self, count: int = 500) -> dict[str, str]:
        """Write keys of many slots, after which the cluster has no others, and return them."""
        for node in self.cluster.primaries():
            self.run_on(node, "FLUSHALL")
        client = self.cluster.client()
        wanted = {f"key:{number}": str(number) for number in range(count)}
        for key, value in wanted.items():
            client.set(key, value)
        client.close()
        return wanted

    def holds(self, wanted: dict[str, str]) -> bool:
        """Whether the cluster has these keys, each once."""
        client = self.cluster.client()
        try:
            found = {key: client.get(key) for key in wanted}
        finally:
            client.close()
        with clients_of(self.cluster.primaries()) as clients:
            stored = sum(int(client.dbsize()) for client in clients)
        return found == {key: value.encode() for key, value in wanted.items()} and stored == len(wanted)

    def slots(self, nodes: Sequence[Server] | None = None) -> dict[str, int]:
        """Return how many slots each primary owns, by address."""
        state = self.state(nodes)
        return dict(Counter(state.members[owner].address if owner else "" for owner in state.owners))

    def id_of(self, node: Server) -> str:
        """Return the id of a node, as it says."""
        with clients_of([node]) as (client,):
            return str(client.execute_command("CLUSTER", "MYID").decode())

    def run_on(self, node: Server, *command: Any) -> Any:
        """Run a command on a node."""
        with clients_of([node]) as (client,):
            return client.execute_command(*command)

    def lose(self, node: Server) -> str:
        """Kill a node, wait until its shard serves again if it has a replica, and lose its files; return its former id."""
        former = self.id_of(node)
        replicas = self.cluster.replicas_of(node)
        node.kill()
        (self.folder / node.host / "nodes.conf").unlink()
        if replicas:
            wait_until(lambda: any(self.run_on(found, "ROLE")[0] == b"master" for found in replicas), "a replica to take over", 30)
        return former

    def start_anew(self, node: Server) -> None:
        """Start a node whose files are lost: it has another id."""
        node.start()
        self.cluster.remember(node)

    def wait_until_known(self, node: str) -> None:
        """Wait until all nodes have the id in their tables."""
        with clients_of(self.nodes) as clients:
            wait_until(lambda: all(node in view(client) for client in clients), "a node to be known", 30)

    def wait_until_failed(self, node: str, on: Server, flags: Sequence[str] = ("fail", "fail?")) -> None:
        """Wait until the node *on* takes the node with this id for failed; by default it is enough to suspect it."""
        with clients_of([on]) as (client,):
            wait_until(lambda: not view(client)[node].flags.isdisjoint(flags), "a node to be called failed", 30)


Start = Callable[..., Formation]
"""Starts so many servers that know no other; they end with the test."""


def is_whole(formation: Formation, nodes: Sequence[Server], shards: int, replicas: int) -> None:
    """Assert that these nodes and no others are a cluster of so many shards, all slots served, and a run changes nothing."""
    state = formation.state(nodes)
    assert {address(node) for node in nodes} == {member.address for member in state.members.values()}
    owners = {owner for owner in state.owners if owner}
    assert shards == len(owners)
    assert None not in state.owners
    behind = Counter(member.primary for member in state.members.values() if member.primary)
    assert dict.fromkeys(owners, replicas) == {owner: behind[owner] for owner in owners}
    observed = connect_nodes(formation.settings(), formation.desired(nodes))
    try:
        assert "" == disagreement(list(observed.nodes.values()))
    finally:
        observed.close()
    assert SLOTS == len(state.owners)
    assert [] == formation.form(nodes, replicas=replicas).steps
