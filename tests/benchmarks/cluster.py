# SPDX-License-Identifier: MIT
"""
Measure clusters: the planner alone on simulated ones, then the library and ``site.yml`` on loopback.

Usage: scripts/bench cluster [NODES ...]     (nodes of simulated clusters; default: 10 100 1000)
The planner is timed for creating a cluster of so many nodes, for growing it by a tenth, and for finding nothing to do. Moved slots are
beside the fewest that the new shares allow. ``site.yml`` is measured beside bare pings of the same six hosts with 6, 12 and 30 nodes; rows
beyond a bar are marked.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from keyfleet.core.cluster.model import SLOTS, ClusterState, Desired, DesiredNode, Member
from keyfleet.core.cluster.plan import ClusterPlan, plan_cluster
from keyfleet.core.cluster.steps import Move
from support.clusters import describe_cluster
from support.formations import Formation
from support.playbooks import Deployment, Run, deployments

RUNS = 3
CREATE_SECONDS, RERUN_PINGS = 12.0, 7.0  # bars for three shards with a replica each
NODES_ON_A_HOST = (1, 2, 5)  # of six hosts
PING = "- hosts: redis\n  gather_facts: false\n  tasks:\n    - ansible.builtin.ping:\n"


def simulated(nodes: int) -> tuple[ClusterState, Desired]:
    """Return nodes that know no other, ten to a host, three zones, and the cluster that they shall be."""
    members = {}
    for number in range(nodes):
        name = f"n{number:05}"
        members[name] = Member(
            name, f"{name}:6379", host=f"h{number % max(3, nodes // 10)}", zone=f"z{number % 3}", known=frozenset({name})
        )
    return ClusterState(members, [None] * SLOTS), desired(members)


def desired(members: dict[str, Member]) -> Desired:
    """Return the cluster of these members with a replica for each shard."""
    return Desired(tuple(DesiredNode(node.address, node.host, node.zone) for node in members.values()))


def timed(work: Callable[[], Any], runs: int = RUNS) -> tuple[float, Any]:
    """Return the median seconds of some runs, and the last result."""
    seconds = []
    for _run in range(runs):
        started = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - started)
    return median(seconds), result


def measure_planner(nodes: int) -> None:
    """Print the rows of one number of nodes."""
    state, wanted = simulated(nodes)
    seconds, plan = timed(lambda: plan_cluster(state, wanted))
    print(f"planner  create {nodes:5d} nodes  {seconds:8.3f} s", flush=True)
    grown, wanted = simulated(nodes + 2 * (nodes // 20 + 1))
    both = ClusterState({**grown.members, **plan.after.members}, plan.after.owners)
    seconds, bigger = timed(lambda: plan_cluster(both, wanted))
    print(
        f"planner  grow to {len(grown.members):4d} nodes  {seconds:8.3f} s   moved slots {moved(bigger)}, fewest {fewest(plan, bigger)}",
        flush=True,
    )
    seconds, nothing = timed(lambda: plan_cluster(bigger.after, wanted))
    print(f"planner  nothing to do     {seconds:8.3f} s   steps {len(nothing.steps)}", flush=True)


def moved(plan: ClusterPlan) -> int:
    """Return how many slots the plan moves."""
    return sum(len(step.slots) for step in plan.steps if isinstance(step, Move))


def fewest(before: ClusterPlan, after: ClusterPlan) -> int:
    """Return how many slots new shards need at least."""
    new = set(after.after.owners) - set(before.after.owners)
    return len(new) * (SLOTS // len(set(after.after.owners)))


def measure_servers() -> None:
    """Print what a real cluster costs, on loopback."""
    with tempfile.TemporaryDirectory(prefix="kf-") as folder:
        formation = Formation(Path(folder), count=8)
        try:
            six = formation.nodes[:6]
            for name, work in (
                ("create 3x2", lambda: formation.form(six)),
                ("nothing to do", lambda: formation.form(six)),
                ("grow to 4x2, 1,000 keys", lambda: (formation.fill(1000), formation.form())[1]),
            ):
                started = time.perf_counter()
                outcome = work()
                print(
                    f"servers  {name:24}  {time.perf_counter() - started:6.2f} s   slots {outcome.slots}, keys {outcome.keys}", flush=True
                )
        finally:
            formation.cluster.stop()


def measure_playbooks() -> None:
    """Print what ``site.yml`` takes to create clusters of six hosts, to find nothing to do, and to grow the smallest and the largest."""
    for each in NODES_ON_A_HOST:
        for deployment in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
            describe_cluster(deployment, each=each)
            _measure_deployment(deployment, each)


def _measure_deployment(deployment: Deployment, each: int) -> None:
    deployment.write()
    ping = deployment.folder / "ping.yml"
    ping.write_text(PING, encoding="utf-8")
    is_smallest = each == NODES_ON_A_HOST[0]

    def row(what: str, hosts: int, measured: tuple[float, Run], is_beyond: Callable[[float], bool] = lambda _seconds: False) -> None:
        seconds, run = measured
        name, mark = f"{what} {each * hosts // 2}x2", "  beyond the bar" if is_smallest and is_beyond(seconds) else ""
        numbers = f"{seconds:6.2f} s  {seconds / base:5.1f} pings  {len(run.execs):3d} executions  {len(run.records):4d} results"
        print(f"site.yml  {name:24}  {numbers}{mark}", flush=True)

    base, pinged = timed(lambda: deployment.run(playbook=str(ping)).ok())
    print(f"site.yml  bare ping of 6 hosts      {base:6.2f} s {'':12}{len(pinged.execs):3d} executions", flush=True)
    row("create", 6, timed(lambda: deployment.run().ok(), runs=1), lambda seconds: seconds > CREATE_SECONDS)
    row("re-run with proof", 6, timed(lambda: deployment.run().ok()), lambda seconds: seconds / base > RERUN_PINGS)
    if each in (NODES_ON_A_HOST[0], NODES_ON_A_HOST[-1]):
        deployment.hosts = [f"node{number}" for number in range(1, 9)]
        row("grow to", 8, timed(lambda: deployment.run().ok(), runs=1))


def main() -> None:
    """Measure for each number of nodes that the command line names."""
    if "--help" in sys.argv:
        print(__doc__)
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}; planner: medians of {RUNS}")
    for nodes in [int(argument) for argument in sys.argv[1:]] or [10, 100, 1000]:
        measure_planner(nodes)
    measure_servers()
    measure_playbooks()


if __name__ == "__main__":
    main()
