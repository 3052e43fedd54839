# SPDX-License-Identifier: MIT
"""
A replica takes over from the primary without a lost write, whoever leads it: the server, or Sentinels.

Source:
    FAILOVER pauses writes, waits until the replica has all and swaps the roles (Redis 6.2, https://redis.io/docs/latest/commands/failover/).
    SENTINEL FAILOVER alone promotes a replica while clients still write to the primary; docs/topologies/replication.md has the figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Optional

from ..connect.node import reach_step
from ..errors import ServerError
from .model import RETIRED
from .node import ReplicationNode
from .observe import Observed, read_view
from .sentinels import Sentinel

POLL_SECONDS = 0.05
PAUSE_SECONDS = 10.0  # longest time in which clients cannot write; the server itself ends it

Wait = Callable[[Callable[[], str]], None]


def hand_over(observed: Observed, service: str, primary: ReplicationNode, successor: ReplicationNode, wait: Wait) -> str:
    """
    Let *successor* take over from *primary*; Sentinels choose the replica themselves where they watch.

    Args:
        wait: Polls a function until it names nothing that is missing.
    Returns:
        Address of the server that took over.
    Raises:
        ServerError: if it did not happen; the primary is then what it was.
    """
    if not observed.sentinels:
        _by_server(primary, successor, wait)
        return successor.address
    _keep_out(observed, primary)
    wait(lambda: _no_candidate(observed, service))
    if not observed.sentinels[0].fail_over(service, coordinated=True):
        _with_paused_writes(observed, service, primary, observed.sentinels[0])
    wait(lambda: _not_taken_over(observed, service, primary))
    return next(address for address, node in observed.nodes.items() if node.report.follows is None)


def _by_server(primary: ReplicationNode, successor: ReplicationNode, wait: Wait) -> None:
    """
    Let the servers swap roles with FAILOVER, and write both roles into their files.

    FAILOVER pauses writes until the replica has all of them, so a replica that is far behind is waited for first, while clients still
    write. The command returns before the swap and reports no failure later: the primary's role says whether it happened. The successor
    writes its role first: a run that is killed in between leaves two files of a primary, which `start_role` can decide between, and not
    two of replicas of each other.
    """
    wait(lambda: behind(primary, successor))
    place = next((place for place in primary.report.replicas if place in successor.places), None)
    if place is None:  # it announces another address
        (place,) = primary.report.replicas if len(primary.report.replicas) == 1 else (None,)
    if place is None:
        raise ServerError(f"cannot hand over: it does not know {successor.address} as its replica by that address", primary.address)
    milliseconds = int(PAUSE_SECONDS * 1000)
    words = ("FAILOVER", "TO", *place, "TIMEOUT", milliseconds)
    primary.change(words, problem=f"cannot hand over to {successor.address}", ignore="already in progress|when server is a replica")
    deadline = time.monotonic() + PAUSE_SECONDS + 1
    while primary.read().follows is None:
        if time.monotonic() > deadline:
            raise ServerError(f"did not hand over to {successor.address} in {PAUSE_SECONDS:g} s, and stays the primary", primary.address)
        time.sleep(POLL_SECONDS)
    wait(lambda: "" if successor.read().follows is None else f"{successor.address} has not taken over")
    for node in (successor, primary):
        node.persist()


def _keep_out(observed: Observed, primary: ReplicationNode) -> None:
    """Let Sentinels promote no replica that leaves; the running process alone is changed."""
    for address, node in observed.nodes.items():
        if observed.kinds[address] == RETIRED and node is not primary:
            node.change(("CONFIG", "SET", "replica-priority", 0), problem="cannot be kept from being promoted")


def _no_candidate(observed: Observed, service: str) -> str:
    """Return which replica a Sentinel has not seen yet to be in sync, or to leave; it asks each every ten seconds."""
    sentinel = observed.sentinels[0]
    view = sentinel.watched(service)
    candidates = {observed.address_of(place, {}) for place in view.candidates} if view else set[str]()
    leaving = [address for address in candidates if observed.kinds.get(address) == RETIRED]
    if leaving:
        return f"the Sentinel {sentinel.address} would still promote {', '.join(leaving)}"
    return "" if candidates else f"the Sentinel {sentinel.address} knows no replica of {service} that could take over"


def behind(primary: ReplicationNode, replica: ReplicationNode) -> str:
    """Return what a replica still lacks to take over; empty if it has all that the primary had when it was asked."""
    offset, report = primary.read().offset, replica.read()
    if not report.is_linked or report.history != primary.report.history:
        return f"{replica.address} has no connection to {primary.address}, or not all of its data"
    return "" if report.offset >= offset else f"{replica.address} is {offset - report.offset} bytes behind {primary.address}"


def _with_paused_writes(observed: Observed, service: str, primary: ReplicationNode, sentinel: Sentinel) -> None:
    """
    Promote while no client can write, and turn the old primary before clients may again.

    A run that is killed in between leaves a primary whose writes are paused for PAUSE_SECONDS. Either the failover was not begun, and it
    stays the primary, or Sentinel turns it into a replica meanwhile.
    """
    replicas = [node for node in observed.nodes.values() if node.read().follows is not None]
    deadline = time.monotonic() + PAUSE_SECONDS
    try:
        primary.change(("CLIENT", "PAUSE", int(PAUSE_SECONDS * 1000), "WRITE"), problem="cannot pause writes")
        promoted: Optional[ReplicationNode] = None
        while any(behind(primary, node) for node in replicas):
            _refuse_late(deadline, primary, "no replica had all data in time")
        reach_step("failover")
        sentinel.fail_over(service, coordinated=False)
        while promoted is None:
            promoted = next((node for node in replicas if node.read().follows is None), None)
            _refuse_late(deadline, primary, "no replica was promoted in time")
        reach_step("follow")
        # Sentinel would do so seconds later, and lose what clients that are still connected write to the old primary until then.
        primary.change(("REPLICAOF", *_place(promoted)), problem="cannot become a replica")
        reach_step("unpause")
    finally:
        primary.change(("CLIENT", "UNPAUSE"), problem="cannot let clients write again")


def _place(node: ReplicationNode) -> tuple[str, int]:
    return node.settings.host, node.settings.port


def _refuse_late(deadline: float, primary: ReplicationNode, reason: str) -> None:
    if time.monotonic() > deadline:
        raise ServerError(f"cannot hand over: {reason}; it stays the primary", primary.address)
    time.sleep(POLL_SECONDS / 10)


def _not_taken_over(observed: Observed, service: str, primary: ReplicationNode) -> str:
    """Return what is missing until Sentinels name another primary, and the old one is its replica."""
    view = read_view(observed, service)
    if view is None:
        return f"the Sentinels do not agree on the primary of {service} yet"
    reports = {address: node.read() for address, node in observed.nodes.items()}
    named = observed.address_of(view.primary, reports)
    if named == primary.address or (named in reports and reports[named].follows is not None):
        return f"the Sentinels still name {named}"
    return "" if reports[primary.address].follows is not None else f"{primary.address} is no replica yet"
