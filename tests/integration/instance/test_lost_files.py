# SPDX-License-Identifier: MIT
"""
An instance that lost files while it ran is recognised, and has them again after the next run, with every key and the same process or data.

Lost are all subsets of what keyfleet keeps on disk for it, apart from its data; instances that swap ports are recognised too.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from ansible_collections.keyfleet.redis.plugins.filter.server import server_plan
from keyfleet.core.directives.trial import engine_version
from keyfleet.core.errors import KeyfleetError
from keyfleet.core.install.package import Package
from keyfleet.core.instance.carry_out import KILL_VARIABLE
from keyfleet.core.instance.converge import Converged, carry_out, prepare
from keyfleet.core.instance.host_files import complete, plan_files
from keyfleet.core.instance.maxmemory import Memory
from keyfleet.core.instance.model import Host, Instance, from_options
from keyfleet.core.instance.preflight import inspect_host
from keyfleet.core.instance.restart import restart
from keyfleet.testing._binaries import find_binary
from keyfleet.testing._server import free_port
from support.instances import PASSWORD

# Files of an instance that may be lost, by what they are called here.
FILES = {
    "conf": "config_file",
    "record": "record_file",
    "users": "acl_file",
    "spec": "spec_file",
    "run": "run_dir",
    "config": "config_dir",
    "program": "runner_file",
}
LOSSES = [
    *(set(subset) for size in (1, 2) for subset in itertools.combinations(("conf", "record", "run", "status"), size)),
    {"conf", "record", "run"},
    {"config", "run"},
    {"config", "run", "program"},
    {"users"},
    {"spec", "program", "status"},
]

ORPHANED = ({"run"}, {"status"}, {"config", "run"})
CASES = [*((lost, False) for lost in LOSSES), *((lost, True) for lost in ORPHANED)]
pytestmark = pytest.mark.slow


class Fleet:
    """Several instances below one root; `run` does what a run of site.yml does on the host, preflight and restarts included."""

    def __init__(self, root: Path) -> None:
        self.binary = str(find_binary("redis"))
        self.host = Host(engine_version(self.binary)[0], self.binary, "process", str(root), start_timeout_seconds=30)
        self.listed: list[dict[str, Any]] = []
        self.ports: set[int] = set()

    def add(self, name: str, port: int = 0) -> dict[str, Any]:
        """List an instance."""
        options = {"name": name, "port": port or self.free(), "bind": ["127.0.0.1"], "password": PASSWORD}
        self.listed.append(options)
        return options

    def free(self) -> int:
        """Return a port that no instance has had."""
        port = next(port for port in iter(lambda: free_port("127.0.0.1"), 0) if port not in self.ports)
        self.ports.add(port)
        return port

    @property
    def variables(self) -> dict[str, Any]:
        """Variables of the role."""
        return {"instances": self.listed, "root": self.host.root, "log_keep_days": 0, "directives": {"appendonly": True}}

    def desired(self) -> list[Instance]:
        """Return the instances as the modules take them."""
        return complete(self.host, [from_options(options) for options in server_plan(self.variables)], Memory())

    def problems(self) -> list[str]:
        """Return what the preflight says, but for who runs the servers: that is whoever runs the tests."""
        package = Package("none.service", "/nonexistent", "none")
        found = inspect_host(self.host, self.desired(), package, password_file="/none", binary_required=True)
        return [problem for problem in found.problems if not problem.startswith(("redis_server_user", "redis_server_group"))]

    def settle(self) -> dict[str, Converged]:
        """Do what a run does before restarts."""
        assert [] == self.problems()
        plan_files(self.host, self.desired(), 0, check=False).apply()
        return {one.instance.name: carry_out(self.host, one) for one in prepare(self.host, self.desired())}

    def run(self) -> dict[str, Converged]:
        """Do what a run does."""
        done = self.settle()
        for instance in self.desired():
            if done[instance.name].restart_needed:
                restart(self.host, instance)
        return done

    def killed_before(self, step: str) -> bool:
        """Run in a process of its own that kills itself before the step of this name; return whether it got there."""
        pid = os.fork()
        if pid == 0:
            try:
                os.environ[KILL_VARIABLE] = step
                self.run()
            finally:
                os._exit(0)
        return os.WIFSIGNALED(os.waitpid(pid, 0)[1])

    def client(self, options: dict[str, Any]) -> redis.Redis:
        """Return a client."""
        return redis.Redis(port=options["port"], password=PASSWORD, decode_responses=True)

    def lose(self, name: str, lost: set[str]) -> None:
        """Remove files of an instance."""
        layout = self.host.layout(name)
        if "status" in lost:
            Path(layout.run_dir, "status.json").unlink(missing_ok=True)
        for one in lost - {"status"}:
            place = Path(getattr(layout, FILES[one]))
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)

    def pid(self, options: dict[str, Any]) -> int:
        """Return the server's process."""
        with self.client(options) as client:
            return int(client.info("server")["process_id"])

    def state(self, name: str) -> str:
        """Return what the service manager says, by its own notes."""
        status = self.host.manager(name).status()
        return status.state if status.recorded else f"{status.state}, not recorded"

    def end(self) -> None:
        """Stop everything."""
        for options in self.listed:
            status = self.host.manager(options["name"]).status()
            assert status.recorded or status.pid is None
            if not status.stopped:
                self.host.manager(options["name"]).stop(20)


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """Instances that are not deployed yet."""
    with tempfile.TemporaryDirectory(prefix="kf-", dir="/tmp") as folder:
        found = Fleet(Path(folder))
        yield found
        found.end()


