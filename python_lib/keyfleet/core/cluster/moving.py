# SPDX-License-Identifier: MIT
"""
Slots with their keys from one primary to another, in the background of clients: atomically where both servers can, else key by key.

Source:
    CLUSTER SETSLOT and MIGRATE as the Redis Cluster specification describes them; CLUSTER MIGRATESLOTS of Valkey 9. The server's own
    ``--cluster`` tool is not called: it is not on every host that runs a module, takes the password on its command line or in the
    environment, and does not continue what it was killed in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ServerError, UnreachableError
from .model import Limits, ranges
from .node import Node
from .steps import Move

SHORT_CALL_SECONDS, LONG_CALL_SECONDS = 0.003, 0.010  # a source serves no client during a MIGRATE
FIRST_BATCH = 10
POLL_SECONDS = 0.05
ENDED = {"success", "failed", "cancelled", "canceled"}


@dataclass
class Progress:
    """
    What has moved so far.

    Attributes:
        report: Called with a sentence every few seconds.
        slots, keys: Counts; keys that move atomically are not counted.
        total: Slots to move.
    """

    report: Callable[[str], None]
    slots: int = 0
    keys: int = 0
    total: int = 0
    _reported: float = 0.0

    def add(self, slots: int, source: Node, target: Node) -> None:
        """Count *slots* and report every five seconds."""
        self.slots += slots
        if time.monotonic() - self._reported > 5:
            self._reported = time.monotonic()
            self.report(f"moved {self.slots} of {self.total} slots with {self.keys} keys; now from {source.address} to {target.address}")


def next_batch(size: int, seconds: float, most: int) -> int:
    """Return how many keys the next MIGRATE takes, after one of *size* keys took so many *seconds*."""
    if seconds > LONG_CALL_SECONDS:
        return max(1, size // 2)
    return min(most, 2 * size) if seconds < SHORT_CALL_SECONDS else min(most, size)


class Mover:
    """
    Moves slots.

    Args:
        others: Returns all primaries that answer; they learn of every slot that has moved.
    """

    def __init__(self, limits: Limits, progress: Progress, others: Callable[[], Sequence[Node]]) -> None:
        self.limits, self.progress, self.others = limits, progress, others
        self.batch = min(FIRST_BATCH, limits.keys)

    def move(self, source: Node, target: Node, slots: Sequence[int]) -> None:
        """Move *slots* key by key. What an earlier run has begun is continued."""
        for start in range(0, len(slots), self.limits.slots):
            some = slots[start : start + self.limits.slots]
            self._open(source, target, some)
            self._drain(source, target, some)
            self._settle(source, target, some)
            self.progress.add(len(some), source, target)

    def _open(self, source: Node, target: Node, slots: Sequence[int]) -> None:
        """Mark the target first: it may be asked for keys as soon as the source is marked."""
        importing = [("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id) for slot in slots]
        target.change(*importing, problem="cannot begin to take slots", ignore="already the owner")
        migrating = [("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id) for slot in slots]
        source.change(*migrating, problem="cannot begin to give slots", ignore="not the owner")

    def _drain(self, source: Node, target: Node, slots: Sequence[int]) -> None:
        """Move all keys of *slots*. The source's copy replaces one at the target: clients have used it for as long as it was there."""
        filled = list(slots)
        while filled:
            listing = [("CLUSTER", "GETKEYSINSLOT", slot, self.batch) for slot in filled]
            found = dict(zip(filled, source.ask(*listing, problem="cannot list keys")))
            filled = [slot for slot, keys in found.items() if keys]
            for slot in filled:
                started = time.monotonic()
                migrate_keys(source, target, found[slot], replace=True)
                self.progress.keys += len(found[slot])
                self.batch = next_batch(len(found[slot]), time.monotonic() - started, self.limits.keys)

    def _settle(self, source: Node, target: Node, slots: Sequence[int]) -> None:
        """Let the target own the slots, before the source stops to: a slot never is without owner."""
        commands = [("CLUSTER", "SETSLOT", slot, "NODE", target.id) for slot in slots]
        target.change(*commands, problem="cannot take slots over")
        # one that has no slots any more becomes a replica meanwhile: Valkey 8 says UNBLOCKED to a command that waits, and hangs up
        try:
            source.change(*commands, problem="cannot give slots up", ignore="with masters|with primaries|UNBLOCKED")
        except UnreachableError:
            owned = {slot for first, last in source.read().own.slots for slot in range(first, last + 1)}
            if not owned.isdisjoint(slots):
                raise
        for other in self.others():
            if other.id not in (source.id, target.id):
                other.change(
                    *commands, problem="cannot note the new owner", ignore="with masters|with primaries|nknown node|know about node"
                )

    def move_atomically(self, moves: Sequence[tuple[Node, Node, Move]]) -> None:
        """
        Let the servers move slots to one target, all sources at a time, and wait for them.

        The server refuses while any slot is open on the target, so the mark of a shard that is being filled is taken off first. All
        commands are sent before the first wait: from then on the servers finish without this process.
        """
        target = moves[0][1]
        marks = target.read().own.importing
        target.change(*(("CLUSTER", "SETSLOT", slot, "STABLE") for slot in marks), problem="cannot end the open state of slots")
        for source, _target, step in moves:
            bounds = [bound for pair in ranges(step.slots) for bound in pair]
            source.change(("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *bounds, "NODE", target.id), problem="cannot move slots")
        for source, _target, step in moves:
            wait_for_jobs(source)
            state, message = jobs(source)[0]
            if state != "success":
                again = [("CLUSTER", "SETSLOT", slot, "IMPORTING", owner) for slot, owner in marks.items()]
                target.change(*again, problem="cannot reserve a slot", ignore="already the owner")
                raise ServerError(f"moving slots to {target.address} ended as {state}: {message}", source.address)
            self.progress.add(len(step.slots), source, target)

    def bring_back(self, stray: Node, owner: Node, slot: int) -> None:
        """
        Send keys of *slot* from *stray* to its *owner*, which no longer sends clients to *stray*.

        The owner's copy of a key is the newer one, since clients use it alone; it is kept, and the other one is deleted.
        """
        stray.change(("CLUSTER", "SETSLOT", slot, "IMPORTING", owner.id), problem="cannot open a slot", ignore="already the owner")
        while True:
            (keys,) = stray.ask(("CLUSTER", "GETKEYSINSLOT", slot, 1), problem="cannot list keys")
            if not keys:
                return
            try:
                migrate_keys(stray, owner, keys, replace=False)
                self.progress.keys += len(keys)
            except ServerError as error:
                if "BUSYKEY" not in error.reason:
                    raise
                stray.change(("ASKING",), ("DEL", *keys), problem="cannot delete a key that its owner has")


def migrate_keys(source: Node, target: Node, keys: Sequence[bytes], *, replace: bool) -> None:
    """Send *keys* of one slot with one MIGRATE."""
    settings = source.settings
    credentials: list[Any] = []
    if settings.password is not None:
        credentials = ["AUTH2", settings.username, settings.password] if settings.username else ["AUTH", settings.password]
    timeout_ms = max(1000, int(settings.timeout_seconds * 500))
    place = target.entry
    options = (["REPLACE"] if replace else []) + credentials
    source.change(("MIGRATE", place.host, place.port, "", 0, timeout_ms, *options, "KEYS", *keys), problem="cannot move keys")


def can_move_atomically(nodes: Sequence[Node]) -> bool:
    """Whether all servers know CLUSTER MIGRATESLOTS."""
    helps = [node.ask(("CLUSTER", "HELP"), problem="cannot be asked for its commands")[0] for node in nodes]
    return all(any(b"MIGRATESLOTS" in line for line in lines) for lines in helps)


def jobs(node: Node) -> list[tuple[str, str]]:
    """Return state and message of the atomic moves that *node* gives or takes, the newest first."""
    (found,) = node.ask(("CLUSTER", "GETSLOTMIGRATIONS"), problem="cannot be asked for moving slots")
    listed = [dict(zip(job[::2], job[1::2])) if isinstance(job, list) else job for job in found]
    return [(_text(job[b"state"]), _text(job[b"message"])) for job in listed]


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def wait_for_jobs(node: Node) -> None:
    """Wait until no atomic move of *node* is under way; the server itself ends one that makes no progress."""
    while any(state not in ENDED for state, _message in jobs(node)):
        time.sleep(POLL_SECONDS)


def by_target(steps: Sequence[Move]) -> Iterator[list[Move]]:
    """Yield runs of moves to the same target."""
    found: list[Move] = []
    for step in steps:
        if found and found[0].target != step.target:
            yield found
            found = []
        found.append(step)
    if found:
        yield found
