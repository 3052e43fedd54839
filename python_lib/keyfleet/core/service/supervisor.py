# SPDX-License-Identifier: MIT
"""
Run one server and keep it running where no init system does: start, stop, restart and status of a detached supervisor.

The file needs Python >= 3.9 on Linux and nothing else, so that the same file is a module of the library and a program on a managed host;
that is why it is longer than others. How it stays truthful:
    runner.lock   held (flock) by the supervisor as long as it runs: two supervisors of one instance are impossible.
    server.lock   held through a descriptor that the server inherits, and touched only under runner.lock: a server that outlived its
                  supervisor (kill -9) is found, and the next start adopts it, without an interruption.
    status.json   names both processes by pid and start time, so that a reused pid is never taken for ours, nor signalled.
"""

from __future__ import annotations

import argparse
import fcntl
import grp
import json
import os
import pwd
import re
import resource
import select
import signal
import stat
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Optional, Union

STATUS_FILE = "status.json"
POLL_SECONDS = 0.05
LOCK_TIMEOUT_SECONDS = 0.5
BEFORE_START_SECONDS = 20.0
SETTLE_SECONDS = 2.0  # a server whose sockets cannot be seen counts as up after this time
CLEAN_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_OF_ITS_OWN: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "env": CLEAN_ENVIRONMENT, "start_new_session": True}
HELP = """\
start    returns when the server listens, or has ended: then with its last words. Does nothing if it runs; adopts an orphan.
stop     sends SIGTERM and waits as long as saving takes, unless --timeout-seconds says otherwise; it never kills the server.
status   prints state: starting, running, backing-off, stopping, orphaned (the supervisor was killed), failed or stopped.
Exit status: 0 done; 1 failed; 2 wrong usage; 3 (status) not running; 4 not finished within --timeout-seconds, still under way.

FILE:"""


class RunnerError(Exception):
    """The runner cannot do what it was asked."""


class RunnerTimeoutError(RunnerError):
    """The time given ended first. The start continues, and nothing was killed."""


@dataclass(frozen=True)
class Spec:
    """
    What to run, and how: a JSON object on disk.

    Attributes:
        argv: Absolute program and arguments; everyone can read them, so they hold no secret.
        log_file: Log of the supervisor and of what the server prints; kept below twice *log_max_bytes*.
        user, group: Who runs supervisor and server; only root can choose. Without *group* it is the user's own.
        nofile: Limit of open files; without the right to raise it, at most the hard limit in force.
        config_file: Copied to ``RUN_DIR/started.conf`` (0600) each time the server starts.
        own_file: The server's own configuration file, the target of CONFIG REWRITE.
        before_start: A program in Python and its arguments, run before each start and for BEFORE_START_SECONDS at most; the server
            starts whatever becomes of it.
        restart_delay_seconds, restart_delay_max_seconds, stable_seconds: The delay doubles at each restart up to the maximum, and is the
            first one again after the server ran for the stable time.
    """

    name: str
    argv: list[str]
    run_dir: str
    log_file: str
    user: Optional[str] = None
    group: Optional[str] = None
    working_dir: str = "/"
    nofile: Optional[int] = None
    config_file: Optional[str] = None
    own_file: Optional[str] = None
    before_start: Optional[list[str]] = None
    restart_delay_seconds: float = 0.2
    restart_delay_max_seconds: float = 30.0
    stable_seconds: float = 10.0
    log_max_bytes: int = 1_048_576

    def path(self, name: str) -> str:
        """Return the path of a file in the run directory."""
        return str(Path(self.run_dir, name))