@pytest.mark.parametrize(("lost", "orphaned"), CASES, ids=["+".join(sorted(lost)) + "-orphaned" * orphaned for lost, orphaned in CASES])
def test_what_was_lost_is_there_again(fleet: Fleet, lost: set[str], orphaned: bool) -> None:
    """The run knows its own server, writes what is missing, and a second run changes nothing; it can be stopped in order afterwards."""
    options = fleet.add("cache")
    fleet.run()
    with fleet.client(options) as client:
        client.mset({f"key:{number}": number for number in range(100)})
    pid = fleet.pid(options)
    if orphaned:
        runner = json_pid(fleet, "cache")
        os.kill(runner, signal.SIGKILL)
        wait_for_end(runner)
    fleet.lose("cache", lost)
    done = fleet.run()["cache"]
    with fleet.client(options) as client:
        assert 100 == client.dbsize()
    assert (pid == fleet.pid(options)) == (done.restart_needed == [])
    assert [] == [reason for reason in done.restart_needed if "started.conf" not in reason]
    assert ("run" in lost) == (done.restart_needed != [])
    assert "running" == fleet.state("cache")
    assert ["unchanged"] == [one.action for one in fleet.run().values()]
    fleet.host.manager("cache").stop(20)
    assert "stopped" == fleet.state("cache")
    assert ["started"] == [one.action for one in fleet.run().values()]
    with fleet.client(options) as client:
        assert 100 == client.dbsize()


def json_pid(fleet: Fleet, name: str) -> int:
    """Return the supervisor's process."""
    return int(Path(fleet.host.layout(name).run_dir, "runner.pid").read_text(encoding="ascii"))


def wait_for_end(pid: int) -> None:
    """Wait until a process that was killed is gone."""
    for _unused in range(1000):
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except OSError:
            return
        if state in "ZX":
            return
    raise AssertionError(f"{pid} has not ended")


@pytest.mark.parametrize(("count", "lost"), [(2, set()), (3, set()), (3, {"record"}), (3, {"conf", "record", "run"})])
def test_instances_rotate_their_ports(fleet: Fleet, count: int, lost: set[str]) -> None:
    """Each keeps its keys; without losses its process and the connections of its clients too."""
    listed = [fleet.add(f"i{number}") for number in range(count)]
    fleet.run()
    clients = [fleet.client(options) for options in listed]
    for number, client in enumerate(clients):
        client.mset({f"{number}:{key}": key for key in range(number + 1)})
    pids = [fleet.pid(options) for options in listed]
    for options in listed:
        fleet.lose(options["name"], lost)
    ports = [options["port"] for options in listed]
    for options, port in zip(listed, [*ports[1:], ports[0]]):
        options["port"] = port
    fleet.run()
    for number, options in enumerate(listed):
        with fleet.client(options) as client:
            assert (number + 1, f"i{number}") == (client.dbsize(), Path(client.config_get("dir")["dir"]).name)
    if "run" not in lost:
        assert pids == [fleet.pid(options) for options in listed]
        assert list(range(1, count + 1)) == [client.dbsize() for client in clients]
    assert {"unchanged"} == {one.action for one in fleet.run().values()}
    for client in clients:
        client.close()


@pytest.mark.parametrize("step", ["park", "write_record", "write_files", "set_live"])
def test_a_killed_swap_is_finished_by_the_next_run(fleet: Fleet, step: str) -> None:
    """Wherever it ended, both are found and get their new ports."""
    first, second = fleet.add("a"), fleet.add("b")
    fleet.run()
    pids = [fleet.pid(first), fleet.pid(second)]
    first["port"], second["port"] = second["port"], first["port"]
    assert fleet.killed_before(step)
    fleet.run()
    assert pids == [fleet.pid(first), fleet.pid(second)]
    assert {"unchanged"} == {one.action for one in fleet.run().values()}


def test_new_instance_takes_the_port_of_one_that_moves(fleet: Fleet) -> None:
    """In one run, whatever their order in the list."""
    old = fleet.add("old")
    fleet.run()
    pid, port = fleet.pid(old), old["port"]
    old["port"] = fleet.free()
    fleet.listed.insert(0, {"name": "new", "port": port, "bind": ["127.0.0.1"], "password": PASSWORD})
    fleet.run()
    assert pid == fleet.pid(old) != fleet.pid(fleet.listed[0])


def test_port_that_another_has_until_its_restart_is_refused(fleet: Fleet) -> None:
    """Before any of them is touched."""
    old = fleet.add("old")
    fleet.run()
    pid, port = fleet.pid(old), old["port"]
    old.update(port=0, unix_socket=True)
    fleet.add("new", port)
    with pytest.raises(KeyfleetError, match=f"instance new shall have port {port}, which instance old has until its restart"):
        fleet.settle()
    old.update(port=port, unix_socket=False)
    assert pid == fleet.pid(old)
    fleet.listed.pop()


def test_renamed_instance_names_the_one_that_has_the_port(fleet: Fleet) -> None:
    """The advice is to list it as absent, and not to end a process."""
    old = fleet.add("old")
    fleet.run()
    fleet.listed = []
    fleet.add("new", old["port"])
    (problem,) = fleet.problems()
    assert f"port is {old['port']}, where instance 'old' of an earlier inventory runs: list it with state 'absent'" in problem
    fleet.listed = [old]
