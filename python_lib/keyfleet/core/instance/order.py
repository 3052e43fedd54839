# SPDX-License-Identifier: MIT
"""In which order instances restart, over all hosts of a deployment, and take each other's ports on one; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional

from ..errors import RefusedError


def next_restart(waiting: Mapping[str, Sequence[str]]) -> Optional[tuple[str, str]]:
    """
    Return host and name of the instance that restarts next; None if none waits.

    It is asked anew after each restart, so that one instance is down at a time over all hosts, and what a restart changed counts.

    Args:
        waiting: Names of the instances that still wait, by host, in the order of the inventory.
    """
    return next(((host, name) for host, names in waiting.items() for name in names), None)


class PortMove(NamedTuple):
    """
    The TCP port of an instance; 0 for none.

    Attributes:
        before, after: The one that it has before and after a run of ``redis_instances``.
        at_restart: The one that it gets with a restart later; 0 if that is none, or none is needed.
    """

    before: int
    after: int
    at_restart: int = 0


def port_order(moves: Mapping[str, PortMove]) -> tuple[list[str], list[str]]:
    """
    Return in which order instances change, so that none takes a port that another still has, and which must be parked first.

    Instances that swap ports, in pairs or in a ring, wait for each other; one of each ring leaves its port for a free one before.

    Args:
        moves: By name, in the order in which they would go otherwise.
    Raises:
        RefusedError: if one would take a port that another has until its restart, or both wait for a restart.
    """
    for name, move in moves.items():
        for other, its in moves.items():
            if other != name and move.at_restart and move.at_restart == its.after:
                raise _waits(name, move.at_restart, other)
    holders = {move.before: name for name, move in moves.items() if move.before}
    waits_for: dict[str, str] = {}
    for name, move in moves.items():
        holder = holders.get(move.after) if move.after != move.before else None
        if holder is None or holder == name:
            continue
        if moves[holder].after == move.after:
            raise _waits(name, move.after, holder)
        waits_for[name] = holder
    parked = _one_of_each_ring(waits_for)
    order: list[str] = []
    for name in moves:
        chain = [name]
        while (holder := waits_for.get(chain[-1], "")) and holder not in (*parked, *order, *chain):
            chain.append(holder)
        order += [one for one in reversed(chain) if one not in order]
    return order, parked


def _waits(name: str, port: int, holder: str) -> RefusedError:
    return RefusedError(
        f"instance {name} shall have port {port}, which instance {holder} has until its restart: give {holder} its new place in one run, "
        f"and {name} the port in the next"
    )


def _one_of_each_ring(waits_for: Mapping[str, str]) -> list[str]:
    parked: list[str] = []
    for name in waits_for:
        chain = [name]
        while (following := waits_for.get(chain[-1])) is not None and following not in chain:
            chain.append(following)
        ring = chain[chain.index(following) :] if following is not None else []
        if ring and not set(ring) & set(parked):
            parked.append(ring[0])
    return parked
