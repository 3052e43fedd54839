# SPDX-License-Identifier: MIT
"""
Measure what a deployment costs: a first run and re-runs, in bare pings of the same inventory, and where a re-run spends its time.

Usage: scripts/bench deploy [HOSTS ...]     (default: 1 6)
Rows: the method none, with the interpreter set and discovered; as root also the method distro, whose packages must be there. Wall and
processor time are each divided by that of a bare ping in the same run: only the ratio says something on another machine. Executions are
round trips to a host. The bars are those of docs/architecture.md; a row beyond one is marked, and nothing fails.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from support.playbooks import Deployment, Run, free_port, unprivileged

RERUNS = 3
PING = "- hosts: redis\n  gather_facts: false\n  tasks:\n    - ansible.builtin.ping:\n"
MOST_EXECUTIONS = 3  # of a re-run, for each host
FIRST_RUN_PINGS = 8.0
CALLBACKS = Path(__file__).parent / "callbacks"
SLOWEST = 8


def most_pings(hosts: int) -> float:
    """Return the bar of a re-run with its proof: 4 bare pings for one host, 6 for six."""
    return 4.0 if hosts == 1 else 6.0


@dataclass(frozen=True)
class Cost:
    """What a run took: seconds on the clock and of the processor, and round trips."""

    wall: float
    processor: float
    executions: int


def timed(run: Callable[[], Run]) -> Cost:
    """Return the cost of a run that must go well."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = run().ok()
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, len(done.execs))


def middle(costs: list[Cost]) -> Cost:
    """Return the medians."""
    return Cost(median(cost.wall for cost in costs), median(cost.processor for cost in costs), max(cost.executions for cost in costs))


@dataclass(frozen=True)
class Case:
    """A way to deploy: its name, variables of the inventory, and whether it needs root."""

    name: str
    variables: dict[str, Any]
    as_root: bool = False


def cases() -> Iterator[Case]:
    """Yield what is measured."""
    yield Case("none, set", {})
    yield Case("none, discovered", {"ansible_python_interpreter": "auto_silent"})
    if os.geteuid() == 0:
        yield Case("distro, set", {"redis_server_install_method": "distro", "ansible_python_interpreter": "/usr/bin/python3"}, as_root=True)
    else:
        print("the method distro is measured as root only")


@dataclass
class Timed(Deployment):
    """A deployment whose runs note when each task begins, *as_root* with the rights of the bench itself."""

    as_root: bool = False

    def command(self, *arguments: str, playbook: str = "site.yml") -> list[str]:
        """Return the command of a run."""
        found = super().command(*arguments, playbook=playbook)
        return found[len(unprivileged()) :] if self.as_root else found

    def environ(self) -> dict[str, str]:
        """Return the environment of a run."""
        given = super().environ()
        given["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"  # discovery finds what a host has, and nothing of a developer
        folders = f"{given['ANSIBLE_CALLBACK_PLUGINS']}:{CALLBACKS}"
        return {
            **given,
            "ANSIBLE_CALLBACK_PLUGINS": folders,
            "ANSIBLE_CALLBACKS_ENABLED": "recorder,clock",
            "KEYFLEET_CLOCK_LOG": self.clock,
        }

    @property
    def clock(self) -> str:
        """Path of the file with the times."""
        return str(self.folder / "clock.log")


def measure(deployment: Timed, case: Case, hosts: int) -> None:
    """Print the rows of one case and number of hosts."""
    deployment.hosts = [f"node{number}" for number in range(1, hosts + 1)]
    ports = {host: free_port() for host in deployment.hosts}
    instances = [{"name": "default", "port": "{{ ports[inventory_hostname] }}"}]
    deployment.variables = {"ports": ports, "redis_server_instances": instances, **case.variables}
    ping = deployment.folder / "ping.yml"
    ping.write_text(PING, encoding="utf-8")
    base = middle([timed(lambda: deployment.run(playbook=str(ping))) for _number in range(RERUNS)])
    first = timed(deployment.run)
    rerun = middle([timed(deployment.run) for _number in range(RERUNS)])
    for what, cost, limit in (("bare ping", base, 1.0), ("first run", first, FIRST_RUN_PINGS), ("re-run", rerun, most_pings(hosts))):
        pings = (cost.wall / base.wall, cost.processor / base.processor)
        each = cost.executions / hosts
        beyond = max(pings) > limit or (what == "re-run" and each > MOST_EXECUTIONS)
        print(
            f"{hosts:5d}  {case.name:16}  {what:9}  {cost.wall:6.2f}  {cost.processor:6.2f}  {pings[0]:6.1f}  {pings[1]:6.1f}  {limit:4.0f}"
            f"  {each:11.1f}{'  beyond the bar' if beyond and what != 'bare ping' else ''}",
            flush=True,
        )
    print_tasks(Path(deployment.clock))


def print_tasks(log: Path) -> None:
    """Print what the last run spent most of its time with."""
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    spans = [(later["at"] - record["at"], record["what"]) for record, later in zip(records, records[1:])]
    total = sum(seconds for seconds, _what in spans)
    print(f"       where the last re-run spent its time: {len(spans)} plays and tasks, {total:.2f} s after the start of the first")
    for seconds, what in sorted(spans, reverse=True)[:SLOWEST]:
        print(f"       {seconds:6.2f}  {what}")


def main() -> None:
    """Measure for each number of hosts that the command line names."""
    if "--help" in sys.argv:
        print(__doc__)
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}; medians of {RERUNS} (first run: of 1)")
    print("                                        seconds           bare pings")
    print("hosts  method, python    what         wall  processor  wall  processor  bar  executions per host", flush=True)
    for hosts in [int(argument) for argument in sys.argv[1:]] or [1, 6]:
        for case in cases():
            folder = Path(tempfile.mkdtemp(prefix="kf-", dir="/srv" if case.as_root else "/tmp"))  # noqa: S108  # made by mkdtemp
            folder.chmod(0o755)  # the servers' own user has to enter it
            deployment = Timed(folder, as_root=case.as_root)
            try:
                measure(deployment, case, hosts)
            finally:
                deployment.stop_everything()


if __name__ == "__main__":
    main()
