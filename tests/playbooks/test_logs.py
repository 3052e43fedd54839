"""Logs: logrotate itself rotates the file of a running server, which continues in a new one; or the manager keeps the log."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from support.playbooks import Deployment, free_port, unprivileged


def logrotate(deployment: Deployment, file: Path) -> None:
    """Rotate now, as the user of the run."""
    command = [*unprivileged(), "/usr/sbin/logrotate", "--force", "--state", str(deployment.folder / "logrotate.state"), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)


def log_a_line(deployment: Deployment, port: int) -> int:
    """Let the server write into its log, and return its process."""
    with deployment.client(port) as client:
        client.config_rewrite()
        return int(client.info("server")["process_id"])


def wait_for(file: Path, words: str) -> str:
    """Return the text of a file once it has these words: the runner writes what it reads from the server in its own time."""
    for _unused in range(200):
        text = file.read_text(encoding="utf-8")
        if words in text:
            return text
        time.sleep(0.05)
    raise AssertionError(f"{file} has no {words!r}: {text}")


def test_running_server_goes_on_in_a_new_file(deployment: Deployment, port: int) -> None:
    """Its process stays, no line is lost, old files are packed and as many are kept as asked for; the next run changes nothing."""
    run = deployment.run(redis_server_log_keep_days=2).ok()
    rotation = deployment.root() / "etc/logrotate.d/keyfleet-default"
    assert f"Logs: nothing here calls logrotate; let cron call it with {rotation}" in run.output
    log = deployment.root() / "var/log/keyfleet/default/server.log"
    pid = log_a_line(deployment, port)
    before = log.read_text(encoding="utf-8")
    assert "eady to accept connections" in before
    logrotate(deployment, rotation)
    assert not log.exists()
    assert pid == log_a_line(deployment, port)
    assert before == log.with_name("server.log.1").read_text(encoding="utf-8")
    assert [True] == ["CONFIG REWRITE" in line for line in log.read_text(encoding="utf-8").splitlines()]
    for _unused in range(3):
        logrotate(deployment, rotation)
        assert pid == log_a_line(deployment, port)
    assert {"server.log", "server.log.1", "server.log.2.gz"} == {path.name for path in log.parent.glob("server.log*")}
    assert {0o600} == {path.stat().st_mode & 0o777 for path in log.parent.glob("server.log*")}
    assert [] == deployment.run(redis_server_log_keep_days=2).ok().changed
    deployment.run(redis_server_log_keep_days=0).ok()
    assert not rotation.exists()


def test_log_moves_to_the_manager_with_a_restart(deployment: Deployment, port: int) -> None:
    """One instance of two leaves its log to the manager: announced, restarted alone, without a file for logrotate; its words are kept."""
    other = free_port()
    both = [{"name": "default", "port": port}, {"name": "quiet", "port": other}]
    deployment.run(redis_server_instances=both).ok()
    rotations = deployment.root() / "etc/logrotate.d"
    assert {"keyfleet-default", "keyfleet-quiet"} == {path.name for path in rotations.iterdir()}
    pid = log_a_line(deployment, port)
    log = deployment.root() / "var/log/keyfleet/quiet/server.log"
    size = log.stat().st_size

    moved = [both[0], {**both[1], "log": "manager"}]
    run = deployment.run(redis_server_instances=moved).ok()
    assert "instance quiet restarts now, after saving: logfile is " in run.output
    assert ["quiet"] == [one["name"] for one in run.result("redis_restart")["instances"]]
    assert pid == log_a_line(deployment, port)
    log_a_line(deployment, other)
    words = wait_for(log.with_name("runner.log"), "CONFIG REWRITE executed")
    assert "eady to accept connections" in words
    assert "CONFIG REWRITE" not in log.read_text(encoding="utf-8")[size:]
    assert {"keyfleet-default"} == {path.name for path in rotations.iterdir()}
    assert [] == deployment.run(redis_server_instances=moved).ok().changed

    deployment.run(redis_server_instances=[{**both[0], "state": "absent"}, moved[1]]).ok()
    assert [] == list(rotations.iterdir())
