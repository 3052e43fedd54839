# SPDX-License-Identifier: MIT
"""A replication that Sentinels watch, by site.yml on loopback: a failover is kept, restarts and handovers lose no write."""

from __future__ import annotations

import os
import signal

import pytest
from keyfleet.core.connect.settings import Settings
from keyfleet.testing._server import wait_until
from support.hammer import Hammer
from support.playbooks import Deployment
from support.replicated import address, ask, describe_replication, pids, roles
from support.replications import Writer


@pytest.fixture
def sentinels(deployment: Deployment) -> int:
    """Let an inventory describe three servers and three Sentinels; return the port of the servers."""
    port = describe_replication(deployment, redis_sentinel_down_after_ms=1000)
    deployment.variables["redis_sentinel_port"] = port + 1 if port < 65535 else port - 1
    deployment.sentinels = list(deployment.hosts)
    return port


def settings_of(deployment: Deployment, host: str = "node1") -> Settings:
    """Return what the profile of a host says."""
    text = (deployment.inventory / f"redis@{host}.env").read_text(encoding="utf-8")
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return Settings.from_env({name: value.strip("'") for name, value in pairs} | {"REDIS_TIMEOUT_SECONDS": "10"})


def primary_of(deployment: Deployment) -> str:
    """Return the host of the primary."""
    (host,) = [host for host, follows in roles(deployment).items() if not follows]
    return host


def test_a_failover_is_kept_and_no_write_is_lost(deployment: Deployment, sentinels: int) -> None:
    """Created, unchanged by the next run, failed over, healed, restarted and handed over under writes, removed."""
    deployment.run().ok()
    assert {"node1": "", "node2": address(deployment, "node1"), "node3": address(deployment, "node1")} == roles(deployment)
    settings = settings_of(deployment)
    assert (3, "redis") == (len(settings.sentinels), settings.sentinel_service)
    again = deployment.run().ok()
    assert ([], 7) == (again.changed, len(again.execs))
    ask(deployment, "node1", "SET", "kept", "1")
    wait_until(lambda: ["1"] * 3 == [ask(deployment, host, "GET", "kept") for host in deployment.hosts], "the replicas to have the write")
    os.kill(pids(deployment, "runner")["node1"], signal.SIGKILL)  # first, so that nothing starts the server again
    os.kill(pids(deployment)["node1"], signal.SIGKILL)
    wait_until(lambda: settled(deployment, ["node2", "node3"]), "a replica to take over", 30)
    promoted = next(host for host in ("node2", "node3") if ask(deployment, host, "ROLE")[0] == "master")
    with Hammer("127.0.0.1", sentinels, deployment.password()) as hammer:
        healed = deployment.run().ok()
    # As a replica from its first moment on: a primary without replicas would answer -NOREPLICAS.
    assert (0, {"-READONLY"}) == (hammer.acknowledged, set(hammer.answers) - {"-LOADING", "-MASTERDOWN"})
    assert {"node1"} == {record["host"] for record in healed.records if record["outcome"] == "changed"}
    assert promoted == primary_of(deployment)
    assert ["1"] * 3 == [ask(deployment, host, "GET", "kept") for host in deployment.hosts]

    before = pids(deployment)
    deployment.variables["redis_server_directives"] = {"tcp-backlog": 300}
    with Writer(settings) as writer:
        deployment.run().ok()
        deployment.run(playbook="playbooks/failover.yml").ok()
    assert [] == writer.failures
    assert [] == [host for host in deployment.hosts if before[host] == pids(deployment)[host]]
    present = set(ask(deployment, primary_of(deployment), "KEYS", "k*"))
    assert set() == set(writer.acknowledged) - present
    assert [] == deployment.run().ok().changed

    deployment.run(playbook="playbooks/destroy.yml").ok()
    assert [] == list(deployment.folder.glob("*/run/keyfleet*/*/status.json"))


def test_an_even_number_is_warned_of(deployment: Deployment, sentinels: int) -> None:
    """Before anything is touched, and it is no refusal; three are not warned of."""
    for hosts, count in ((["node1", "node2"], 1), (["node1", "node2", "node3"], 0)):
        deployment.sentinels = hosts
        validated = deployment.run(playbook="playbooks/validate.yml").ok()
        warned = [record for record in validated.records if "Warn of an even number" in record["task"] and record["outcome"] == "ok"]
        assert count == len(warned)
        assert all("2 Sentinels fail over as long as 2 of them work" in record["result"]["msg"] for record in warned)


def settled(deployment: Deployment, hosts: list[str]) -> bool:
    """Whether one of the hosts is the primary, and the others follow it."""
    found = [ask(deployment, host, "ROLE") for host in hosts]
    return 1 == sum(role[0] == "master" for role in found) and all(role[0] == "master" or role[3] == "connected" for role in found)
