# SPDX-License-Identifier: MIT
"""TLS between the servers of a cluster and of a replication, by site.yml on loopback: on, alone, rotated and off, while clients write."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from keyfleet import Client, Settings
from keyfleet.core.connect.client import close, connect
from keyfleet.core.connect.node import KILL_VARIABLE
from keyfleet.core.errors import KeyfleetError
from keyfleet.testing._server import free_port
from support.clusters import describe_cluster, pids
from support.load import Load
from support.playbooks import Deployment, deployments
from support.replicated import admin_settings, describe_replication

PACE_SECONDS = 0.01  # between the calls of a writer, which share the machine with the run
EXECS_OF_A_RERUN = {"cluster": 7, "replication": 4}
ROTATE = "playbooks/rotate_tls.yml"
LINKS = {"cluster": "tls-cluster", "replication": "tls-replication"}
MOVED = {"only": ("only", "yes"), "off": ("off", "no")}
OTHER = {"only": "off", "off": "only"}
DESCRIBED: dict[str, Callable[[Deployment], Any]] = {"cluster": describe_cluster, "replication": describe_replication}


class Secured:
    """A deployment whose servers have two ports to choose from; *described* is for the function that describes it."""

    def __init__(self, deployment: Deployment, topology: str, **described: Any) -> None:
        self.deployment, self.topology = deployment, topology
        DESCRIBED[topology](deployment, **described)
        self.secure_port = free_port(*[f"127.0.0.{number}" for number in range(1, 9)])
        self.written: set[str] = set()

    def listen(self, tls: str) -> None:
        """Let the inventory say how all servers listen."""
        for variables in self.deployment.host_variables.values():
            (instance,) = variables["redis_server_instances"]
            instance.update({"tls": tls, "tls_port": self.secure_port})

    def settings(self, host: str = "node1") -> Settings:
        """Return what an application reads in the profile."""
        text = (self.deployment.inventory / f"redis@{host}.env").read_text(encoding="utf-8")
        variables = dict(word.partition("=")[::2] for word in shlex.split(text, comments=True))
        return Settings.from_env({**variables, "REDIS_TIMEOUT_SECONDS": "10"})

    def writer(self, name: str, client: Client) -> Load:
        """Return load whose acknowledged keys are remembered."""

        def write(number: int) -> None:
            client.set(f"{name}:{number}", str(number))
            self.written.add(f"{name}:{number}")
            time.sleep(PACE_SECONDS)

        return Load([write])

    def missing(self) -> set[str]:
        """Return acknowledged keys that are not there."""
        with Client.from_settings(self.settings()) as client:
            return {key for key in self.written if client.get(key) is None}

    def ask(self, host: str, *command: Any) -> Any:
        """Run a command on the server of a host as the administrator, in the way in which it listens, with the certificate of the host."""
        settings = self.settings(host)
        port = settings.port if not settings.cluster_nodes else settings.cluster_nodes[0][1]
        tls: dict[str, Any] = {}
        if settings.tls:
            (pem,) = map(str, self.deployment.root(host).rglob("tls.pem"))
            tls = {"tls": True, "tls_ca_file": settings.tls_ca_file, "tls_cert_file": pem, "tls_key_file": pem}
        client = connect(admin_settings(self.deployment, host=self.deployment.host_variables[host]["ansible_host"], port=port, **tls))
        try:
            return client.execute_command(*command)
        finally:
            close(client)

    def directive(self, name: str) -> set[str]:
        """Return the values of a directive on all servers."""
        found = [self.ask(host, "CONFIG", "GET", name) for host in self.deployment.hosts]
        return {next(iter(value.values())) if isinstance(value, dict) else value[1].decode() for value in found}

    def links(self) -> set[str]:
        """Return the ports through which replicas reach their primaries, and whether they do."""
        infos = [self.ask(host, "INFO", "replication") for host in self.deployment.hosts]
        return {f"{info['master_port']} {info['master_link_status']}" for info in infos if info["role"] == "slave"}

    @property
    def port(self) -> int:
        """Port of all servers without TLS."""
        return int(self.deployment.host_variables["node1"]["redis_server_instances"][0]["port"])

    def moves_to(self, tls: str, links: str) -> None:
        """Let site.yml move all servers and their links."""
        self.listen(tls)
        self.deployment.run().ok()
        assert {links} == self.directive(LINKS[self.topology])
        assert {f"{self.secure_port if links == 'yes' else self.port} up"} == self.links()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """
    Run everything on both topologies with ``--full``, and kill runs before every step.

    Else move a cluster, and kill runs on a replication before one step of each direction.
    """
    kills, is_full = "steps" in metafunc.fixturenames, metafunc.config.getoption("full")
    if "secured" in metafunc.fixturenames:
        short = "replication" if kills else "cluster"
        metafunc.parametrize("secured", ["cluster", "replication"] if is_full else [short], indirect=True)
    if kills:
        metafunc.parametrize("steps", [STEPS if is_full else SHORT])


@pytest.fixture
def secured(request: pytest.FixtureRequest) -> Iterator[Secured]:
    """A deployment without TLS."""
    for deployment in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
        found = Secured(deployment, request.param)
        deployment.run().ok()
        yield found


@pytest.mark.slow
def test_servers_and_clients_move_to_tls_and_back(secured: Secured) -> None:
    """Both ports, TLS alone, other certificates, another CA, and back: no call fails, no write is lost, no process ends."""
    deployment, before = secured.deployment, pids(secured.deployment)
    with Client.from_settings(secured.settings()) as plain, secured.writer("plain", plain) as first:
        secured.moves_to("both", "yes")
    with Client.from_settings(secured.settings()) as moved, secured.writer("secure", moved) as second:
        secured.moves_to("only", "yes")
        assert {"0"} == secured.directive("port")
        with pytest.raises(redis.ConnectionError):
            deployment.client(secured.port).ping()
        again = deployment.run().ok()
        assert ([], EXECS_OF_A_RERUN[secured.topology]) == (again.changed, len(again.execs))
        deployment.run(playbook=ROTATE).ok()
        ca = (deployment.inventory / "redis@node1.ca.pem").read_text(encoding="utf-8")
        deployment.run(playbook=ROTATE, redis_tls_rotate="ca").ok()
        assert ca != (deployment.inventory / "redis@node1.ca.pem").read_text(encoding="utf-8")
        if secured.topology == "cluster":
            deployment.run(playbook="playbooks/failover.yml").ok()
    if secured.topology == "replication":  # without Sentinels clients have to read the profile for another primary
        deployment.run(playbook="playbooks/failover.yml").ok()
    with Client.from_settings(secured.settings()) as moved, secured.writer("back", moved) as third:
        secured.moves_to("both", "yes")
    secured.moves_to("off", "no")
    assert [] == [error for load in (first, second, third) for worker in load.workers for error in worker.errors]
    assert all(worker.done for load in (first, second, third) for worker in load.workers)
    assert set() == secured.missing()
    assert before == pids(deployment)
    assert not list(deployment.folder.glob("node*/**/*.pem"))
    assert [] == deployment.run().ok().changed


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["cluster", pytest.param("replication", marks=pytest.mark.full)])
def test_a_new_deployment_speaks_tls_alone(topology: str) -> None:
    """With one port, and certificates of clients asked for: links have TLS from the first run on, those of an added host, too."""
    for deployment in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
        secured = Secured(deployment, topology, count=3, redis_server_tls="only", redis_tls_clients="required", redis_cluster_replicas=0)
        deployment.run("--check").ok()
        deployment.run().ok()
        assert [] == deployment.run().ok().changed
        assert [] == deployment.run(playbook="playbooks/verify.yml").ok().changed
        deployment.hosts = [*deployment.hosts, "node4"]
        deployment.run().ok()
        assert {"yes"} == secured.directive(LINKS[topology])
        assert ({f"{secured.port} up"} if topology == "replication" else set()) == secured.links()
        if topology == "cluster":
            states = [secured.ask(host, "CLUSTER", "INFO").decode().splitlines() for host in deployment.hosts]
            assert all({"cluster_state:ok", "cluster_known_nodes:4"} <= set(lines) for lines in states)
        with Client.from_settings(replace(secured.settings(), timeout_seconds=2.0)) as client, pytest.raises(KeyfleetError):
            client.ping()
        assert [] == deployment.run().ok().changed


# Before which step of a move a run is killed: a step of an instance, or the number of a change between servers.
STEPS = {"only": ["write_files", "set_live", "links", "2", "3"], "off": ["links", "2", "set_live", "forget_tls"]}
SHORT = {"only": ["2"], "off": ["forget_tls"]}


@pytest.mark.slow
def test_a_killed_move_is_continued(secured: Secured, steps: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Check mode foresees the ports. Whatever was reached, the next run ends it, every key is there, and no process ends."""
    before = pids(secured.deployment)
    secured.listen("only")
    foreseen = secured.deployment.run("--check").ok()
    assert "changed" in {record["outcome"] for record in foreseen.records if record["action"] == "keyfleet.redis.redis_instances"}
    with Client.from_settings(secured.settings()) as client:
        secured.written = {f"kept:{number}" for number in range(100)}
        for key in secured.written:
            client.set(key, "1")
    moves = [(tls, step) for tls, some in steps.items() for step in some]
    for number, (tls, step) in enumerate(moves):
        if number and moves[number - 1][0] == tls:
            secured.moves_to(*MOVED[OTHER[tls]])
        secured.listen(tls)
        monkeypatch.setenv(KILL_VARIABLE, step)
        assert 0 != secured.deployment.run().rc, step
        monkeypatch.delenv(KILL_VARIABLE)
        secured.moves_to(*MOVED[tls])
        assert set() == secured.missing()
    assert before == pids(secured.deployment)
    assert [] == secured.deployment.run().ok().changed
