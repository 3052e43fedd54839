# SPDX-License-Identifier: MIT
"""Primaries that fail, with and without a copy of what they held."""

from __future__ import annotations

import pytest
from keyfleet.core.errors import RefusedError, UnreachableError
from support.formations import Start, address, is_whole


def test_most_primaries_fail(start_nodes: Start) -> None:
    """Two of three are gone, so the cluster elects no replica; those take over, and the dead are forgotten."""
    formation = start_nodes()
    formation.form()
    wanted = formation.fill()
    dead = formation.cluster.primaries()[:2]
    left = [node for node in formation.nodes if node not in dead]
    formation.cluster.wait_until_in_sync()
    for node in dead:
        node.kill()
    with pytest.raises(UnreachableError, match=address(dead[0])):
        formation.form(left + dead[:1], dead[1:])
    for node in left:
        for gone in dead:
            formation.wait_until_failed(formation.cluster.known_id(gone), node)
    outcome = formation.form(left, dead, replicas=0, shards=3)
    assert 2 == sum("take over (takeover)" in step for step in outcome.steps)
    formation.cluster.nodes = left
    assert formation.holds(wanted)
    assert [] == formation.form(left, dead, replicas=0, shards=3).steps


def test_a_primary_without_replica_is_lost(start_nodes: Start) -> None:
    """Its data is gone: refused, until the user agrees; what the others hold stays."""
    formation = start_nodes(3)
    formation.form(replicas=0)
    lost = formation.nodes[1]
    former = formation.lose(lost)
    for node in (formation.nodes[0], formation.nodes[2]):
        formation.wait_until_failed(former, node, flags=["fail"])
    formation.start_anew(lost)
    with pytest.raises(RefusedError, match=r"is gone, it owned slots 5462-10922, and no replica of it is left.*assign_lost_slots"):
        formation.form(replicas=0)
    formation.form(replicas=0, assign_lost_slots=True)
    is_whole(formation, formation.nodes, 3, 0)
    assert formation.holds(formation.fill())
