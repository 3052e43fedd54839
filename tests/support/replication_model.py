# SPDX-License-Identifier: MIT
"""
A model of servers that replicate, on which the steps of a plan are taken one by one.

It knows nothing of the planner. Every write has a number of its own, so a lost one shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from keyfleet.core.replication.model import (
    LISTED,
    NO_HISTORY,
    Attach,
    Await,
    HandOver,
    Member,
    Promote,
    ReplicationState,
    Step,
)


@dataclass
class ModelServer:
    """One server; its offset is the number of writes in its stream."""

    address: str
    kind: str = LISTED
    alive: bool = True
    follows: Optional[str] = None
    linked: bool = True
    writes: frozenset[int] = frozenset()
    offset: int = 0
    history: str = ""
    former_history: str = NO_HISTORY
    former_until: int = -1


@dataclass
class ModelReplication:
    """
    Servers, and whom Sentinels name.

    Attributes:
        servers: By address.
        named: As in ReplicationState.
    """

    servers: dict[str, ModelServer] = field(default_factory=dict)
    named: Optional[str] = None
    numbers: int = 0

    def number(self) -> int:
        """Return a number that was never used."""
        self.numbers += 1
        return self.numbers

    def add(self, kind: str = LISTED) -> ModelServer:
        """Add an empty primary."""
        server = ModelServer(f"10.0.0.{len(self.servers) + 1}:6379", kind, history=f"{self.number():040x}")
        self.servers[server.address] = server
        return server

    def write(self, server: ModelServer) -> None:
        """Write to a primary; connected replicas get it too."""
        if server.alive and server.follows is None:
            server.writes, server.offset = server.writes | {self.number()}, server.offset + 1
            for replica in self.copies(server):
                self.sync(replica)

    def copies(self, server: ModelServer) -> list[ModelServer]:
        """Return the connected replicas of a server."""
        return [one for one in self.servers.values() if one.alive and one.linked and one.follows == server.address]

    def sync(self, replica: ModelServer) -> None:
        """Let a replica have what its source has; an empty source empties it."""
        source = self.servers[replica.follows or ""]
        assert source.writes >= replica.writes or replica.writes <= self.expendable, f"{replica.address} lost writes to {source.address}"
        replica.writes, replica.offset, replica.history = source.writes, source.offset, source.history
        replica.former_history, replica.former_until, replica.linked = source.former_history, source.former_until, True

    def promote(self, server: ModelServer) -> None:
        """Make a replica a primary."""
        server.former_history, server.former_until = server.history, server.offset + 1
        server.history, server.follows, server.linked = f"{self.number():040x}", None, True

    def restart(self, server: ModelServer) -> None:
        """Start a primary again with its data: its history is new, and its replicas are not connected yet."""
        server.history, server.former_history, server.former_until = f"{self.number():040x}", NO_HISTORY, -1

    expendable: frozenset[int] = frozenset()
    """Writes that may be lost: those that the user gave up, or that only a primary had which Sentinels replaced."""

    def take(self, step: Step) -> None:
        """Take one step, as servers do."""
        if isinstance(step, Promote):
            self.promote(self.servers[step.member])
            return
        if isinstance(step, HandOver):
            old, new = self.servers[step.primary], self.servers[step.successor]
            assert new.follows == old.address
            assert new.linked, "a handover to a replica that is not in sync"
            self.sync(new)
            self.promote(new)
            old.follows, self.named = new.address, new.address if self.named else None
            self.sync(old)
            return
        assert isinstance(step, (Attach, Await))
        member, primary = self.servers[step.member], self.servers[step.primary]
        assert member.address != primary.address
        if isinstance(step, Await):
            assert member.follows == primary.address
        member.follows = primary.address
        self.sync(member)

    def state(self, watched: bool = False) -> ReplicationState:
        """Return what the servers report."""
        members = {}
        for server in sorted(self.servers.values(), key=lambda one: one.kind != LISTED):
            if server.alive:
                members[server.address] = Member(
                    server.address,
                    server.kind,
                    server.follows,
                    server.linked and (server.follows is None or self.servers[server.follows].alive),
                    server.offset,
                    server.history,
                    server.former_history,
                    server.former_until,
                    len(server.writes),
                    len(self.copies(server)),
                )
        unreachable = tuple(server.address for server in self.servers.values() if not server.alive)
        return ReplicationState(members, unreachable, self.named, frozenset(members) if watched else frozenset())
