"""Run the real playbooks on loopback: unprivileged, with the process manager, everything below one temporary folder."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import redis
import yaml
from keyfleet.testing import _server

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "tests/playbooks/plugins"
RUN_SECONDS = 300  # a run that takes longer hangs


@functools.cache
def _user_namespace() -> int:
    """Return the process that holds a user namespace in which root is an unprivileged user; all runs share it, as one user's runs would."""
    holder = subprocess.Popen(["unshare", "--user", "--map-user=65534", "--map-group=65534", "sleep", "7200"])
    atexit.register(holder.wait)
    atexit.register(holder.terminate)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{holder.pid}/uid_map").read_text(encoding="utf-8").split()[:1] != ["65534"]:
        assert time.monotonic() < deadline, "no user namespace: the playbook tests need one to run without root"
        time.sleep(0.01)
    return holder.pid


def unprivileged() -> list[str]:
    """Return what to put before a command so that it runs without root, with no capability."""
    return ["nsenter", f"--target={_user_namespace()}", "--user", "--preserve-credentials"] if os.geteuid() == 0 else []


def free_port() -> int:
    """Return a TCP port that is free, and whose cluster bus port is: a deployment of any topology can have it."""
    return _server.free_port("127.0.0.1", bus=True)


@dataclass
class Run:
    """What a run of ansible-playbook did."""

    rc: int
    output: str
    records: list[dict[str, Any]] = field(default_factory=list)
    execs: list[str] = field(default_factory=list)

    @property
    def changed(self) -> list[str]:
        """Return the names of the tasks that changed something."""
        return [record["task"] for record in self.records if record["outcome"] == "changed"]

    @property
    def failures(self) -> str:
        """Return the messages of the tasks that failed."""
        return "\n".join(json.dumps(record["result"]) for record in self.records if record["outcome"] == "failed")

    @property
    def messages(self) -> list[str]:
        """Return what the run says in its own words, as text."""
        return [json.dumps(record["result"].get("msg", "")) for record in self.records if record["action"] == "ansible.builtin.debug"]

    def result(self, module: str) -> dict[str, Any]:
        """Return the last result of a module of keyfleet."""
        ran = (record for record in reversed(self.records) if record["outcome"] != "skipped")
        return next(record["result"] for record in ran if record["action"] == f"keyfleet.redis.{module}")

    def of(self, host: str) -> Run:
        """Return the run with the records of one host only."""
        return replace(self, records=[record for record in self.records if host == record["host"]])

    def ok(self) -> Run:
        """Return the run itself if it went well; fail with its output otherwise."""
        assert self.rc == 0, self.output[-6000:]
        return self


