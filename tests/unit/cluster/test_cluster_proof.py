# SPDX-License-Identifier: MIT
"""What all nodes say together is judged: each defect has its verdict, and names the node."""

from __future__ import annotations

from dataclasses import replace

import pytest
from keyfleet.core.cluster.model import SLOTS, ClusterState, Member
from keyfleet.core.cluster.proof import judge_inventory
from keyfleet.core.health.model import FAILED, OK

IDS = ("a", "b", "c")
REPLICAS = {f"{name}r": Member(f"{name}r", f"{name}r:1", primary=name) for name in IDS}
NODES = {**{name: Member(name, f"{name}:1") for name in IDS}, **REPLICAS}
OWNERS = tuple(IDS[slot % 3] for slot in range(SLOTS))


@pytest.mark.parametrize(
    ("changes", "owners", "difference", "verdict", "words"),
    [
        ({}, OWNERS, "", OK, ""),
        ({}, OWNERS, "a:1 does not call the cluster ok", FAILED, "a:1 does not call the cluster ok"),
        ({}, (None, None, *OWNERS[2:]), "", FAILED, "2 slots belong to no node"),
        ({"a": {"is_reachable": False}}, OWNERS, "", FAILED, "a:1: owners of slots that do not answer"),
        ({"cr": {"primary": None}}, OWNERS, "", FAILED, "cr:1: primaries without slots"),
        ({"cr": {"primary": "b"}}, OWNERS, "", OK, ""),
    ],
)
def test_members_are_judged(
    changes: dict[str, dict[str, object]], owners: tuple[str | None, ...], difference: str, verdict: str, words: str
) -> None:
    """Nothing is wrong with a whole cluster; where a shard lacks a replica, the check `members` says so."""
    members = {name: replace(node, **changes.get(name, {})) for name, node in NODES.items()}
    check = judge_inventory(ClusterState(members, owners), difference)
    assert (verdict, True) == (check.status, words in check.reason), check.reason
