# SPDX-License-Identifier: MIT
"""site.yml and failover.yml of a replication with Sentinels, killed between two steps: the next run finishes, and no key is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from keyfleet.core.connect.node import KILL_VARIABLE
from support.playbooks import Deployment
from support.replicated import ask, describe_replication, pids

KEYS = {f"key:{number}": str(number) for number in range(300)}
ORDERS = "orders"  # a name of its own, as every file and service follows from it


@pytest.fixture
def single(deployment: Deployment) -> Deployment:
    """A node that holds KEYS, in an inventory that says the rest of its replication from now on."""
    port = describe_replication(deployment, redis_sentinel_down_after_ms=2000)
    deployment.variables.update(
        redis_deployment=ORDERS, redis_topology="single", redis_sentinel_port=port + 1 if port < 65535 else port - 1
    )
    deployment.hosts = ["node1"]
    deployment.run().ok()
    for key, value in KEYS.items():
        _ask(deployment, "node1", "SET", key, value)
    deployment.variables["redis_topology"] = "replication"
    deployment.hosts = deployment.sentinels = ["node1", "node2", "node3"]
    return deployment


@pytest.fixture
def killed(single: Deployment, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Callable[..., list[int]]:
    """Return a function that runs a playbook once for each step, killed before it; without ``--full`` for the last one."""

    def kill(*steps: str, playbook: str = "site.yml") -> list[int]:
        codes = []
        for step in steps if request.config.getoption("full") else steps[-1:]:
            monkeypatch.setenv(KILL_VARIABLE, step)
            codes.append(single.run(playbook=playbook).rc)
        monkeypatch.delenv(KILL_VARIABLE)
        return codes

    return kill


def _ask(deployment: Deployment, host: str, *command: object) -> object:
    return ask(deployment, host, *command, password=deployment.password(ORDERS))


def _holds(deployment: Deployment) -> bool:
    """Whether every server has KEYS and no others, and one of them alone is the primary."""
    hosts = [host for host in deployment.hosts if host not in deployment.retired]
    found = [{key: _ask(deployment, host, "GET", key) for key in KEYS} for host in hosts]
    followed = [_ask(deployment, host, "ROLE")[0] for host in hosts]  # type: ignore[index]
    return (
        found == [KEYS] * len(hosts)
        and {len(KEYS)} == {_ask(deployment, host, "DBSIZE") for host in hosts}
        and 1 == followed.count("master")
    )


def test_killed_between_two_steps(single: Deployment, killed: Callable[..., list[int]]) -> None:
    """While it is formed, handed over, given a replica, and left by its primary."""
    assert {2} == set(killed("start", "attach", "2", "persist"))
    single.run().ok()
    assert ([], True) == (single.run().ok().changed, _holds(single))

    assert {2} == set(killed("handover", "failover", "follow", "unpause", playbook="playbooks/failover.yml"))
    single.run().ok()
    assert ([], True) == (single.run().ok().changed, _holds(single))

    single.hosts = ["node1", "node2", "node3", "node4"]
    assert {2} == set(killed("start", "attach", "persist"))
    single.run().ok()
    assert ([], True) == (single.run().ok().changed, _holds(single))

    primary = next(host for host in single.hosts if _ask(single, host, "ROLE")[0] == "master")  # type: ignore[index]
    single.retired = [primary]
    single.sentinels = [host for host in single.hosts if host != primary][:3]
    assert {2} == set(killed("handover", "follow", "stop"))
    single.run().ok()
    assert ([], True) == (single.run().ok().changed, _holds(single))
    assert primary not in pids(single)
