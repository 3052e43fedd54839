# SPDX-License-Identifier: MIT
"""The runner as a program, with real servers under it that are killed, orphaned and misconfigured."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from keyfleet.core.service import supervisor as runner
from keyfleet.testing._server import free_port, socket_path

SECRET = "c0rrect-horse"
WAIT_SECONDS = 20


class Instance:
    """One server under the runner, everything below one folder."""

    def __init__(self, folder: Path, *, directives: str = "", **options: Any) -> None:
        self.folder, self.port = folder, free_port("127.0.0.1")
        self.run_dir, self.config, self.spec = folder / "run", folder / "redis.conf", folder / "runner.json"
        for name in ("run", "data", "log"):
            (folder / name).mkdir(exist_ok=True)
        self.configure(directives)
        fields = {
            "name": "cache",
            "argv": ["/usr/bin/redis-server", str(self.config)],
            "run_dir": str(self.run_dir),
            "log_file": str(folder / "log/runner.log"),
            "working_dir": str(folder / "data"),
            "config_file": str(self.config),
            "restart_delay_seconds": 0.05,
            **options,
        }
        self.spec.write_text(json.dumps(fields))

    def configure(self, directives: str) -> None:
        """Write the configuration, with further directives."""
        head = f"bind 127.0.0.1\nport {self.port}\nrequirepass {SECRET}\nlogfile {self.folder}/log/server.log\n"
        self.config.write_text(f"{head}{directives}\n")

    def command(self, action: str, *more: str) -> list[str]:
        """Return the command line of an action."""
        return [sys.executable, runner.__file__, action, "--spec", str(self.spec), *more]

    def run(self, action: str, *more: str, **environment: str) -> tuple[int, dict[str, Any]]:
        """Run one command as a task does, its output in pipes; a child that kept them open would be a timeout here."""
        done = subprocess.run(
            self.command(action, *more), capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
        )
        return done.returncode, json.loads(done.stdout)

    def ok(self, action: str, **environment: str) -> dict[str, Any]:
        """Run a command that must work."""
        code, result = self.run(action, **environment)
        assert 0 == code, result
        return result

    def status(self) -> dict[str, Any]:
        """Return the status."""
        return runner.status(str(self.run_dir))

    def client(self) -> redis.Redis:
        """Return a client."""
        return redis.Redis(port=self.port, password=SECRET, decode_responses=True)

    def wait(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the status is the desired one."""
        end = time.monotonic() + WAIT_SECONDS
        while not condition(found := self.status()):
            assert time.monotonic() < end, found
            time.sleep(0.02)
        return found

    def clean(self) -> None:
        """End whatever a failed test left, by the pids that this instance recorded."""
        found = self.status()
        for kind in ("runner", "server"):
            if found[f"{kind}_pid"]:
                with suppress(ProcessLookupError):
                    os.kill(found[f"{kind}_pid"], signal.SIGCONT)
                    os.kill(found[f"{kind}_pid"], signal.SIGKILL)


def gone(pid: int) -> bool:
    """Return whether a process ends in time."""
    end = time.monotonic() + WAIT_SECONDS
    while runner.start_ticks(pid) is not None and time.monotonic() < end:
        time.sleep(0.02)
    return runner.start_ticks(pid) is None


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Instance]]:
    """Make instances, and end them after the test."""
    made: list[Instance] = []

    def _make(**options: Any) -> Instance:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Instance(folder, **options))
        return made[-1]

    yield _make
    for instance in made:
        instance.clean()


def test_a_started_server_is_detached(make: Callable[..., Instance]) -> None:
    """Nothing is inherited from the caller: no pipe, no terminal, no session; and the caller returns."""
    cache = make()
    started = cache.ok("start")
    runner_stat = Path(f"/proc/{started['runner_pid']}/stat").read_text().rpartition(")")[2].split()
    targets = {
        pid: {str(Path(entry.path).readlink()) for entry in os.scandir(f"/proc/{pid}/fd") if entry.name in "012"}
        for pid in (started["runner_pid"], started["server_pid"])
    }

    assert (True, "running") == (started["changed"], started["state"])
    assert cache.client().ping()
    assert "0" == runner_stat[4], "it has a terminal"
    assert os.getsid(0) != os.getsid(started["runner_pid"])
    assert started["runner_pid"] not in (os.getsid(started["runner_pid"]), os.getpid()), "a session leader can get a terminal"
    assert {"/dev/null", f"{cache.folder}/log/runner.log"} == targets[started["runner_pid"]]
    assert "/dev/null" in targets[started["server_pid"]]