def load_spec(path: str) -> Spec:
    """Read a specification; raise RunnerError naming the file and what is wrong with it."""
    try:
        spec = Spec(**json.loads(Path(path).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise RunnerError(f"cannot use the specification {path}: {error}") from error
    if not spec.argv or isinstance(spec.argv, str):
        raise RunnerError(f"{path}: argv must be a list of words, found {spec.argv!r}")
    for place in (spec.argv[0], spec.run_dir, spec.log_file, spec.working_dir):
        if not str(place).startswith("/"):
            raise RunnerError(f"{path}: {place!r} must be an absolute path")
    return spec


def next_delay(spec: Spec, previous_seconds: float, uptime_seconds: float) -> float:
    """Return how long to wait before the next start, in seconds."""
    if previous_seconds == 0 or uptime_seconds >= spec.stable_seconds:
        return spec.restart_delay_seconds
    return min(previous_seconds * 2, spec.restart_delay_max_seconds)


def masked(line: str) -> str:
    """Return a line of the server's output without the value of the directive that it complains about, which may be a password."""
    return re.sub(r"^(.*>>> ['\"]?\S+).*$", r"\1 ...", line)


def start_ticks(pid: int) -> Optional[int]:
    """Return when a process started (clock ticks since boot), None if it has ended; with the pid this names one process for good."""
    try:
        rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if rest[0] in "ZX" else int(rest[19])


def descriptors(pid: Union[int, str]) -> list[str]:
    """Return the open descriptors of a process of this user, as paths; none if it has ended or is someone else's."""
    with suppress(OSError):
        return [entry.path for entry in os.scandir(f"/proc/{pid}/fd")]
    return []


def listens(pid: int) -> bool:
    """Return whether a process of this user holds a listening socket, TCP or unix."""
    held = set()
    for descriptor in descriptors(pid):
        with suppress(OSError):
            held.add(str(Path(descriptor).readlink()))
    for table, state, listening, inode in (("tcp", 3, "0A", 9), ("tcp6", 3, "0A", 9), ("unix", 3, "00010000", 6)):
        with suppress(OSError):
            rows = [line.split() for line in Path("/proc/net", table).read_text(encoding="utf-8", errors="replace").splitlines()[1:]]
            if any(words[state] == listening and f"socket:[{words[inode]}]" in held for words in rows):
                return True
    return False


def write_private(path: str, content: bytes) -> None:
    """Replace a file atomically; mode 0600."""
    temporary = Path(f"{path}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(content)
    temporary.replace(path)


def read_record(run_dir: str) -> dict[str, Any]:
    """Return what the supervisor wrote last into ``status.json``; empty if there is nothing."""
    return parse_record(path.read_bytes() if (path := Path(run_dir, STATUS_FILE)).exists() else b"")


def parse_record(content: bytes) -> dict[str, Any]:
    """Return the content of ``status.json``; empty if it is none."""
    with suppress(ValueError, TypeError):
        return dict(json.loads(content))
    return {}


def _living(record: dict[str, Any], kind: str) -> set[int]:
    """Return the pid of ``runner`` or ``server`` if exactly the recorded process is alive, else nothing."""
    pid, ticks = record.get(f"{kind}_pid"), record.get(f"{kind}_ticks")
    return {pid} if isinstance(pid, int) and ticks and start_ticks(pid) == ticks else set()


def status(run_dir: str) -> dict[str, Any]:
    """Say what runs in a run directory; changes nothing."""
    return status_of(read_record(run_dir))


def status_of(record: dict[str, Any]) -> dict[str, Any]:
    """
    Compare a record with the processes.

    Returns:
        ``name``, ``state`` (see HELP), ``runner_pid``, ``server_pid``, ``server_started_at`` (of the last one; seconds since 1970),
        ``restarts``, ``last_exit`` (None, or ``{"status": …, "at": …}``; the status is negative for a signal, None if unknown).
    """
    runner, server = _living(record, "runner"), _living(record, "server")
    state = record.get("state", "stopped")
    if not runner and state != "failed":
        state = "orphaned" if server else "stopped"
    kept = {key: record.get(key) for key in ("name", "restarts", "last_exit", "server_started_at")}
    return {**kept, "state": state, "runner_pid": next(iter(runner), None), "server_pid": next(iter(server), None)}


class Lock:
    """An flock on a file that is never unlinked, since a new file under the name would be a second lock."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *exc: object) -> None:
        """Give up this descriptor; a process that inherited it keeps the lock."""
        os.close(self.descriptor)

    def try_hold(self, timeout_seconds: float = 0.0) -> bool:
        """Take the lock if it is free, or becomes free in time."""
        end = time.monotonic() + timeout_seconds
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(POLL_SECONDS)

    def holders(self) -> set[int]:
        """Return the other processes of this user that have the file open."""
        mine, found = os.fstat(self.descriptor), set()
        for pid in (entry.name for entry in os.scandir("/proc") if entry.name.isdigit()):
            for descriptor in descriptors(pid):
                with suppress(OSError):
                    if os.path.samestat(Path(descriptor).stat(), mine):
                        found.add(int(pid))
        return found - {os.getpid()}


def _end(spec: Spec, lock: Lock, kind: str, end: float, others: Callable[[], set[int]] = set) -> bool:
    """Send SIGTERM once to the recorded process or *others*, until none holds the lock or is recorded; return whether one did."""
    signalled: set[int] = set()
    held = False
    while not lock.try_hold() or _living(read_record(spec.run_dir), kind):
        held = True
        for pid in (_living(read_record(spec.run_dir), kind) or others()) - signalled:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            signalled.add(pid)
        _wait(spec, end)
    return held


def _wait(spec: Spec, end: float) -> None:
    if time.monotonic() >= end:
        raise RunnerTimeoutError(f"{spec.name}: not finished in time, and still under way; nothing was killed")
    time.sleep(POLL_SECONDS)


def stop(spec: Spec, timeout_seconds: float = float("inf")) -> bool:
    """
    End supervisor and server with SIGTERM and wait for both, by default without limit: saving takes time. Return whether anything ran.

    Raises:
        RunnerTimeoutError: if the time ends first; the server continues to stop.
    """
    end = time.monotonic() + timeout_seconds
    if not Path(spec.run_dir).is_dir():
        return False
    with Lock(spec.path("runner.lock")) as lock:
        ended = _end(spec, lock, "runner", end)
        with Lock(spec.path("server.lock")) as server:
            orphaned = _end(spec, server, "server", end, server.holders)
        if orphaned:
            _forget(spec, {**read_record(spec.run_dir), "state": "stopped"})
        return ended or orphaned


def _forget(spec: Spec, record: dict[str, Any]) -> None:
    """Leave the run directory as it is when nothing runs: locks, and the last status."""
    with suppress(OSError):
        no_process = dict.fromkeys(("runner_pid", "runner_ticks", "server_pid", "server_ticks"))
        write_private(spec.path(STATUS_FILE), json.dumps({**record, **no_process}, sort_keys=True).encode())
    for name in ("runner.pid", "started.conf"):
        Path(spec.path(name)).unlink(missing_ok=True)


def start(spec: Spec, timeout_seconds: float = float("inf")) -> bool:
    """
    Start supervisor and server and wait until it listens; adopt an orphan, restart one that backs off. Return whether anything was started.

    Raises:
        RunnerError: if the server ended first; nothing runs then, and the message holds its last words.
        RunnerTimeoutError: if the time ends first. The start continues.
    """
    end = time.monotonic() + timeout_seconds
    while True:
        state = status(spec.run_dir)["state"]
        if state == "running":
            return False
        if state == "backing-off":
            stop(spec, end - time.monotonic())
        elif state in ("starting", "stopping"):
            _wait(spec, end)
        else:
            report = _spawn(spec, end)
            if "error" in report:
                raise RunnerError(report["error"])
            if not report.get("busy"):
                return True


def _spawn(spec: Spec, end: float) -> dict[str, Any]:
    """Start the supervisor as a session of its own, with nothing inherited, and return its report."""
    command = [sys.executable, "-I", str(Path(__file__).resolve()), "supervise", spec.name]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd="/", **_OF_ITS_OWN)  # noqa: S603 - this file itself
    seconds = None if end == float("inf") else max(0.0, end - time.monotonic())
    with process:
        try:
            printed = process.communicate(json.dumps(asdict(spec)).encode(), seconds)[0]
        except subprocess.TimeoutExpired:
            raise RunnerTimeoutError(f"{spec.name}: not listening in time, and still starting") from None
    with suppress(ValueError, TypeError):
        return dict(json.loads(printed))
    return {"error": f"the supervisor did not start, see {spec.log_file}: {printed.decode(errors='replace').strip()}"}


class Log:
    """The supervisor's log; moved to ``.1`` when it is full."""

    def __init__(self, path: str, max_bytes: int) -> None:
        self._path, self._max_bytes = path, max_bytes
        self.descriptor = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def write(self, text: str) -> None:
        """Append one line with the time; a full disk is no reason to end the supervision."""
        line = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n".encode()
        with suppress(OSError):
            if os.fstat(self.descriptor).st_size + len(line) > self._max_bytes:
                Path(self._path).replace(f"{self._path}.1")
                os.close(self.descriptor)
                self.descriptor = self._open()
            os.write(self.descriptor, line)


class Supervisor:
    """One server and its restarts; needs runner.lock to be held."""

    def __init__(self, spec: Spec, log: Log, report: Callable[[dict[str, Any]], None]) -> None:
        self._spec, self._log, self._report, self._reported = spec, log, report, False
        previous = read_record(spec.run_dir)
        survivor = previous if _living(previous, "server") else {"restarts": 0, "last_exit": None}
        self._record: dict[str, Any] = {"server_pid": None, "server_ticks": None, **survivor, "name": spec.name}
        self._record.update(runner_pid=os.getpid(), runner_ticks=start_ticks(os.getpid()))
        self._child: Optional[subprocess.Popen[bytes]] = None
        self._stdout: Optional[IO[bytes]] = None
        self._output, self._words = b"", deque[str](maxlen=10)
        self._delay_seconds = self._next_start = self._started = 0.0
        self._signals: list[int] = []
        # A signal that arrives just before `select` would be noticed only when something else happens; a byte in a pipe ends the wait.
        self._wakeup, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, lambda received, _frame: self._signals.append(received))

    def run(self) -> None:
        """Supervise until asked to stop, or until the first start fails."""
        self._enter("starting")
        write_private(self._spec.path("runner.pid"), b"%d\n" % os.getpid())
        if not self._adopt():
            self._launch()
        while self._record["state"] not in ("stopped", "failed"):
            self._wait()
            self._advance()
        _forget(self._spec, self._record)
        self._announce(error=f"{self._spec.name} was stopped before it listened")

    def _announce(self, **outcome: str) -> None:
        """Report the outcome of the start, once."""
        if not self._reported:
            self._reported = True
            self._report(outcome)

    def _enter(self, state: str) -> None:
        """Note a change of state where others read it."""
        self._record["state"] = state
        self._log.write(f"{state} (server pid {self._record['server_pid']}, last exit {self._record['last_exit']})")
        with suppress(OSError):
            write_private(self._spec.path(STATUS_FILE), json.dumps(self._record, sort_keys=True).encode())

    def _wait(self) -> None:
        """Wait for a signal, for output of the server, or until something is due."""
        due = {"starting": POLL_SECONDS, "backing-off": max(0.0, self._next_start - time.monotonic())}.get(self._record["state"])
        if self._record["server_pid"] and self._child is None:
            due = 10 * POLL_SECONDS  # an adopted server is no child, so its end raises no signal
        ready = select.select([self._wakeup, self._stdout or self._wakeup], [], [], due)[0]
        if self._stdout in ready:
            self._read_output()
        if self._wakeup in ready:
            os.read(self._wakeup, 4096)

    def _advance(self) -> None:
        """
        Take the step that signals, the server and the clock ask for.

        Signals come first: a server that ends while it is being stopped must not be restarted as one that crashed.
        """
        received, self._signals = self._signals, []
        if signal.SIGTERM in received or signal.SIGINT in received:
            for pid in _living(self._record, "server"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            self._enter("stopping" if self._record["server_pid"] else "stopped")
        state = self._record["state"]
        if self._child and self._child.poll() is not None:
            self._after_end(self._child.returncode)
        elif self._child is None and self._record["server_pid"] and not _living(self._record, "server"):
            self._after_end(None)
        elif state == "starting" and (listens(self._record["server_pid"]) or time.monotonic() - self._started > SETTLE_SECONDS):
            self._enter("running")
            self._announce(state="running")
        elif state == "backing-off" and time.monotonic() >= self._next_start:
            self._record["restarts"] += 1
            self._launch()

    def _adopt(self) -> bool:
        """Take over a server that outlived its supervisor; one that no record names is stopped."""
        with Lock(self._spec.path("server.lock")) as lock:
            if not _living(self._record, "server"):  # its lock may be gone with the run folder
                _end(self._spec, lock, "server", float("inf"), lock.holders)
                return False
        self._enter("running")
        self._announce(state="running")
        return True

    def _launch(self) -> None:
        """Start the server, or note why it cannot be started."""
        self._prepare_files()
        self._run_before_start()
        if signal.SIGTERM in self._signals or signal.SIGINT in self._signals:
            return  # came meanwhile, and ends the supervision before anything runs
        self._started = time.monotonic()
        try:
            with Lock(self._spec.path("server.lock")) as lock:
                self._child = self._spawn_server(lock)
        except OSError as error:
            self._words.append(f"cannot start: {error.filename or ''} {error.strerror or error}")
            self._after_end(None)
        else:
            self._record.update(server_pid=self._child.pid, server_ticks=start_ticks(self._child.pid), server_started_at=time.time())
            self._enter("starting")

    def _spawn_server(self, lock: Lock) -> subprocess.Popen[bytes]:
        if not lock.try_hold():
            for pid in lock.holders():  # a background save of the dead server could later replace newer data
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not lock.try_hold(10 * LOCK_TIMEOUT_SECONDS):
                raise OSError(f"{self._spec.path('server.lock')} is held by another process")
        child = subprocess.Popen(  # noqa: S603 - the argument list of the specification
            self._spec.argv, stdin=subprocess.DEVNULL, cwd=self._spec.working_dir, pass_fds=(lock.descriptor,), **_OF_ITS_OWN
        )
        self._stdout = child.stdout
        os.set_blocking(child.stdout.fileno(), False)  # type: ignore[union-attr]  # a pipe, as asked for
        return child

    def _prepare_files(self) -> None:
        """Copy the configuration about to be read, and undo what CONFIG REWRITE did to modules: one loaded twice ends the server."""
        Path(self._spec.path("started.conf")).unlink(missing_ok=True)
        try:
            if self._spec.config_file:
                write_private(self._spec.path("started.conf"), Path(self._spec.config_file).read_bytes())
            if self._spec.own_file and b"loadmodule " in (content := Path(self._spec.own_file).read_bytes()):
                write_private(self._spec.own_file, re.sub(rb"(?m)^loadmodule .*\n", b"", content))
        except OSError as error:  # no reason not to start
            self._log.write(f"cannot prepare the files: {error}")

    def _run_before_start(self) -> None:
        """Run what the specification names before each start, and log what it says."""
        if not self._spec.before_start:
            return
        words = [sys.executable, "-I", *self._spec.before_start]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, cwd="/", timeout=BEFORE_START_SECONDS, check=False, **_OF_ITS_OWN)  # noqa: S603 - of the specification
        except (OSError, subprocess.TimeoutExpired) as error:
            self._log.write(f"before the start: {error}")
        else:
            for line in done.stdout.decode(errors="replace").splitlines():
                self._log.write(f"before the start: {line}")

    def _read_output(self) -> None:
        """Log what the server printed, line by line."""
        data = (self._stdout and self._stdout.read()) or b""
        *lines, self._output = (self._output + data).split(b"\n")
        for line in lines:
            self._words.append(masked(line.decode(errors="replace")))
            self._log.write(f"server: {self._words[-1]}")
        if self._stdout and not data:
            self._stdout.close()
            self._stdout = None

    def _after_end(self, exit_status: Optional[int]) -> None:
        """Decide what follows the end of the server: nothing, a restart, or giving up a start that never worked."""
        while self._stdout:  # its last words; the pipe is closed once it is empty, even if a background save still holds it
            self._read_output()
        self._child = None
        self._record.update(server_pid=None, server_ticks=None, last_exit={"status": exit_status, "at": time.time()})
        if self._record["state"] == "stopping":
            self._enter("stopped")
        elif not self._reported:
            self._enter("failed")
            words = f": {' | '.join(self._words)}" if self._words else ""
            self._announce(error=f"{self._spec.name} ended before it listened (status {exit_status}){words}")
        else:
            self._delay_seconds = next_delay(self._spec, self._delay_seconds, time.monotonic() - self._started)
            self._next_start = time.monotonic() + self._delay_seconds
            self._enter("backing-off")


def supervise() -> None:
    """Become a daemon, read the specification from standard input, supervise, and print one JSON report of the start."""
    if os.fork():
        os._exit(0)  # the child is adopted by init, and cannot get a terminal, since it leads no session
    os.umask(0o077)
    spec = Spec(**json.load(sys.stdin))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def report(outcome: dict[str, Any]) -> None:
        with suppress(BrokenPipeError):
            os.write(1, json.dumps(outcome).encode())
        os.dup2(2, 1)

    try:
        log = Log(spec.log_file, spec.log_max_bytes)
        with Lock(spec.path("runner.lock")) as lock:
            if not lock.try_hold(LOCK_TIMEOUT_SECONDS):
                report({"busy": True})
                return
            os.dup2(log.descriptor, 2)
            Supervisor(spec, log, report).run()
    except OSError as error:
        report({"error": f"the supervisor of {spec.name} failed: {error}"})


def prepare(spec: Spec) -> None:
    """With the caller's rights: make missing folders (``/run`` is empty after a reboot) and raise the limit of open files."""
    user = _account(spec)
    for folder in (Path(spec.run_dir), Path(spec.log_file).parent):
        if not folder.is_dir():
            _refuse_replaceable(folder.parent)
            folder.mkdir(parents=True)
            _refuse_replaceable(folder)  # a parent that was missing until now
            folder.chmod(0o755)  # clients of another group reach a socket in it; all files of keyfleet are 0600
            os.chown(folder, *(user or (-1, -1)))
    if spec.nofile:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        for pair in ((spec.nofile, spec.nofile), (min(spec.nofile, hard), hard)):
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, pair)
                break


def _refuse_replaceable(path: Path) -> None:
    """Refuse a path that another user can change, and lead elsewhere what is made below it; see ``host/safe_paths.py``."""
    places = (path, Path(os.path.realpath(path))) if os.geteuid() == 0 else ()
    for part in [part for place in places for part in reversed((place, *place.parents))]:
        with suppress(FileNotFoundError):
            link, status = part.lstat(), part.stat()
            foreign = status.st_mode & (0o022 if status.st_gid else 0o002) and not status.st_mode & stat.S_ISVTX
            if link.st_uid or status.st_uid or foreign:
                raise RunnerError(f"{part} can be changed by another user, so root makes no folder below it: make {path} yourself")


def become(spec: Spec) -> None:
    """Give up root for the user of the specification, so that nothing is written or signalled with more rights than the server has."""
    if user := _account(spec):
        os.setgroups([])
        os.setgid(user[1])
        os.setuid(user[0])


def _account(spec: Spec) -> Optional[tuple[int, int]]:
    """Return user and group id to change to, None to stay."""
    if spec.user is None:
        return None
    try:
        entry = pwd.getpwnam(spec.user)
        group = grp.getgrnam(spec.group).gr_gid if spec.group else entry.pw_gid
    except KeyError as error:
        raise RunnerError(f"{spec.name}: {error.args[0]}") from error
    if os.geteuid() not in (0, entry.pw_uid):
        raise RunnerError(f"{spec.name}: only root can run a server as user {spec.user!r}")
    return (entry.pw_uid, group) if os.geteuid() == 0 else None


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run one command and print the status as JSON; see HELP for the exit status."""
    parser = argparse.ArgumentParser(epilog=HELP + str(Spec.__doc__), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("start", "stop", "restart", "status"))
    parser.add_argument("--spec", required=True, metavar="FILE", help="what to run (JSON)")
    parser.add_argument("--timeout-seconds", type=float, default=float("inf"), help="give up waiting after this time (default: never)")
    options = parser.parse_args(arguments)
    try:
        spec = load_spec(options.spec)
        if options.command in ("start", "restart"):
            prepare(spec)
        become(spec)
        changed = options.command in ("stop", "restart") and stop(spec, options.timeout_seconds)
        changed = (options.command in ("start", "restart") and start(spec, options.timeout_seconds)) or changed
        found = status(spec.run_dir)
    except (RunnerError, OSError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        sys.stdout.write(json.dumps({"error": reason}) + "\n")
        return 4 if isinstance(error, RunnerTimeoutError) else 1
    sys.stdout.write(json.dumps({"changed": changed, **found}) + "\n")
    return 3 if options.command == "status" and found["state"] != "running" else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["supervise"]:
        supervise()
    else:
        raise SystemExit(main())
