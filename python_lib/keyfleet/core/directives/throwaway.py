# SPDX-License-Identifier: MIT
"""A throw-away server on a private unix socket: the real binary, asked about its own directives."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, BinaryIO, Callable, Optional

from ..errors import KeyfleetError, RefusedError, describe

Ask = Callable[..., Any]  # one command, as words; returns text, or lists of it

START_SECONDS = 10.0
LONGEST_SOCKET_PATH = 100  # sun_path holds 108 bytes; the folder's random name is part of them
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Conditions:
    """
    In which state the server's process will begin: a server under other conditions accepts other values.

    Attributes:
        account: User id, group id and further groups; None for those of this process.
        nofile: Limit of open files that it is given, as far as the hard limit allows; None for that of this process.
        oom_score: The kernel's ``oom_score_adj`` that it begins with; None for that of this process.
    """

    account: Optional[tuple[int, int, tuple[int, ...]]] = None
    nofile: Optional[int] = None
    oom_score: Optional[int] = None

    def take_on(self) -> None:
        """Bring this process, a child that is about to run the server, into the state; the rights go last."""
        if self.oom_score is not None:
            with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123 - after fork
                file.write(str(self.oom_score))
        if self.nofile is not None:  # as the supervisor does it
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            for pair in ((self.nofile, self.nofile), (min(self.nofile, hard), hard)):
                with contextlib.suppress(ValueError, OSError):
                    resource.setrlimit(resource.RLIMIT_NOFILE, pair)
                    break
        if self.account is not None:
            user, group, groups = self.account
            os.setgroups(groups)
            os.setgid(group)
            os.setuid(user)


AS_THIS_PROCESS = Conditions()


class StartFailedError(KeyfleetError):
    """The server did not start; ``output`` is what it printed, which may quote the directives."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output

    def __str__(self) -> str:
        return "the throw-away server did not start"


class AnswerError(KeyfleetError):
    """The throw-away server answered with an error."""


class _LostError(KeyfleetError):
    """The connection to the throw-away server ended, or no answer came in time."""


def file_identity(path: str) -> tuple[int, ...]:
    """Return numbers that change when another file is at *path*, or other content in it; none without a file."""
    try:
        status = Path(path).stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def engine_version(binary: str, conditions: Conditions = AS_THIS_PROCESS) -> tuple[str, str]:
    """
    Return engine and version of a server binary, such as ``("redis", "7.0.15")``; the same file is asked once under each conditions.

    Args:
        conditions: State of the process that runs it.
    Raises:
        RefusedError: if the file cannot be run or is no such server.
    """
    return _engine_version(binary, conditions, file_identity(binary))


@cache
def _engine_version(binary: str, conditions: Conditions, _identity: tuple[int, ...]) -> tuple[str, str]:
    try:
        done = subprocess.run(  # noqa: S603
            [binary, "--version"], capture_output=True, text=True, timeout=START_SECONDS, check=False, preexec_fn=conditions.take_on
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RefusedError(f"cannot run {binary} --version: {describe(error)}") from error
    found = re.search(r"^(Redis|Valkey) server v=(\d+(?:\.\d+)*)", done.stdout, re.MULTILINE)
    if not found:
        raise RefusedError(f"{binary} is no Redis or Valkey server: --version printed {done.stdout[:200]!r}")
    return found.group(1).lower(), found.group(2)


@contextlib.contextmanager
def throwaway(binary: str, lines: Sequence[str], *, config_file: str = "", conditions: Conditions = AS_THIS_PROCESS) -> Iterator[Ask]:
    """
    Start *binary* with configuration *lines*, yield a function that sends one command, and leave nothing behind.

    The lines reach the server through its standard input, so that no secret is in argv or in a file. It listens on a
    socket in a private folder, which is also its working directory, and dies with this process.

    Args:
        binary: Path of the server.
        lines: Directives; those for port, socket and place in the process tree are overridden.
        config_file: Empty file for CONFIG REWRITE to write to, if that is wanted.
        conditions: State of the server's process.
    Raises:
        StartFailedError: if the server ends instead of answering, or needs more than 10 s.
        RefusedError: if the binary cannot be run.
    """
    base = tempfile.gettempdir()
    if len(base) > LONGEST_SOCKET_PATH - 20 or conditions.account is not None:  # TMPDIR may be closed for other users
        base = "/tmp"  # noqa: S108
    outer = tempfile.mkdtemp(prefix="kf-", dir=base)
    folder = f"{outer}/d"  # the server's; its user cannot replace the outer one, which is removed in the end
    address = f"{folder}/s"
    own = ["port 0", f'unixsocket "{address}"', "daemonize no", "supervised no", 'logfile ""']
    command = [binary, *([config_file] if config_file else []), "-"]
    try:
        _make_folders(outer, folder, conditions)
        with tempfile.TemporaryFile(dir=outer) as output:
            process = _spawn(command, folder, output, "\n".join([*lines, *own, ""]), conditions)
            try:
                with _connect(process, address, output) as connection, connection.makefile("rb") as replies:
                    yield lambda *words: _ask(connection, replies, words)
            except _LostError as error:  # it listens before it has read users and data, and may end then
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1)
                raise StartFailedError(_printed(output)) from error
            finally:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(outer, ignore_errors=True)


def config_get(ask: Ask, pattern: str = "*", command: str = "CONFIG") -> dict[str, str]:
    """Return ``{name: value}`` as CONFIG GET returns it."""
    flat = ask(command, "GET", pattern)
    return dict(zip(flat[::2], flat[1::2]))


def _make_folders(outer: str, folder: str, conditions: Conditions) -> None:
    os.mkdir(folder, 0o700)  # noqa: PTH102 - text, as everywhere here
    if conditions.account is not None:
        os.chown(folder, *conditions.account[:2])
        os.chmod(outer, 0o711)  # noqa: PTH101, S103 - to be passed through


def _spawn(command: Sequence[str], folder: str, output: IO[bytes], text: str, conditions: Conditions) -> subprocess.Popen[bytes]:
    library = ctypes.CDLL(None)

    def begin() -> None:
        conditions.take_on()
        library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # forgotten by a change of user, so after it

    try:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=folder, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, preexec_fn=begin
        )
    except OSError as error:
        raise RefusedError(f"cannot run {command[0]}: {describe(error)}") from error
    if process.stdin:
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(text.encode("utf-8", "surrogateescape"))
    return process


def _connect(process: subprocess.Popen[bytes], address: str, output: IO[bytes]) -> socket.socket:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(START_SECONDS)
        try:
            connection.connect(address)
        except OSError:  # not listening yet
            connection.close()
            time.sleep(0.003)
        else:
            return connection
    raise StartFailedError(_printed(output))


def _printed(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read(1_000_000).decode("utf-8", "replace")


def _ask(connection: socket.socket, replies: BinaryIO, words: Sequence[str]) -> Any:
    parts = [word.encode("utf-8", "surrogateescape") for word in words]
    try:
        connection.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return _read(replies)
    except OSError as error:
        raise _LostError from error


def _read(replies: BinaryIO) -> Any:
    line = replies.readline()
    if not line.endswith(b"\r\n"):
        raise _LostError
    kind, text = line[:1], line[1:-2].decode("utf-8", "surrogateescape")
    if kind == b"-":
        raise AnswerError(text)
    if kind == b"*":
        return [_read(replies) for _unused in range(int(text))]
    if kind == b"$":
        return replies.read(int(text) + 2)[:-2].decode("utf-8", "surrogateescape")
    return text