def test_start_and_stop_are_idempotent(make: Callable[..., Instance]) -> None:
    """A second start keeps the process; a second stop finds nothing; the status says so by its exit code too."""
    cache = make()
    assert (3, "stopped") == (cache.run("status")[0], cache.run("status")[1]["state"])
    first, second = cache.ok("start"), cache.ok("start")
    status = cache.run("status")
    stopped, again = cache.ok("stop"), cache.ok("stop")

    assert (True, False) == (first["changed"], second["changed"])
    assert (first["server_pid"], first["runner_pid"]) == (second["server_pid"], second["runner_pid"])
    assert (0, "running") == (status[0], status[1]["state"])
    assert (True, False, "stopped") == (stopped["changed"], again["changed"], again["state"])
    assert ["runner.lock", "server.lock", "status.json"] == sorted(path.name for path in cache.run_dir.iterdir())


def test_a_killed_server_returns_with_its_data(make: Callable[..., Instance]) -> None:
    """From the append only file, without a command, and the count of restarts says so."""
    cache = make(directives="appendonly yes\nappendfsync always")
    started = cache.ok("start")
    for number in range(100):
        cache.client().set(f"key{number}", number)
    os.kill(started["server_pid"], signal.SIGKILL)
    back = cache.wait(lambda found: found["restarts"] == 1 and found["state"] == "running")

    assert (100, "99") == (cache.client().dbsize(), cache.client().get("key99"))
    assert (started["runner_pid"], -signal.SIGKILL) == (back["runner_pid"], back["last_exit"]["status"])
    assert started["server_pid"] != back["server_pid"]


def test_stop_saves_and_restart_keeps_the_data(make: Callable[..., Instance]) -> None:
    """SIGTERM lets the server write its snapshot."""
    cache = make(directives="save 3600 1")
    cache.ok("start")
    cache.client().set("key", "kept")
    restarted = cache.ok("restart")
    after_restart = cache.client().get("key")
    cache.ok("stop")
    cache.ok("start")

    assert (True, "kept", "kept") == (restarted["changed"], after_restart, cache.client().get("key"))


def test_a_server_that_cannot_restart_is_tried_less_and_less_often(make: Callable[..., Instance]) -> None:
    """With a broken configuration the runner backs off; a start by hand then says why; once repaired it starts."""
    cache = make(restart_delay_seconds=0.05, restart_delay_max_seconds=0.4)
    started = cache.ok("start")
    cache.configure("no-such-directive 1")
    os.kill(started["server_pid"], signal.SIGKILL)
    cache.wait(lambda found: found["restarts"] >= 4)
    log = (cache.folder / "log/runner.log").read_text()
    code, refused = cache.run("start")
    cache.configure("")
    repaired = cache.ok("start")

    assert 4 <= log.count("last exit {'status': 1,")
    assert (1, True) == (code, "no-such-directive" in refused["error"])
    assert ("running", 0) == (repaired["state"], repaired["restarts"])


def test_a_server_that_waits_for_its_restart_can_be_stopped(make: Callable[..., Instance]) -> None:
    """Nothing starts afterwards."""
    cache = make(restart_delay_seconds=30)
    started = cache.ok("start")
    os.kill(started["server_pid"], signal.SIGKILL)
    cache.wait(lambda found: found["state"] == "backing-off")
    stopped = cache.ok("stop")

    assert (True, "stopped", None) == (stopped["changed"], stopped["state"], stopped["server_pid"])
    assert gone(started["runner_pid"])


def test_a_first_start_that_fails_says_why_and_leaves_nothing_running(make: Callable[..., Instance]) -> None:
    """The server's last words are in the message, without the value of the directive, which may be a secret."""
    cache = make(directives=f"masterauth {SECRET} twice")
    code, result = cache.run("start")
    found = cache.status()

    assert (1, True) == (code, "masterauth" in result["error"])
    assert SECRET not in result["error"] + (cache.folder / "log/runner.log").read_text()
    assert ("failed", None, None) == (found["state"], found["runner_pid"], found["server_pid"])


def test_a_program_that_is_not_there_is_named(make: Callable[..., Instance]) -> None:
    """And nothing keeps running."""
    cache = make(argv=["/nonexistent/redis-server"])
    code, result = cache.run("start")

    assert (1, True, None) == (code, "/nonexistent/redis-server" in result["error"], cache.status()["runner_pid"])


