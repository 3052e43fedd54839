# SPDX-License-Identifier: MIT
"""A replication as its servers report it, and as it should be; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Optional, Union

LISTED, RETIRED = "listed", "retired"
NO_HISTORY = "0" * 40  # as the server writes a replication id that it does not have


@dataclass(frozen=True)
class Member:
    """
    One server.

    Attributes:
        address: ``host:port`` at which it is reached; names it in a plan.
        kind: LISTED or RETIRED.
        follows: Address of the server that it replicates, in the words of `address` if that is a member; None for a primary.
        is_linked: Whether a replica is connected and has been given all of the data; True for a primary.
        offset: Position in the stream of writes, in bytes.
        history: Id of the data set with its stream of writes. A replica has its primary's.
        former_history, former_until: Id of the history that this one continues, and the offset from which it does; NO_HISTORY for none.
        keys: Number of keys in all databases.
        replicas: Number of replicas that are connected to it, members or not.
    """

    address: str
    kind: str = LISTED
    follows: Optional[str] = None
    is_linked: bool = True
    offset: int = 0
    history: str = NO_HISTORY
    former_history: str = NO_HISTORY
    former_until: int = -1
    keys: int = 0
    replicas: int = 0

    @property
    def is_primary(self) -> bool:
        """Whether it takes writes."""
        return self.follows is None

    @property
    def is_empty(self) -> bool:
        """Whether it has no keys and none copies it."""
        return self.is_primary and self.keys == 0 and self.replicas == 0

    def continues(self, other: Member) -> bool:
        """
        Return whether its data holds every write of *other*, as far as the servers can show it.

        A primary that was restarted has a new history, and writes after that leave no trace in its offset, so nothing is known of it.
        """
        if NO_HISTORY in (self.history, other.history):
            return False
        if self.history == other.history:
            return self.offset >= other.offset
        return other.history == self.former_history and other.offset < self.former_until


@dataclass(frozen=True)
class ReplicationState:
    """
    What the servers report.

    Attributes:
        members: Those that answer, by address, in the order of the inventory; retired ones last.
        unreachable: Retired addresses that do not answer.
        named: Address of the primary that Sentinels name; None without Sentinels.
        watched: Addresses of members that Sentinels know as servers of this replication. They make any of them a replica of the primary,
            so its data is theirs.
    """

    members: Mapping[str, Member]
    unreachable: tuple[str, ...] = ()
    named: Optional[str] = None
    watched: frozenset[str] = frozenset()


@dataclass(frozen=True)
class DesiredReplication:
    """
    What the user wants.

    Attributes:
        members: Addresses in the order of the inventory.
        retired: Addresses of servers that leave.
        primary: Address of the primary whose data stays where several have data of their own; None refuses that.
        service: Name of the replication for Sentinels.
        sentinels: Addresses of the Sentinels to ask.
        is_forced: Whether a replica may be promoted although its primary is gone, perhaps with writes that no replica has.
        hands_over: Whether a replica shall take over from the primary.
        min_replicas_to_write: Number of connected replicas without which the primary refuses writes; None leaves it as it is.
    """

    members: tuple[str, ...]
    retired: tuple[str, ...] = ()
    primary: Optional[str] = None
    service: str = ""
    sentinels: tuple[str, ...] = ()
    is_forced: bool = False
    hands_over: bool = False
    min_replicas_to_write: Optional[int] = None


@dataclass(frozen=True)
class Promote:
    """Make a replica whose primary is gone the primary."""

    member: str


@dataclass(frozen=True)
class Attach:
    """Let a server copy the primary, and wait until it has all data."""

    member: str
    primary: str


@dataclass(frozen=True)
class Await:
    """Wait until a replica of the primary has all data."""

    member: str
    primary: str


@dataclass(frozen=True)
class HandOver:
    """Let a replica take over from the primary, without a lost write."""

    primary: str
    successor: str


Step = Union[Promote, Attach, Await, HandOver]


@dataclass(frozen=True)
class ReplicationPlan:
    """
    What to do.

    Attributes:
        steps: In order; empty if the replication is as desired.
        primary: Address of the primary afterwards.
        after: The state that the steps lead to.
    """

    steps: tuple[Step, ...] = ()
    primary: str = ""
    after: ReplicationState = field(default_factory=lambda: ReplicationState({}))

    @property
    def hands_over(self) -> bool:
        """Whether one of the steps is a handover."""
        return any(isinstance(step, HandOver) for step in self.steps)


def describe_state(members: Iterable[Member]) -> str:
    """Return a line for each server."""
    return "".join(f"{member.address}: {describe_member(member)}\n" for member in sorted(members, key=lambda one: one.address))


def describe_member(member: Member) -> str:
    """Return role and link of a server."""
    if member.is_primary:
        return "primary"
    return f"replica of {member.follows}{'' if member.is_linked else ', not in sync'}"


def describe_step(step: Step) -> str:
    """Return a phrase that says what *step* does."""
    if isinstance(step, Promote):
        return f"make {step.member} the primary, since its own is gone"
    if isinstance(step, HandOver):
        return f"hand over from {step.primary} to {step.successor}"
    if isinstance(step, Await):
        return f"wait until {step.member} has all data of {step.primary}"
    assert isinstance(step, Attach)  # noqa: S101 - all others are above
    return f"make {step.member} a replica of {step.primary}"
