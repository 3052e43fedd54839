# SPDX-License-Identifier: MIT
"""One server as a child process."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from ..core.connect.client import close, connect
from ..core.connect.redis_py import AnyClient, translated
from ..core.connect.settings import Settings
from ..core.errors import ServerError, UnreachableError
from ._binaries import ServerStartError, find_binary
from ._certificates import make_certificates

Directives = Mapping[str, str | int | Sequence[str]]

START_SECONDS = 10.0
POLL_SECONDS = 0.02
LONGEST_SOCKET_PATH = 107  # bytes that Linux accepts
_BUS_OFFSET = 10000
_running: set[Server] = set()


class Server:
    """
    A running server; a context manager that stops it.

    Attributes:
        host, port: Address; port 0 when it listens on a socket only.
        unix_socket: Path of its socket, None without one.
        password: Password of the default user, None without one.
        tls_ca_file: Certificate of the CA that signed its certificate, None without TLS.
        directory: Folder that holds its files, ``server.log`` among them.
        config_file: The file it was started with.
        pid: Process id of the last start.
    """

    def __init__(self, directory: Path, binary: str, settings: Settings, *, sentinel: bool = False) -> None:
        self.directory, self.config_file = directory, directory / "server.conf"
        self.host, self.port, self.unix_socket = settings.host, 0 if settings.unix_socket else settings.port, settings.unix_socket
        self.password, self.tls_ca_file = settings.password, settings.tls_ca_file
        self._settings, self._command = settings, [binary, str(self.config_file), *(["--sentinel"] if sentinel else [])]
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Server {self._settings.address} pid={self.pid if self._process else None}>"

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id of the last start."""
        if self._process is None:
            raise ServerStartError("the server was never started")
        return self._process.pid

    def settings(self, **changes: Any) -> Settings:
        """Return settings that reach this server, with *changes* to single fields."""
        return Settings(**{**vars(self._settings), **changes})

    def client(self, **changes: Any) -> AnyClient:
        """Return a new redis-py client with replies as bytes; the caller closes it."""
        return connect(self.settings(**changes))

    def is_running(self) -> bool:
        """Return whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def is_paused(self) -> bool:
        """Say whether the process is frozen."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def start(self) -> None:
        """Start the process and wait until it answers."""
        log = self.directory / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # noqa: S603
        _running.add(self)
        try:
            wait_until(self._answers, f"{self._settings.address} to answer")
        except ServerStartError as error:
            self.kill()
            raise ServerStartError(f"{error}; its log ends with:\n{log.read_text(errors='replace')[-2000:]}") from error

    def _answers(self) -> bool:
        if not self.is_running():
            raise ServerStartError(f"the process of {self._settings.address} ended immediately")
        settings = self.settings(retry_attempts=0, timeout_seconds=1.0, tls_verify=False)
        client = connect(settings)
        try:
            with translated(settings):
                client.ping()
        except UnreachableError:
            return False
        except ServerError:
            pass  # a refusal is an answer
        finally:
            close(client)
        return True

    def stop(self) -> None:
        """Ask the process to end, wait for it, and kill it if it takes more than ten seconds."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(START_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the process immediately, without a chance to save."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        _running.discard(self)

    def restart(self) -> None:
        """Start again with the same files on the same port; stop first if it runs."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the process: connections stay open, nothing is answered, until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(self.is_paused, f"{self._settings.address} to freeze")

    def resume(self) -> None:
        """Let the frozen process continue."""
        os.kill(self.pid, signal.SIGCONT)
        wait_until(lambda: not self.is_paused(), f"{self._settings.address} to continue")


