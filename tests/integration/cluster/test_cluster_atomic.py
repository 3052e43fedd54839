# SPDX-License-Identifier: MIT
"""Slots that move atomically; collected where scripts/servers could make Valkey 9.1."""

from __future__ import annotations

import pytest
from support.formations import Start, is_whole

pytestmark = pytest.mark.slow
ENGINE = "valkey-9.1"


def test_growing_and_shrinking_atomically(start_nodes: Start) -> None:
    """No key is sent by MIGRATE, and none is lost; a run that is killed while slots move finds them moved."""
    formation = start_nodes(8, engine=ENGINE)
    six, spare = formation.nodes[:6], formation.nodes[6:]
    formation.form(six)
    wanted = formation.fill()
    assert formation.killed_before(20, formation.form) or formation.slots()
    outcome = formation.form()
    assert 0 == outcome.keys
    assert [] == formation.form().steps
    assert dict.fromkeys(formation.slots(), 4096) == formation.slots()
    assert formation.holds(wanted)
    assert 4096 == formation.form(six, spare).slots
    formation.cluster.nodes = six
    is_whole(formation, six, 3, 1)
    assert formation.holds(wanted)
