"""Killed runs, two runs at the same time, lost secrets: nothing is harmed, and the next run converges."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis
from support.playbooks import Deployment

TIMEOUT_SECONDS = 60


def kill_after(deployment: Deployment, results: int, **extra: object) -> bool:
    """Start a run and kill it (SIGKILL, the whole group) after so many task results; return whether it was still at work."""

    process = deployment.start("-e", json.dumps(extra)) if extra else deployment.start()
    log, deadline = deployment.folder / "results.log", time.monotonic() + TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < deadline and len(log.read_text(encoding="utf-8").splitlines()) < results:
        time.sleep(0.01)
    running = process.poll() is None
    if running:  # a re-run may end before it has as many results
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=TIMEOUT_SECONDS)
    return running


def test_killed_anywhere_then_rerun_converges(deployment: Deployment, port: int) -> None:
    """A first run killed after any number of tasks is finished by the next one, which leaves nothing to change."""
    tasks = len(deployment.run("--check").ok().records)
    for results in range(1, tasks, 3):
        kill_after(deployment, results)
    deployment.run().ok()
    assert [] == deployment.run().ok().changed
    assert deployment.password() in (deployment.inventory / "redis@node1.env").read_text(encoding="utf-8")
    with deployment.client(port) as client:
        assert client.ping()


def test_killed_change_then_rerun_converges(deployment: Deployment, port: int) -> None:
    """A run that changes a live and a start-up directive, killed anywhere, is finished by the next one; no key is lost."""
    first = {"maxmemory": "64mb", "hz": 20}
    second = {"maxmemory": "96mb", "databases": 4}
    deployment.run(redis_server_directives=first).ok()
    with deployment.client(port) as client:
        client.mset({f"key:{number}": number for number in range(500)})
    for results in (12, 16, 20):
        kill_after(deployment, results, redis_server_directives=second)
    deployment.run(redis_server_directives=second).ok()
    assert [] == deployment.run(redis_server_directives=second).ok().changed
    with deployment.client(port) as client:
        assert 500 == client.dbsize()
        assert [str(96 << 20), "4", "10"] == [client.config_get(name)[name] for name in ("maxmemory", "databases", "hz")]


def test_second_run_at_the_same_time_refuses(deployed: Deployment) -> None:
    """While one run is at work a second one ends with the first one's process in its message; afterwards it goes through."""
    first = deployed.start()
    try:
        lock = deployed.inventory / ".keyfleet/redis/run.lock"
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while f'"pid": {_playbook_pid(first)}' not in lock.read_text(encoding="utf-8"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(first.pid, signal.SIGSTOP)  # so that it is at work for as long as the second one needs
        second = subprocess.run(
            deployed.command(), capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2], env=deployed.environ()
        )
    finally:
        os.killpg(first.pid, signal.SIGCONT)
    assert 2 == second.returncode
    assert re.search(r"another run is at work on this deployment: process \d+", second.stdout.replace("\n", " "))
    deployed.finish(first).ok()
    assert [] == deployed.run().ok().changed


def _playbook_pid(process: subprocess.Popen[str]) -> int:
    return process.pid  # nsenter executes the program in its own place


def test_lost_secret_is_never_made_anew(deployed: Deployment, port: int) -> None:
    """Without the secret of a running server the run refuses and says how to recover; with it back, nothing changes."""
    secret = deployed.inventory / ".keyfleet/redis/redis_server_password"
    kept = secret.read_text(encoding="utf-8")
    secret.unlink()
    before = deployed.tree()
    run = deployed.run()
    assert 2 == run.rc
    assert "is not in" in run.failures
    assert str(secret) in run.failures
    assert "Put it back" in run.failures
    assert not secret.exists()
    assert before == deployed.tree()
    secret.touch(mode=0o600)
    secret.write_text(kept, encoding="utf-8")
    assert [] == deployed.run().ok().changed
    with deployed.client(port) as client:
        assert client.ping()


def test_changed_password_needs_no_previous_one(deployment: Deployment, port: int) -> None:
    """A new password is applied live by the administrative user; the old one is refused afterwards."""
    deployment.run(redis_server_password="first-password").ok()
    with deployment.client(port, password="first-password") as client:
        pid = client.info("server")["process_id"]
    deployment.run(redis_server_password="second-password").ok()
    with deployment.client(port, password="first-password") as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    with deployment.client(port, password="second-password") as client:
        assert pid == client.info("server")["process_id"]
    assert [] == deployment.run(redis_server_password="second-password").ok().changed


def test_killed_server_comes_back_with_its_data(deployment: Deployment, port: int) -> None:
    """kill -9 of the server: the process manager starts it again with what was saved, and the next run changes nothing."""
    deployment.run(redis_server_directives={"appendonly": True, "appendfsync": "always"}).ok()
    with deployment.client(port) as client:
        client.set("kept", "yes")
        pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGKILL)
    run = deployment.run(redis_server_directives={"appendonly": True, "appendfsync": "always"}).ok()
    assert "failed" not in [record["outcome"] for record in run.records]
    with deployment.client(port) as client:
        assert "yes" == client.get("kept")
        assert pid != client.info("server")["process_id"]


@pytest.mark.parametrize("kind", ["runner", "both"])
def test_killed_runner_is_taken_up_by_the_next_run(deployment: Deployment, port: int, kind: str) -> None:
    """kill -9 of the runner, alone or with its server: the next run has one supervised server with its data again."""
    deployment.run(redis_server_directives={"appendonly": True, "appendfsync": "always"}).ok()
    with deployment.client(port) as client:
        client.set("kept", "yes")
    status = json.loads((deployment.root() / "run/keyfleet/default/status.json").read_text(encoding="utf-8"))
    os.kill(status["runner_pid"], signal.SIGKILL)
    if kind == "both":
        os.kill(status["server_pid"], signal.SIGKILL)
    run = deployment.run(redis_server_directives={"appendonly": True, "appendfsync": "always"}).ok()
    assert {"runner": "adopted", "both": "started"}[kind] == run.result("redis_instances")["instances"][0]["action"]
    with deployment.client(port) as client:
        assert "yes" == client.get("kept")
