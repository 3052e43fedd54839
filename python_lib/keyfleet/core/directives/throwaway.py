# SPDX-License-Identifier: MIT
"""A throw-away server on a private unix socket: the real binary, asked about its own directives."""

from __future__ import annotations

import contextlib
import ctypes
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import IO, Any, BinaryIO, Callable

from ..errors import KeyfleetError, RefusedError

Ask = Callable[..., Any]  # one command, as words; returns text, or lists of it

START_SECONDS = 10.0
LONGEST_SOCKET_PATH = 100  # sun_path holds 108 bytes; the folder's random name is part of them
PR_SET_PDEATHSIG = 1


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


def engine_version(binary: str) -> tuple[str, str]:
    """
    Return engine and version of a server binary, such as ``("redis", "7.0.15")``.

    Raises:
        RefusedError: if the file cannot be run or is no such server.
    """
    try:
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=START_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise RefusedError(f"cannot run {binary} --version: {error}") from error
    found = re.search(r"^(Redis|Valkey) server v=(\d+(?:\.\d+)*)", done.stdout, re.MULTILINE)
    if not found:
        raise RefusedError(f"{binary} is no Redis or Valkey server: --version printed {done.stdout[:200]!r}")
    return found.group(1).lower(), found.group(2)


@contextlib.contextmanager
def throwaway(binary: str, lines: Sequence[str], *, config_file: str = "") -> Iterator[Ask]:
    """
    Start *binary* with configuration *lines*, yield a function that sends one command, and leave nothing behind.

    The lines reach the server through its standard input, so that no secret is in argv or in a file. It listens on a
    socket in a private folder, which is also its working directory, and dies with this process.

    Args:
        binary: Path of the server.
        lines: Directives; those for port, socket and place in the process tree are overridden.
        config_file: Empty file for CONFIG REWRITE to write to, if that is wanted.
    Raises:
        StartFailedError: if the server ends instead of answering, or needs more than 10 s.
        RefusedError: if the binary cannot be run.
    """
    base = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="kf-", dir=base if len(base) < LONGEST_SOCKET_PATH - 20 else "/tmp")  # noqa: S108
    address = f"{folder}/s"
    own = ["port 0", f'unixsocket "{address}"', "daemonize no", "supervised no", 'logfile ""']
    command = [binary, *([config_file] if config_file else []), "-"]
    try:
        with tempfile.TemporaryFile(dir=folder) as output:
            process = _spawn(command, folder, output, "\n".join([*lines, *own, ""]))
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
        shutil.rmtree(folder, ignore_errors=True)


def config_get(ask: Ask, pattern: str = "*", command: str = "CONFIG") -> dict[str, str]:
    """Return ``{name: value}`` as CONFIG GET returns it."""
    flat = ask(command, "GET", pattern)
    return dict(zip(flat[::2], flat[1::2]))


def _spawn(command: Sequence[str], folder: str, output: IO[bytes], text: str) -> subprocess.Popen[bytes]:
    library = ctypes.CDLL(None)

    def die_with_parent() -> None:
        library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    try:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=folder, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, preexec_fn=die_with_parent
        )
    except OSError as error:
        raise RefusedError(f"cannot run {command[0]}: {error}") from error
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