def test_an_orphan_is_adopted_without_an_interruption(make: Callable[..., Instance]) -> None:
    """After kill -9 of the runner, the server runs on; the next start supervises the same process again."""
    cache = make(directives="appendonly yes\nappendfsync always")
    started = cache.ok("start")
    connection = cache.client()
    connection.set("key", "kept")
    os.kill(started["runner_pid"], signal.SIGKILL)
    orphaned = cache.wait(lambda found: found["runner_pid"] is None)
    adopted = cache.ok("start")
    pid_over_the_old_connection = connection.info("server")["process_id"]
    os.kill(started["server_pid"], signal.SIGKILL)
    back = cache.wait(lambda found: found["restarts"] == 1 and found["state"] == "running")

    assert ("orphaned", started["server_pid"]) == (orphaned["state"], orphaned["server_pid"])
    assert (True, started["server_pid"]) == (adopted["changed"], adopted["server_pid"])
    assert started["server_started_at"] == adopted["server_started_at"]
    assert started["server_pid"] == pid_over_the_old_connection
    assert ("kept", adopted["runner_pid"]) == (cache.client().get("key"), back["runner_pid"])


@pytest.mark.parametrize("adopted", [True, False])
def test_an_orphan_is_stopped_gracefully(make: Callable[..., Instance], adopted: bool) -> None:
    """With or without having been adopted before, its data is saved."""
    cache = make(directives="save 3600 1")
    started = cache.ok("start")
    cache.client().set("key", "kept")
    os.kill(started["runner_pid"], signal.SIGKILL)
    cache.wait(lambda found: found["runner_pid"] is None)
    if adopted:
        cache.ok("start")
    stopped = cache.ok("stop")

    assert (True, "stopped", True) == (stopped["changed"], stopped["state"], gone(started["server_pid"]))
    cache.ok("start")
    assert "kept" == cache.client().get("key")


def test_a_server_that_no_record_names_is_never_joined_by_a_second_one(make: Callable[..., Instance]) -> None:
    """Killed between starting the server and noting its pid: the lock that the server holds still finds it."""
    cache = make(directives="save 3600 1")
    started = cache.ok("start")
    cache.client().set("key", "kept")
    os.kill(started["runner_pid"], signal.SIGKILL)
    assert gone(started["runner_pid"])
    (cache.run_dir / "status.json").unlink()
    again = cache.ok("start")

    assert gone(started["server_pid"])
    assert started["server_pid"] != again["server_pid"]
    assert "kept" == cache.client().get("key")


def test_many_starts_at_once_start_one_server(make: Callable[..., Instance]) -> None:
    """One of them changes something; all of them return when it is up, and name the same process."""
    cache = make()
    starts = [subprocess.Popen(cache.command("start"), stdout=subprocess.PIPE) for attempt in range(5)]
    results = [json.loads(start.communicate(timeout=60)[0]) for start in starts]
    holding = subprocess.run(
        ["pgrep", "-f", f"redis-server 127.0.0.1:{cache.port}"], capture_output=True, text=True, check=True
    ).stdout.split()

    assert [0] * 5 == [start.returncode for start in starts]
    assert [False] * 4 + [True] == sorted(result["changed"] for result in results)
    assert {(results[0]["server_pid"], results[0]["runner_pid"])} == {(result["server_pid"], result["runner_pid"]) for result in results}
    assert [str(results[0]["server_pid"])] == holding


def test_started_conf_is_what_the_process_was_started_with(make: Callable[..., Instance]) -> None:
    """A copy that only the server's user can read, renewed at each start, by hand or not, and gone when stopped."""
    cache = make()
    started = cache.ok("start")
    copy, first = cache.run_dir / "started.conf", cache.config.read_text()
    copied, mode = copy.read_text(), stat.S_IMODE(copy.stat().st_mode)
    cache.configure("maxmemory 1gb")
    kept = copy.read_text()
    os.kill(started["server_pid"], signal.SIGKILL)
    cache.wait(lambda found: found["restarts"] == 1 and found["state"] == "running")
    renewed = copy.read_text()
    cache.ok("stop")

    assert (first, first, 0o600) == (copied, kept, mode)
    assert (cache.config.read_text(), False) == (renewed, copy.exists())


def test_no_secret_in_arguments_environment_or_files_that_others_read(make: Callable[..., Instance]) -> None:
    """Neither the configured password nor what the caller's environment holds."""
    cache = make()
    started = cache.ok("start", REDIS_PASSWORD=SECRET)
    seen = b"".join(
        Path(f"/proc/{started[pid]}/{name}").read_bytes() for pid in ("runner_pid", "server_pid") for name in ("cmdline", "environ")
    )
    public = [
        path
        for path in cache.folder.glob("*/*")
        if path.is_file() and SECRET in path.read_text(errors="replace") and path.stat().st_mode & 0o077
    ]

    assert (True, False, []) == (b"redis-server" in seen, SECRET.encode() in seen, public)


def test_stop_waits_and_never_kills(make: Callable[..., Instance]) -> None:
    """With a time limit it says that the stop is still under way, which ends well later."""
    cache = make()
    started = cache.ok("start")
    os.kill(started["server_pid"], signal.SIGSTOP)
    code, result = cache.run("stop", "--timeout-seconds", "0.3")
    state = cache.status()["state"]
    os.kill(started["server_pid"], signal.SIGCONT)
    stopped = cache.ok("stop")

    assert (4, True, "stopping") == (code, "nothing was killed" in result["error"], state)
    assert (True, "stopped") == (gone(started["server_pid"]), stopped["state"])


