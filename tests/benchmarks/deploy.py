# SPDX-License-Identifier: MIT
"""
Measure what a deployment costs: a first run, re-runs, and their round trips, for one host and for six.

Usage: scripts/bench [HOSTS ...]     (default: 1 6)
Everything runs unprivileged on loopback: what is measured is Ansible and our modules, not a network. A bare ping of the same inventory is
measured in the same run: only the ratio says something on another machine. geerlingguy.redis, for comparison: a re-run takes 4.2 s, without
any proof, where a bare ping costs 0.8 to 1.0 s.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from support.playbooks import Deployment, Run, deployments, free_port

RERUNS = 3
PING = "- hosts: redis\n  gather_facts: false\n  tasks:\n    - ansible.builtin.ping:\n"


def timed(run: Callable[[], Run]) -> tuple[float, int]:
    """Return seconds and round trips of a run that must go well."""
    started = time.monotonic()
    done = run().ok()
    return time.monotonic() - started, len(done.execs)


def measure(deployment: Deployment, hosts: int) -> None:
    """Print the rows of one number of hosts."""
    deployment.hosts = [f"node{number}" for number in range(1, hosts + 1)]
    ports = {host: free_port() for host in deployment.hosts}
    deployment.variables = {"ports": ports, "redis_server_instances": [{"name": "default", "port": "{{ ports[inventory_hostname] }}"}]}
    ping = deployment.folder / "ping.yml"
    ping.write_text(PING, encoding="utf-8")

    rows = {"bare ping": [timed(lambda: deployment.run(playbook=str(ping))) for _number in range(RERUNS)]}
    rows["first run"] = [timed(deployment.run)]
    rows["re-run"] = [timed(deployment.run) for _number in range(RERUNS)]
    base = median(seconds for seconds, _execs in rows["bare ping"])
    for name, results in rows.items():
        seconds, execs = median(result[0] for result in results), max(result[1] for result in results)
        print(f"{hosts:5d}  {name:10}  {seconds:7.2f}  {seconds / base:10.1f}  {execs:5d}  {execs / hosts:14.1f}", flush=True)


def main() -> None:
    """Measure for each number of hosts that the command line names."""
    if "--help" in sys.argv:
        print(__doc__)
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}; medians of {RERUNS} (first run: of 1)")
    print("hosts  what        seconds  bare pings  execs  execs per host", flush=True)
    for hosts in [int(argument) for argument in sys.argv[1:]] or [1, 6]:
        for deployment in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):  # noqa: S108  # made by mkdtemp; sockets need a short path
            measure(deployment, hosts)


if __name__ == "__main__":
    main()
