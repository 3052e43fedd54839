# SPDX-License-Identifier: MIT
"""Prove that a cluster works: health of every primary, a value written to each, and what its members say of each other."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import Optional

from ..connect.settings import Settings
from ..connect.values import split_address
from ..errors import KeyfleetError
from ..health.model import FAILED, Check, Expect, judged
from ..health.report import HealthReport, wait_for_health
from .carry_out import disagreement
from .model import LISTED, ClusterState, Desired
from .moving import POLL_SECONDS
from .observe import connect_nodes, read_state

INVENTORY = "inventory"


def prove_cluster(
    settings: Settings, desired: Desired, *, engine: Optional[str], write_probe: bool, timeout_seconds: float
) -> HealthReport:
    """
    Return one verdict: that of every primary, as ``redis_health`` finds it, and the check ``inventory``.

    Args:
        settings: How to talk to every node.
        engine: The expected one; None accepts any.
        write_probe: Whether to write a key of keyfleet's to each primary, read it back and delete it.
        timeout_seconds: How long to wait until the verdict is not ``failed``.
    """
    end = time.monotonic() + timeout_seconds
    inventory = _check_inventory(settings, desired)
    while inventory.status == FAILED and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
        inventory = _check_inventory(settings, desired)
    through = replace(settings, cluster_nodes=tuple(split_address(node.address) for node in desired.nodes))
    report = wait_for_health(
        through,
        expect=Expect(engine=engine, role="primary", shard_replicas=desired.replicas),
        write_probe=write_probe,
        timeout_seconds=max(end - time.monotonic(), 0.0),
    )
    return HealthReport((inventory, *report.checks), report.refused)


def _check_inventory(settings: Settings, desired: Desired) -> Check:
    """Ask every node what it knows of the others."""
    try:
        observed = connect_nodes(settings, desired)
    except KeyfleetError as error:
        return Check(INVENTORY, FAILED, str(error), node="the cluster")
    try:
        state = read_state(observed, desired)
        difference = disagreement([node for name, node in observed.nodes.items() if name in state.members])
    except KeyfleetError as error:
        return Check(INVENTORY, FAILED, str(error), node="the cluster")
    finally:
        observed.close()
    return replace(judge_inventory(state, difference), node="the cluster")


def judge_inventory(state: ClusterState, difference: str) -> Check:
    """
    Judge what all nodes say together; pure. The check ``members`` has the replicas of each shard.

    Args:
        difference: What they do not agree on; empty if they agree.
    """
    members = state.members.values()
    replicas = Counter(node.primary for node in members if node.is_reachable and node.primary is not None)
    owners = [state.members[name] for name in dict.fromkeys(owner for owner in state.owners if owner is not None)]
    lost = [node.address for node in owners if not node.is_reachable]
    strangers = [node.address for node in members if node.kind == LISTED and node.primary is None and node not in owners]
    unowned = sum(owner is None for owner in state.owners)
    problems = [
        (FAILED, difference),
        (FAILED, f"{unowned} slots belong to no node" if unowned else ""),
        (FAILED, f"{', '.join(lost)}: owners of slots that do not answer" if lost else ""),
        (FAILED, f"{', '.join(strangers)}: primaries without slots" if strangers else ""),
    ]
    found = {"shards": len(owners), "nodes": len(state.members), "replicas": sum(replicas.values())}
    return judged(INVENTORY, found, [problem for problem in problems if problem[1]])
