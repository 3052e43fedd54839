"""The end of a run: the proof, the connection profile, and what the run says of them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.playbooks import ROOT, Deployment, Run, free_port, unprivileged

PROGRAM = "from keyfleet import Client\nwith Client.from_env() as c: c.set('greeting', 'hello'); print(c.get('greeting'))"
ENVIRON = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}


def greeting(profile: Path) -> str:
    """Load the profile as a shell does, and return what Client.from_env() then writes and reads back."""
    shell = f"set -a; . '{profile}'; set +a; exec {sys.executable} -c \"{PROGRAM}\""
    environ = {**ENVIRON, "PYTHONPATH": "python_lib"}
    command = [*unprivileged(), "sh", "-c", shell]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environ)
    assert "" == done.stderr
    return done.stdout.strip()


def summary(run: Run) -> list[str]:
    """Return the last lines that the run says, as a terminal shows them."""
    said = run.output.rpartition("TASK [Say what runs, where, and what to try next]")[2].partition("PLAY RECAP")[0]
    assert "" != said, run.output[-3000:]
    return [line.strip().rstrip(",").strip('"').strip() for line in said.splitlines()]


def profiles(deployment: Deployment) -> dict[str, str]:
    """Return the connection profiles, by name."""
    return {path.name: path.read_text(encoding="utf-8") for path in deployment.inventory.glob("*.env")}


SHAPES: dict[str, dict[str, Any]] = {
    "tcp": {},
    "unix_socket": {"port": 0, "unix_socket": True},
    "ipv6": {"bind": ["::1"]},
    "wildcard": {"bind": ["*"]},
    "special_password": {"password": 'it\'s "quoted"  $HOME `id` #1 \\back \\\\ é'},
    "no_password": {"password": ""},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_profile_connects_the_client_library(deployment: Deployment, port: int, shape: str) -> None:
    """The env file is private and is all that Client.from_env needs, however the server listens and whatever the password."""
    deployment.variables["ansible_host"] = "127.0.0.1"
    deployment.variables["redis_server_instances"] = [{"name": "default", "port": port, **SHAPES[shape]}]
    deployment.run().ok()
    profile = deployment.inventory / "redis@node1.env"
    assert 0o600 == stat.S_IMODE(profile.stat().st_mode)
    assert "hello" == greeting(profile)


def test_key_prefix_is_part_of_the_profile(deployment: Deployment, port: int) -> None:
    """redis_endpoint_key_prefix stands before every key that an application writes."""
    deployment.run(redis_endpoint_key_prefix="shop:").ok()
    assert "hello" == greeting(deployment.inventory / "redis@node1.env")
    with deployment.client(port) as client:
        assert ["shop:greeting"] == client.keys()


def test_name_of_a_profile_follows_the_instance(deployment: Deployment, port: int) -> None:
    """Reordering the list changes no file, and an instance that is removed takes its profile, with the password, along."""
    one, two = {"name": "default", "port": port}, {"name": "sessions", "port": free_port()}
    deployment.run(redis_server_instances=[two, one]).ok()
    before = profiles(deployment)
    assert {"redis@node1.env": port, "redis-sessions@node1.env": two["port"]} == {
        name: int(text.partition("REDIS_PORT=")[2].split()[0]) for name, text in before.items()
    }
    assert [] == deployment.run(redis_server_instances=[one, two]).ok().changed
    assert before == profiles(deployment)
    run = deployment.run(redis_server_instances=[{**one, "state": "absent"}, two]).ok()
    assert "Write the connection profiles on the controller" in [task.rpartition(" : ")[2] for task in run.changed]
    assert {"redis-sessions@node1.env": before["redis-sessions@node1.env"]} == profiles(deployment)


def test_hosts_and_instances_never_share_a_profile(deployment: Deployment, port: int) -> None:
    """Each host has its name in its files, which begin as redis_endpoint_path does."""
    deployment.hosts = ("node1", "node2")
    ports = {"node1": port, "node2": free_port()}
    deployment.variables["ports"] = ports
    deployment.variables["redis_server_instances"] = [{"name": "default", "port": "{{ ports[inventory_hostname] }}"}]
    deployment.variables["redis_endpoint_path"] = "{{ inventory_dir }}/shop.env"
    deployment.run().ok()
    found = {name: int(text.partition("REDIS_PORT=")[2].split()[0]) for name, text in profiles(deployment).items()}
    assert {f"shop@{host}.env": ports[host] for host in deployment.hosts} == found


def test_profile_is_written_by_the_user_of_the_run(deployment: Deployment) -> None:
    """Where hosts are managed by sudo the profile is written without it, so that the user can read it."""
    deployment.variables.update(ansible_become=True, ansible_become_exe="/bin/false")
    playbook = deployment.folder / "play.yml"
    endpoint = {"name": "default", "host": "192.0.2.1", "port": 6379}
    role = {"name": "redis_endpoint"}
    variables = {"redis_endpoint_instances": [endpoint]}
    play = {"hosts": "redis", "gather_facts": False, "tasks": [{"ansible.builtin.import_role": role, "vars": variables}]}
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    deployment.run(playbook=str(playbook)).ok()
    assert ["redis.env"] == list(profiles(deployment))


@pytest.mark.parametrize("path", ["redis.env", "~/redis.env", "/proc/no-folder/redis.env", "/proc"])
def test_impossible_place_of_the_profile_is_refused_first(deployment: Deployment, path: str) -> None:
    """Before a host is asked, not after the deployment."""
    run = deployment.run(redis_endpoint_path=path)
    assert 2 == run.rc
    assert f"redis_endpoint_path is '{path}'" in run.failures
    assert [] == run.execs
    assert {} == deployment.tree()


def test_run_ends_with_what_runs_where_and_a_line_that_works(deployment: Deployment, port: int) -> None:
    """Engine, version, address, verdict and profile are named; the line to try is executed as it was printed, blanks in paths included."""
    place = deployment.folder / "pro files/redis.env"
    deployment.write()
    place.parent.mkdir()
    run = deployment.run(redis_endpoint_path=str(place)).ok()
    with deployment.client(port) as client:
        version = client.info("server")["redis_version"]
    said = summary(run)
    assert f"redis {version}, instance default at 127.0.0.1:{port}: ok; a value was written and read back" in said[1:]
    profile = place.with_name("redis@node1.env")
    assert f"connection profile: {profile} (mode 0600)" in said
    line = next(text for text in said if text.startswith("Try: ")).removeprefix("Try: ")
    done = subprocess.run([*unprivileged(), "sh", "-c", line], capture_output=True, text=True, check=False, cwd="/", env=ENVIRON)
    assert ("True", "") == (done.stdout.strip(), done.stderr)


def test_nothing_runs_and_the_run_says_so(deployment: Deployment, port: int) -> None:
    """With all instances absent the second run changes nothing, and neither run speaks of something to try."""
    gone = [{"name": "default", "port": port, "state": "absent"}]
    assert [] == deployment.run(redis_server_instances=gone).ok().changed
    deployment.run().ok()
    for run in (deployment.run(redis_server_instances=gone).ok(), deployment.run(redis_server_instances=gone).ok()):
        assert [] == [text for text in summary(run) if "Try" in text or "process manager" in text]
        assert "No instance runs here: the inventory wants none." in run.output
    assert [] == run.changed
    assert {} == profiles(deployment)


def test_verify_on_a_bare_host_says_to_deploy_first(deployment: Deployment) -> None:
    """There is nothing to prove, and the sentence says what to do."""
    for arguments, playbook in ((("--tags", "verify"), "site.yml"), ((), "playbooks/verify.yml")):
        run = deployment.run(*arguments, playbook=playbook)
        assert 2 == run.rc
        assert "Not deployed on this host: default. Deploy first: run site.yml without tags (make deploy)." in run.failures
    assert {} == profiles(deployment)


def test_verify_of_a_stopped_instance_gives_verdict_and_reason(deployed: Deployment, port: int) -> None:
    """A server that does not answer fails the run with the instance, the verdict and the reason; the profile stays as it was."""
    before = profiles(deployed)
    with deployed.client(port) as client:
        client.config_set("bind", "127.0.0.2")  # still runs, at an address that the profile does not name
    run = deployed.run("--tags", "verify")
    assert 2 == run.rc
    assert f"instance default: the verdict is failed: 127.0.0.1:{port}" in run.failures
    assert before == profiles(deployed)


def test_ansible_does_not_take_a_profile_for_an_inventory(deployed: Deployment) -> None:
    """Neither with our ansible.cfg, beside the inventory, nor with Ansible's own defaults, in the hidden folder."""
    assert (deployed.inventory / "redis@node1.env").exists()
    environ = deployed.environ()
    own = [sys.executable, "-m", "ansible", "inventory", "-i", str(deployed.inventory), "--list"]
    listed = subprocess.run(own, capture_output=True, text=True, check=True, cwd=ROOT, env=environ)
    assert deployed.password() not in listed.stdout + listed.stderr
    (deployed.inventory / "redis@node1.env").unlink()
    environ["ANSIBLE_INVENTORY_IGNORE"] = ".pyc, .retry"
    run = subprocess.run(deployed.command(), capture_output=True, text=True, check=False, cwd=ROOT, env=environ)
    assert 0 == run.returncode, run.stdout
    assert ["redis@node1.env"] == [path.name for path in (deployed.inventory / ".keyfleet").glob("*.env")]
    assert [] == list(deployed.inventory.glob("*.env"))