def test_a_background_save_does_not_outlive_a_killed_server(make: Callable[..., Instance]) -> None:
    """Its child would replace the snapshot by an older one when it is done."""
    cache = make(directives='save ""\nrdb-key-save-delay 50000')
    started = cache.ok("start")
    cache.client().mset({f"key{number}": number for number in range(1000)})
    cache.client().bgsave()
    child = int(Path(f"/proc/{started['server_pid']}/task/{started['server_pid']}/children").read_text())
    os.kill(started["server_pid"], signal.SIGKILL)
    cache.wait(lambda found: found["restarts"] == 1 and found["state"] == "running")

    assert runner.start_ticks(child) is None


def test_missing_folders_are_made_and_the_limit_of_files_is_set(make: Callable[..., Instance]) -> None:
    """`/run` is empty after a reboot."""
    cache = make(nofile=333)
    shutil.rmtree(cache.run_dir)
    started = cache.ok("start")
    limits = Path(f"/proc/{started['server_pid']}/limits").read_text()

    assert ["Max open files            333"] == [line[:29].strip() for line in limits.splitlines() if line.startswith("Max open files")]


def test_a_unix_socket_is_enough_to_be_up(make: Callable[..., Instance]) -> None:
    """No TCP port at all."""
    cache = make()
    path = socket_path(cache.folder)
    cache.configure(f"port 0\nunixsocket {path}")
    cache.ok("start")

    assert redis.Redis(unix_socket_path=path, password=SECRET).ping()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a server as another user")
def test_root_gives_up_its_rights_for_supervisor_and_server() -> None:
    """Both run as the configured user, without other groups, and every file that they make is that user's."""
    account = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache, program = Instance(folder, user="nobody"), folder / "runner.py"
        shutil.copy(runner.__file__, program)
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, account.pw_uid, account.pw_gid)
        done = subprocess.run(
            ["/usr/bin/python3", str(program), "start", "--spec", str(cache.spec)], capture_output=True, text=True, timeout=60, check=False
        )
        assert 0 == done.returncode, done.stdout
        started = json.loads(done.stdout)
        lines = [
            line.split()
            for kind in ("runner", "server")
            for line in Path(f"/proc/{started[f'{kind}_pid']}/status").read_text().splitlines()
        ]
        owners = {path.stat().st_uid for path in cache.run_dir.iterdir()}
        stopped = cache.ok("stop")

    assert {str(account.pw_uid)} == {value for line in lines if line[0] == "Uid:" for value in line[1:]}
    assert {str(account.pw_gid)} == {value for line in lines if line[0] == "Gid:" for value in line[1:]}
    assert [[], []] == [line[1:] for line in lines if line[0] == "Groups:"]
    assert ({account.pw_uid}, "stopped") == (owners, stopped["state"])


def test_what_runs_before_each_start(make: Callable[..., Instance], tmp_path: Path) -> None:
    """It runs before the first start and before each restart, its words are in the log, and its failure keeps no server from starting."""
    program = tmp_path / "before.py"
    program.write_text("import sys\nprint('ran with', sys.argv[1])\nraise SystemExit(1)\n", encoding="utf-8")
    instance = make(before_start=[str(program), "this"])
    pid = instance.ok("start")["server_pid"]
    os.kill(pid, signal.SIGKILL)
    instance.wait(lambda found: found["state"] == "running" and found["server_pid"] not in (None, pid))
    log = (instance.folder / "log/runner.log").read_text(encoding="utf-8")
    assert 2 == log.count("before the start: ran with this\n")
    instance.ok("stop")
    program.unlink()
    assert "running" == instance.ok("start")["state"]


def test_stopped_while_something_runs_before_the_start(make: Callable[..., Instance], tmp_path: Path) -> None:
    """The server is not started any more."""
    program, ran = tmp_path / "before.py", tmp_path / "ran"
    program.write_text(f"import pathlib, time\npathlib.Path('{ran}').touch()\ntime.sleep(1)\n", encoding="utf-8")
    instance = make(before_start=[str(program)])
    starting = subprocess.Popen(instance.command("start"), stdout=subprocess.PIPE, text=True)
    end = time.monotonic() + WAIT_SECONDS
    while not ran.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert (0, "stopped") == (instance.run("stop")[0], instance.status()["state"])
    assert "was stopped before it listened" in starting.communicate(timeout=WAIT_SECONDS)[0]
    assert None is instance.status()["server_pid"]
