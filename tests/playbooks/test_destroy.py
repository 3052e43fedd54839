"""destroy.yml: everything that the inventory lists goes; the password goes last, once nothing needs it any more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.playbooks import Deployment, Run, free_port

DESTROY = "playbooks/destroy.yml"


def purge(deployment: Deployment, *arguments: str, **extra: Any) -> Run:
    """Remove the deployment with its data."""
    return deployment.run(*arguments, playbook=DESTROY, redis_server_purge=True, **extra)


def secret(deployment: Deployment) -> Path:
    """Return the file of the generated password."""
    return deployment.inventory / ".keyfleet/redis/redis_server_password"


@pytest.fixture
def two_hosts(deployment: Deployment, port: int) -> Deployment:
    """Two hosts with an instance each, which share the generated password."""
    deployment.hosts = ("node1", "node2")
    deployment.variables = {
        "redis_server_instances": [{"name": "default", "port": "{{ ports[inventory_hostname] }}"}],
        "ports": {"node1": port, "node2": free_port()},
    }
    return deployment


def test_destroy_keeps_data_unless_purged(deployed: Deployment, port: int) -> None:
    """destroy stops everything and keeps data and password, so that the next deployment has them; with purge nothing is left."""
    with deployed.client(port) as client:
        client.set("kept", "yes")
    password = deployed.password()
    deployed.run(playbook=DESTROY).ok()
    assert [] == list(deployed.root().glob("etc/keyfleet/*")) + list(deployed.inventory.glob("*.env"))
    record = json.loads((deployed.root() / "var/lib/keyfleet/.default.json").read_text(encoding="utf-8"))
    assert 1 == record["counts"]["0"][0]  # counted before the stop, to be compared with what the next start loads
    assert [] == deployed.run(playbook=DESTROY).ok().changed
    deployed.run().ok()
    assert password == deployed.password()
    with deployed.client(port) as client:
        assert "yes" == client.get("kept")
    purge(deployed).ok()
    assert [] == [path for path in deployed.root().rglob("*") if path.is_file()]
    assert not secret(deployed).exists()


def test_check_mode_removes_nothing(deployed: Deployment, port: int) -> None:
    """--check names what a run would remove, and does not touch it."""
    before = deployed.tree()
    foreseen = purge(deployed, "--check").ok()
    assert "would be stopped and lose unit, configuration and profile" in " ".join(foreseen.messages)
    assert before == deployed.tree()
    with deployed.client(port) as client:
        assert client.ping()
    assert foreseen.changed == purge(deployed).ok().changed


def test_limit_keeps_the_password_that_other_hosts_use(two_hosts: Deployment) -> None:
    """Purging one host of two leaves the password to the other and says so; purging both removes it."""
    two_hosts.run().ok()
    run = purge(two_hosts, "--limit", "node1").ok()
    assert "Hosts that took no part, or failed: node2" in run.output
    assert ["redis@node2.env"] == [path.name for path in two_hosts.inventory.glob("*.env")]
    with two_hosts.client(two_hosts.variables["ports"]["node2"]) as client:
        assert client.ping()
    purge(two_hosts).ok()
    assert not secret(two_hosts).exists()
    assert [] == purge(two_hosts).ok().changed


@pytest.mark.parametrize("how", ["unreachable", "failed"])
def test_host_that_fails_keeps_the_password(two_hosts: Deployment, how: str) -> None:
    """A host that cannot be reached, or on which a task fails, still has its server, so the password stays; the run fails."""
    two_hosts.run().ok()
    working = dict(two_hosts.variables)
    if how == "unreachable":
        silent = two_hosts.folder / "ssh"
        silent.write_text("#!/bin/sh\nexit 255\n", encoding="utf-8")
        silent.chmod(0o755)
        two_hosts.variables["ansible_ssh_executable"] = str(silent)
        two_hosts.variables["ansible_connection"] = "{{ 'ssh' if inventory_hostname == 'node2' else 'counted' }}"
    else:
        two_hosts.variables["redis_server_bin_dir"] = "/usr/bin"
        two_hosts.variables["redis_server_service_manager"] = "{{ 'systemd' if inventory_hostname == 'node2' else 'process' }}"
    run = purge(two_hosts)
    assert run.rc != 0
    assert {"node2": how} == {record["host"]: record["outcome"] for record in run.records if record["outcome"] in ("failed", "unreachable")}
    assert secret(two_hosts).exists()
    two_hosts.variables = working
    with two_hosts.client(two_hosts.variables["ports"]["node2"]) as client:
        assert client.ping()
    purge(two_hosts).ok()
    assert not secret(two_hosts).exists()


def test_unlisted_instance_is_named_and_keeps_its_password(deployment: Deployment, port: int) -> None:
    """An instance that the inventory does not list keeps running; destroy names it and keeps the password and profile it needs."""
    other = free_port()
    both = [{"name": "default", "port": port}, {"name": "extra", "port": other}]
    deployment.run(redis_server_instances=both).ok()
    run = purge(deployment).ok()
    assert "Not listed by redis_server_instances, and so left running: extra" in run.output
    assert "Instances that are deployed and not listed: extra" in run.output
    assert ["redis-extra@node1.env"] == [path.name for path in deployment.inventory.glob("*.env")]
    with deployment.client(other) as client:
        assert client.ping()
    purge(deployment, redis_server_instances=both).ok()
    assert not secret(deployment).exists()
    assert [] == list(deployment.inventory.glob("*.env"))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"redis_server_instances": [{"name": "no blanks"}]}, "no blanks"),
        ({"redis_server_state_dir": "secrets"}, "redis_server_state_dir is 'secrets'"),
        ({"redis_endpoint_path": "redis.env"}, "redis_endpoint_path is 'redis.env'"),
    ],
    ids=["instance", "state_dir", "profile"],
)
def test_bad_variables_are_refused_first(deployment: Deployment, extra: dict[str, Any], words: str) -> None:
    """As in site.yml, variables are validated before a host is asked or the lock taken."""
    run = deployment.run(playbook=DESTROY, **extra)
    assert 2 == run.rc
    assert words in run.failures
    assert [] == run.execs
    assert not (deployment.inventory / ".keyfleet").exists()


def test_lock_is_taken_before_a_host_is_asked(deployed: Deployment, port: int) -> None:
    """While another run is at work nothing is asked of a host."""
    lock = deployed.inventory / ".keyfleet/redis/run.lock"
    lock.write_text(lock.read_text(encoding="utf-8").replace('"host": "', '"host": "elsewhere-'), encoding="utf-8")
    run = deployed.run(playbook=DESTROY)
    assert 2 == run.rc
    assert "another run is at work" in run.failures
    assert [] == run.execs
    with deployed.client(port) as client:
        assert client.ping()
