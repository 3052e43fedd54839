# SPDX-License-Identifier: MIT
"""The process manager of a deployment below one folder, with a real server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from keyfleet.core.errors import ServiceError
from keyfleet.core.layout import Layout, runner_spec
from keyfleet.core.service import supervisor as runner
from keyfleet.core.service.choose import ServiceManager, manager_for
from keyfleet.testing._server import free_port, wait_until


class Deployment:
    """Files of one instance as the role writes them."""

    def __init__(self, root: Path) -> None:
        self.layout, self.port = Layout(str(root), "cache"), free_port("127.0.0.1")
        for folder in (self.layout.config_dir, self.layout.data_dir, self.layout.log_dir, Path(self.layout.runner_file).parent):
            Path(folder).mkdir(parents=True)
        shutil.copy(runner.__file__, self.layout.runner_file)
        spec = runner_spec(self.layout, "/usr/bin/redis-server", 1000)
        Path(self.layout.spec_file).write_text(json.dumps({**spec, "restart_delay_seconds": 0.05}))
        Path(self.layout.server_file).touch()
        self.configure("")
        self.manager: ServiceManager = manager_for("process", self.layout, timeout_seconds=30)

    def configure(self, directives: str) -> None:
        """Write our directives."""
        Path(self.layout.config_file).write_text(f"bind 127.0.0.1\nport {self.port}\nlogfile {self.layout.log_file}\n{directives}\n")

    def client(self) -> redis.Redis:
        """Return a client."""
        return redis.Redis(port=self.port, decode_responses=True)


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment that is not started yet, and is ended after the test."""
    deployment = Deployment(tmp_path)
    yield deployment
    deployment.manager.stop(20)


def test_start_status_restart_stop(deployed: Deployment) -> None:
    """Each step does what it says, and nothing the second time."""
    manager = deployed.manager
    before = manager.status()
    started_at = time.time()
    manager.start()
    first = manager.status()
    manager.start()
    second = manager.status()
    pid = deployed.client().info("server")["process_id"]
    manager.restart()
    third = manager.status()
    manager.stop()
    manager.stop()
    after = manager.status()

    assert ("stopped", None, None) == (before.state, before.pid, before.started_at)
    assert (True, None, first) == (first.active, first.enabled, second)
    assert (pid, True) == (first.pid, first.started_at is not None and 0 <= first.started_at - started_at < 30)
    assert (True, False) == (third.active, third.pid == first.pid)
    assert (True, None, None) == (after.stopped, after.pid, after.started_at)


def test_a_process_is_not_enabled_and_says_so(deployed: Deployment) -> None:
    """Enabling is no failure and no promise."""
    deployed.manager.enable()
    deployed.manager.reload_units()
    deployed.manager.disable()

    assert deployed.manager.status().enabled is None


def test_a_failed_start_ends_with_the_servers_last_lines(deployed: Deployment) -> None:
    """What it printed before it had a log, and the end of its log; no values of directives."""
    deployed.configure("maxmemory s3cret")
    with pytest.raises(ServiceError) as printed:
        deployed.manager.start()
    deployed.configure("")
    deployed.manager.start()
    other = Deployment(Path(deployed.layout.root) / "other")
    other.port = deployed.port
    other.configure("")
    with pytest.raises(ServiceError) as logged:
        other.manager.start()

    assert ("cache", "start") == (printed.value.name, printed.value.action)
    assert (True, False) == ("maxmemory ..." in str(printed.value), "s3cret" in str(printed.value))
    assert "Could not create server TCP listening socket" in str(logged.value)
    assert (True, True) == (other.manager.status().stopped, deployed.client().ping())


def test_a_missing_runner_or_specification_is_named(deployed: Deployment) -> None:
    """The path that is missing is in the message."""
    Path(deployed.layout.spec_file).rename(f"{deployed.layout.spec_file}.away")
    with pytest.raises(ServiceError) as specification:
        deployed.manager.start()
    Path(deployed.layout.runner_file).unlink()
    with pytest.raises(ServiceError) as program:
        deployed.manager.start()

    assert (True, True) == (deployed.layout.spec_file in str(specification.value), deployed.layout.runner_file in str(program.value))


def test_a_server_that_needs_long_to_load_counts_as_started_when_it_listens(deployed: Deployment) -> None:
    """Whether it has loaded is a question for PING, which answers LOADING until then."""
    deployed.configure("save 3600 1\nrdb-key-save-delay 0")
    deployed.manager.start()
    deployed.client().mset({f"key{number}": number for number in range(2000)})
    deployed.manager.stop()
    deployed.configure("key-load-delay 1000\nloading-process-events-interval-bytes 1024")
    deployed.manager.start()
    loading = deployed.manager.status()
    wait_until(lambda: deployed.client().info("persistence")["loading"] == 0, "the data to be loaded")

    assert (True, 2000) == (loading.active, deployed.client().dbsize())


def test_after_a_kill_of_server_or_supervisor_the_status_is_true(deployed: Deployment) -> None:
    """A restarted server is running and counted; an orphan is not active, has a pid, and is adopted by start."""
    manager = deployed.manager
    manager.start()
    first = manager.status()
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: manager.status().restarts == 1 and manager.status().active, "the restart")
    second = manager.status()
    supervisor = runner.status(deployed.layout.run_dir)["runner_pid"]
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: manager.status().state == "orphaned", "the supervisor to end")
    orphaned = manager.status()
    manager.start()
    adopted = manager.status()

    assert (False, second.pid) == (orphaned.active, orphaned.pid)
    assert (True, second.pid) == (adopted.active, adopted.pid)