@dataclass
class Deployment:
    """
    An inventory in a folder of its own, whose hosts all live below that folder.

    Attributes:
        python: Has the ansible-core that runs.
        retired: Hosts that leave.
    """

    folder: Path
    variables: dict[str, Any] = field(default_factory=dict)
    hosts: Sequence[str] = ("node1",)
    python: str = sys.executable
    host_variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    retired: Sequence[str] = ()
    sentinels: Sequence[str] = ()

    @property
    def inventory(self) -> Path:
        """Folder of the inventory."""
        return self.folder / "inventory"

    def root(self, host: str = "node1") -> Path:
        """Folder that stands for the host's root."""
        return self.folder / host

    def write(self) -> None:
        """Write the inventory."""
        self.inventory.mkdir(exist_ok=True)
        hosts = {}
        for host in self.hosts:
            self.root(host).mkdir(exist_ok=True)
            hosts[host] = {"redis_server_root": str(self.root(host)), **self.host_variables.get(host, {})}
        common = {
            "ansible_connection": "counted",
            "ansible_python_interpreter": sys.executable,
            "redis_server_install_method": "none",
            "redis_server_service_manager": "process",
            **self.variables,
        }
        groups: dict[str, Any] = {"redis": {"hosts": hosts, "vars": common}}
        if self.retired:
            groups["redis_retired"] = {"hosts": dict.fromkeys(self.retired)}
        if self.sentinels:
            groups["redis_sentinel"] = {"hosts": dict.fromkeys(self.sentinels)}
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump(groups), encoding="utf-8")

    def environ(self) -> dict[str, str]:
        """Return the environment of a run."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "REDIS_"))},
            "HOME": str(self.folder),
            "USER": "nobody" if os.geteuid() == 0 else os.environ.get("USER", "nobody"),
            "LOGNAME": "nobody" if os.geteuid() == 0 else os.environ.get("LOGNAME", "nobody"),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_CONNECTION_PLUGINS": str(PLUGINS / "connection"),
            "ANSIBLE_CALLBACK_PLUGINS": str(PLUGINS / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "recorder",
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "ansible-local"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "ansible-remote"),
            "ANSIBLE_NOCOLOR": "1",
            "KEYFLEET_EXEC_LOG": str(self.folder / "execs.log"),
            "KEYFLEET_RESULT_LOG": str(self.folder / "results.log"),
        }

    def command(self, *arguments: str, playbook: str = "site.yml") -> list[str]:
        """Return the command of a run."""
        program = [self.python, "-m", "ansible", "playbook", playbook, "-i", str(self.inventory)]
        return [*unprivileged(), *program, *arguments]

    def start(self, *arguments: str, playbook: str = "site.yml", kill_after: str = "") -> subprocess.Popen[str]:
        """Start a run in the background, in a process group of its own; *kill_after* is for the callback ``recorder``."""
        self.write()
        for name in ("execs.log", "results.log"):
            (self.folder / name).write_text("", encoding="utf-8")
        return subprocess.Popen(
            self.command(*arguments, playbook=playbook),
            cwd=ROOT,
            env={**self.environ(), "KEYFLEET_KILL_AFTER": kill_after},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> Run:
        """Wait for a run and return what it did."""
        try:
            output, _unused = process.communicate(timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        records = [json.loads(line) for line in (self.folder / "results.log").read_text(encoding="utf-8").splitlines()]
        execs = (self.folder / "execs.log").read_text(encoding="utf-8").splitlines()
        return Run(process.returncode, output, records, execs)

    def killed_after(self, point: str, *, playbook: str = "site.yml") -> bool:
        """Run a playbook that is killed after a result, as the callback ``recorder`` names it; return whether it got there."""
        return -signal.SIGKILL == self.finish(self.start(playbook=playbook, kill_after=point)).rc

    def run(self, *arguments: str, playbook: str = "site.yml", **extra: Any) -> Run:
        """Run a playbook; *extra* are extra variables."""
        given = ["-e", json.dumps(extra)] if extra else []
        return self.finish(self.start(*arguments, *given, playbook=playbook))

    def password_file(self, deployment: str = "redis") -> Path:
        """Return the file of a generated password."""
        return self.inventory / ".keyfleet" / deployment / "redis_server_password"

    def password(self, deployment: str = "redis") -> str:
        """Return a generated password."""
        return self.password_file(deployment).read_text(encoding="utf-8").strip()

    def client(self, port: int, **options: Any) -> redis.Redis:
        """Return a plain redis-py client of an instance."""
        password = options.pop("password") if "password" in options else self.password()
        return redis.Redis(port=port, decode_responses=True, password=password, **options)

    def tree(self) -> dict[str, tuple[int, int]]:
        """Return mode and change time of everything below the hosts' roots, to see that nothing was touched."""
        found = {}
        for host in self.hosts:
            for path in sorted(self.root(host).rglob("*")):
                status = path.lstat()
                found[str(path)] = (status.st_mode, status.st_mtime_ns)
        return found

    def stop_everything(self) -> None:
        """End what runs, by its recorded pid, and remove the folder."""
        self.kill_servers()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill_servers(self, host: str = "*") -> None:
        """Kill the servers of a host, or of all, and what would start them again."""
        for status in self.folder.glob(f"{host}/run/keyfleet*/*/status.json"):  # Sentinels, too
            record = json.loads(status.read_text(encoding="utf-8"))
            for kind in ("runner_pid", "server_pid"):
                if record.get(kind):
                    _end(int(record[kind]), str(self.folder))

    def lose(self, host: str) -> None:
        """Let a machine be lost: its servers are dead, and nothing answers to SSH there."""
        self.kill_servers(host)
        self.host_variables[host].update(ansible_connection="ssh", ansible_port=free_port())


def _end(pid: int, folder: str) -> None:
    """Kill a process of this test: one that still has its folder in its command line or working directory."""
    try:
        place = str(Path(f"/proc/{pid}/cwd").readlink()) + Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    if folder in place or "runner.py" in place:
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists():  # until then it has its port
            time.sleep(0.01)


def deployments(folder: Path) -> Iterator[Deployment]:
    """Yield a deployment, and remove it."""
    deployment = Deployment(folder)
    try:
        yield deployment
    finally:
        deployment.stop_everything()
