# SPDX-License-Identifier: MIT
"""Many refusals in few runs: each case is a host of one inventory, and a run refuses all that fail in the same step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.playbooks import Run, deployments, free_port


@dataclass(frozen=True)
class Refusal:
    """
    What the run that refused a host did.

    Attributes:
        run: That run.
        failures: The messages of the tasks that failed on the host.
        changed: Names of the tasks that changed something on the host.
        execs: Round trips to any host of that run.
    """

    run: Run
    failures: str
    changed: list[str]
    execs: list[str]


@contextmanager
def refusals(cases: Mapping[str, Mapping[str, Any]], *arguments: str, playbook: str = "site.yml") -> Iterator[dict[str, Refusal]]:
    """
    Run a playbook on one host per case, as often as hosts are left that no run has refused yet, and give what was refused.

    A playbook refuses a whole inventory for the hosts that fail first, so cases that fail later are run again without those. A case that
    is not in the result was accepted.

    Args:
        cases: Variables of each host, by its name.
    Raises:
        AssertionError: if a refused run touched a host, or left anything on the controller but its lock.
    """
    for deployment in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
        alone = [name for name, variables in cases.items() if _needs_extra(variables)]
        deployment.host_variables = {name: {**_one_instance(), **({} if name in alone else cases[name])} for name in cases}
        deployment.hosts = tuple(cases)
        deployment.write()
        before, found = deployment.tree(), {}
        deployment.hosts = tuple(name for name in cases if name not in alone)
        while deployment.hosts:
            run = deployment.run(*arguments, playbook=playbook)
            refused = {host: _refusal(run, host) for host in deployment.hosts if run.of(host).failures}
            if not refused:
                break
            found.update(refused)
            deployment.hosts = tuple(host for host in deployment.hosts if host not in refused)
        for name in alone:
            deployment.hosts = (name,)
            found[name] = _refusal(deployment.run(*arguments, playbook=playbook, **cases[name]), name)
        deployment.hosts = tuple(cases)
        assert before == deployment.tree()
        kept = {path.name for path in deployment.inventory.rglob("*") if path.is_file()}
        assert kept <= {"hosts.yml", "run.lock"}
        yield found


def _one_instance() -> dict[str, Any]:
    """Return what a case has where it says nothing else; a port of its own, since the hosts are one machine."""
    return {"redis_server_instances": [{"name": "default", "port": free_port()}]}


def _refusal(run: Run, host: str) -> Refusal:
    return Refusal(run, run.of(host).failures, run.of(host).changed, run.execs)


def _needs_extra(variables: Mapping[str, Any]) -> bool:
    """Whether a case sets what a role sets itself, which only extra variables can, and those are the same for all hosts."""
    return any(name.startswith("__") for name in variables)
