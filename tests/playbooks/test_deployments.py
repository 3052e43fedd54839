"""Deployments by name: secrets, locks and profiles of several in one inventory, and what an earlier version left."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import redis
from support.playbooks import Deployment, Run, free_port

MADE = "redis_server : Change | Make the password where none is given"
WRITTEN = "redis_endpoint : Write the connection profiles on the controller"
DESTROY = "playbooks/destroy.yml"


@pytest.fixture
def two(deployment: Deployment, port: int) -> Deployment:
    """An inventory with the deployments cache on node1 and shop on node2."""
    deployment.hosts = ("node1", "node2")
    deployment.variables = {
        "redis_deployment": "{{ {'node1': 'cache', 'node2': 'shop'}[inventory_hostname] }}",
        "redis_server_port": "{{ ports[inventory_hostname] }}",
        "ports": {"node1": port, "node2": free_port()},
    }
    return deployment


def read(profile: Path) -> dict[str, str]:
    """Return the variables of an env file whose values need no quotes."""
    return dict(line.split("=", 1) for line in profile.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))


def key_of(profile: Path) -> str | None:
    """Write a key with what a profile says, and return it; None if the server does not let it in."""
    values = read(profile)
    with redis.Redis(port=int(values["REDIS_PORT"]), password=values["REDIS_PASSWORD"], decode_responses=True) as client:
        try:
            client.set("written", profile.name)
            return str(client.get("written"))
        except redis.AuthenticationError:
            return None


def env_files(deployment: Deployment) -> set[str]:
    """Return the names of the env files."""
    return {path.name for path in deployment.inventory.glob("*.env")}


def assert_refused(run: Run, *words: str) -> None:
    """Assert that a run was refused with these words, before a host was asked."""
    assert 2 == run.rc
    assert [] == [word for word in words if word not in run.failures], run.failures
    assert "Errno" not in run.failures
    assert [] == run.execs


def test_two_deployments_of_one_inventory_share_nothing(two: Deployment) -> None:
    """One run deploys both; secrets, locks and profiles are apart, and so is the end of one of them."""
    two.run().ok()
    assert {"cache@node1.env", "shop@node2.env"} == env_files(two)
    assert two.password("cache") != two.password("shop")
    for name in ("cache@node1.env", "shop@node2.env"):
        assert name == key_of(two.inventory / name)
    assert [] == two.run().ok().changed

    lock = two.inventory / ".keyfleet/shop/run.lock"
    record = json.loads(lock.read_text(encoding="utf-8"))
    lock.write_text(json.dumps({**record, "host": "elsewhere"}), encoding="utf-8")
    assert_refused(two.run(), "another run is at work on this deployment", str(lock))
    assert [] == two.run("--limit", "node1").ok().changed
    lock.unlink()

    two.run("--limit", "node2", playbook=DESTROY, redis_server_purge=True).ok()
    assert (True, False) == (two.password_file("cache").exists(), two.password_file("shop").exists())
    assert {"cache@node1.env"} == env_files(two)
    assert "cache@node1.env" == key_of(two.inventory / "cache@node1.env")
    assert [] == two.run("--limit", "node1").ok().changed


def test_two_deployments_that_want_one_port_of_a_machine_are_refused(two: Deployment, port: int) -> None:
    """Both are named, and nothing is touched; roots of their own do not help."""
    two.write()
    before = two.tree()
    run = two.run(redis_server_port=port)
    assert 2 == run.rc
    assert f"node1 (instance default) and node2 (instance default) are one machine, and both want port {port}" in run.failures
    assert (before, []) == (two.tree(), run.changed)


def test_profiles_keep_their_names_while_hosts_and_instances_come_and_go(two: Deployment) -> None:
    """1 → 2 → 1 hosts, and an instance that leaves: each file stands for one server, with its password, or is gone or named."""
    del two.variables["redis_deployment"]
    instances = [{"name": "default"}, {"name": "extra", "port": "{{ extra[inventory_hostname] }}"}]
    two.variables["extra"] = {"node1": free_port(), "node2": free_port()}
    two.variables["redis_server_instances"] = instances
    two.hosts = ("node1",)
    two.run(redis_endpoint_forms=["dotenv"]).ok()
    assert {"redis@node1.env", "redis-extra@node1.env"} == env_files(two)
    two.hosts = ("node1", "node2")
    assert f"{WRITTEN}" in two.run().ok().changed
    names = {f"redis{instance}@{host}.env" for instance in ("", "-extra") for host in two.hosts}
    assert names == env_files(two)
    assert [] == list((two.inventory / ".keyfleet/profiles").iterdir())
    assert names == {key_of(two.inventory / name) for name in names}

    two.variables["redis_server_instances"] = [instances[0], {**instances[1], "state": "absent"}]
    two.hosts = ("node1",)
    run = two.run().ok()
    assert {"redis@node1.env", "redis@node2.env", "redis-extra@node2.env"} == env_files(two)
    said = run.output.replace("\n", " ")
    assert f"{two.inventory}/redis@node2.env is of node2, a host that the inventory does not have any more" in said
    assert [] == two.run().ok().changed


def test_what_an_earlier_version_left_is_used_and_moved(deployed: Deployment, port: int) -> None:
    """The password stays, and check mode uses it where it is; the lock of that version ends, and its profile is kept up to date."""
    secret, former = deployed.password_file(), deployed.inventory / ".keyfleet/redis_server_password"
    password, lock = deployed.password(), deployed.inventory / ".keyfleet/run.lock"
    profile, former_profile = (deployed.inventory / name for name in ("redis@node1.env", "redis.env"))
    secret.rename(former)
    lock.write_text(json.dumps({"pid": 1, "started_at": "gone", "host": os.uname().nodename}), encoding="utf-8")
    _title, *rest = profile.read_text(encoding="utf-8").splitlines()
    profile.unlink()
    former_profile.write_text("\n".join(["# Ansible managed: how applications reach instance default", *rest[1:], ""]), encoding="utf-8")
    assert [MADE, WRITTEN] == deployed.run("--check").ok().changed
    assert (False, True, True) == (secret.exists(), former.exists(), lock.exists())
    run = deployed.run().ok()
    assert [MADE, WRITTEN] == run.changed
    assert f"{former_profile} is the former name of a profile" in run.output.replace("\n", " ")
    assert (password, False, False) == (deployed.password(), former.exists(), lock.exists())
    assert "redis.env" == key_of(former_profile)
    assert read(profile) == read(former_profile)
    assert [] == deployed.run().ok().changed

    os.link(secret, former)  # a run that was killed between the two names
    assert [MADE] == deployed.run().ok().changed
    assert (password, False) == (deployed.password(), former.exists())
    former.write_text("another-password", encoding="utf-8")
    former.chmod(0o600)
    run = deployed.run().ok()
    assert f"{former} holds another secret than" in run.output.replace("\n", " ")
    assert (password, True, []) == (deployed.password(), former.exists(), run.changed)


def test_files_of_others_and_folders_that_cannot_be_written_are_refused_first(deployment: Deployment, port: int) -> None:
    """No host is asked; a profile that was edited by hand is written again."""
    deployment.write()
    profile = deployment.inventory / "redis@node1.env"
    profile.write_text("REDIS_HOST=mine\n", encoding="utf-8")
    assert_refused(deployment.run(), str(profile), "keyfleet did not write it")
    assert "REDIS_HOST=mine\n" == profile.read_text(encoding="utf-8")
    profile.unlink()
    deployment.inventory.chmod(0o500)
    try:
        run = deployment.run(redis_server_state_dir=str(deployment.folder / "state"))
        assert_refused(run, "may not write in", str(deployment.inventory))
    finally:
        deployment.inventory.chmod(0o700)
    deployment.run().ok()
    whole = profile.read_text(encoding="utf-8")
    profile.write_text(whole.replace(str(port), "1"), encoding="utf-8")
    assert [WRITTEN] == deployment.run().ok().changed
    assert whole == profile.read_text(encoding="utf-8")