def start_server(
    directory: Path | str,
    *,
    engine: str = "redis",
    password: str | None = None,
    directives: Directives | None = None,
    unix_socket: bool = False,
    tls: bool = False,
    host: str = "127.0.0.1",
    port: int | None = None,
) -> Server:
    """
    Start one server and wait until it answers.

    Args:
        directory: Folder for its files, made if missing; a start in the same folder finds the old data.
        engine: ``redis`` or ``valkey`` for what is on PATH, or a version, as in ``redis-8.0``: PATH's if it is of that version,
            else ``redis-8.0/bin/redis-server`` in the folder that the variable KEYFLEET_SERVERS names.
        password: Password of the default user.
        directives: Lines of the configuration file, over ours: a value, or a list for several lines,
            as in ``{"maxmemory": "1mb", "user": ["alice on >pw ~* +@all"]}``.
        unix_socket: Listen on a socket in *directory*, and not on TCP.
        tls: Accept TLS only; the certificates name *host* and ``localhost``.
        host, port: Where to listen; by default a free port on 127.0.0.1.
    Returns:
        The running server. Nothing is saved on disk unless directives ask for it.
    Raises:
        ServerStartError: if the binary is missing or the server does not come up.
    """
    folder = Path(directory).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port(host, bus="cluster-enabled" in (directives or {}))
    settings = Settings(host=host, port=port, password=password)
    lines: dict[str, Any] = {"bind": host, "port": settings.port, "dir": str(folder), "save": '""', "appendonly": "no"}
    if unix_socket:
        settings = Settings(unix_socket=socket_path(folder), password=password)
        lines.update(port=0, unixsocket=settings.unix_socket)
    if tls:
        files = make_certificates(folder, host)
        settings = Settings(host=host, port=settings.port, password=password, tls=True, tls_ca_file=str(files.ca))
        lines.update({"port": 0, "tls-port": settings.port, "tls-auth-clients": "no"})
        lines.update({"tls-cert-file": str(files.certificate), "tls-key-file": str(files.key), "tls-ca-cert-file": str(files.ca)})
    if password is not None:
        lines.update(requirepass=f'"{password}"', masterauth=f'"{password}"')
    server = Server(folder, find_binary(engine), settings)
    write_config(server.config_file, {**lines, **(directives or {})})
    server.start()
    return server


def free_port(*hosts: str, bus: bool = False) -> int:
    """Return a TCP port that is free on all *hosts*, with *bus* also the cluster bus port above it."""
    for _unused in range(100):
        with socket.socket() as probe:
            probe.bind((hosts[0], 0))
            port = int(probe.getsockname()[1])
        wanted = [port, port - _BUS_OFFSET] if bus else [port]  # bus: the port found serves as the higher one
        if min(wanted) > 1024 and all(_is_free(host, number) for host in hosts for number in wanted):
            return min(wanted)
    raise ServerStartError(f"no free port on {', '.join(hosts)}")


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def socket_path(folder: Path) -> str:
    """Return the path of a socket in *folder*; Linux takes no longer ones."""
    path = str(folder / "server.sock")
    if len(path.encode()) > LONGEST_SOCKET_PATH:
        raise ServerStartError(f"the socket path {path} is longer than {LONGEST_SOCKET_PATH} bytes; use a shorter folder")
    return path


def write_config(path: Path, lines: Directives) -> None:
    """Write a configuration file that only its owner can read; a list gives several lines."""
    path.touch(mode=0o600)
    text = ""
    for name, value in lines.items():
        values = [value] if isinstance(value, (str, int)) else value
        text += "".join(f"{name} {item}\n" for item in values)
    path.write_text(text, encoding="utf-8")


def wait_until(condition: Callable[[], bool], what: str, timeout_seconds: float = START_SECONDS) -> None:
    """Poll *condition* until it holds, a lost connection meaning no; raise ServerStartError naming *what* was waited for."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        with contextlib.suppress(RedisConnectionError):  # Sentinel ends all connections of a server whose role it changes
            if condition():
                return
        if time.monotonic() > deadline:
            raise ServerStartError(f"waited {timeout_seconds:g} s for {what}")
        time.sleep(POLL_SECONDS)


@atexit.register
def _stop_leftovers() -> None:
    """Leave no server behind when the process ends."""
    for server in list(_running):
        server.kill()
