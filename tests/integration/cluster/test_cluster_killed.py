# SPDX-License-Identifier: MIT
"""Runs that are killed before any of their changes: the next one continues, with every key and every slot."""

from __future__ import annotations

from functools import partial

import pytest
from support.formations import Formation, Start, address, is_whole

pytestmark = pytest.mark.slow
ON_EVERY_SERVER = "full"


def test_creating_killed_before_every_change(start_nodes: Start) -> None:
    """Each run gets one change further than the one before."""
    formation = start_nodes()
    assert formation.run_killed(formation.form, every=2) > 10
    is_whole(formation, formation.nodes, 3, 1)
    assert [5461, 5461, 5462] == sorted(formation.slots().values())


def weighted(formation: Formation) -> list[dict[str, object]]:
    """Return all nodes, the last two a tenth as heavy as the others, so that few slots move."""
    light = formation.nodes[6:]
    return [{"address": address(node), "weight": 0.1 if node in light else 1} for node in formation.nodes]


def test_growing_and_shrinking_killed_again_and_again(start_nodes: Start) -> None:
    """In the first changes one after the other, then every few hundred; what moves is the same as without."""
    formation = start_nodes(8)
    six, spare = formation.nodes[:6], formation.nodes[6:]
    formation.form(six)
    wanted = formation.fill(1000)
    grow = partial(formation.form_nodes, weighted(formation))
    for change in range(2, 16):
        assert formation.killed_before(change, grow)
    assert formation.run_killed(grow, every=401) > 3
    assert {"127.0.0.7", "127.0.0.8"} & {place.split(":")[0] for place in formation.slots()}
    new = next(count for place, count in formation.slots().items() if place in {address(node) for node in spare})
    assert 527 <= new <= 529, "a tenth of a part among three and a tenth"
    assert formation.holds(wanted)
    assert [] == grow().steps

    shrink = partial(formation.form, six, spare)
    assert formation.run_killed(shrink, every=401) > 3
    is_whole(formation, six, 3, 1)
    formation.cluster.nodes = six
    assert formation.holds(wanted)
