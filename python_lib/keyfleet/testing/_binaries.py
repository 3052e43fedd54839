# SPDX-License-Identifier: MIT
"""Where the servers' binaries are."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

FOLDER_VARIABLE = "KEYFLEET_SERVERS"


class ServerStartError(RuntimeError):
    """A server could not be started, or did not reach a state in time; the text says why and quotes the end of its log."""


def find_binary(engine: str) -> str:
    """
    Return the path of a server's binary.

    Args:
        engine: As for `start_server`.
    Raises:
        ServerStartError: if it is not there; the text says where it was searched.
    """
    match = re.fullmatch(r"(redis|valkey)(?:-(\d+\.\d+))?", engine)
    if match is None:
        raise ServerStartError(f"the engine is {engine!r}; allowed are redis and valkey, or with a version, as in redis-8.0")
    name, wanted = f"{match[1]}-server", match[2]
    path = shutil.which(name)
    if wanted is None:
        if path is None:
            raise ServerStartError(f"{name} is not installed or not on PATH; install the package {name}")
        return path
    found = f"{name} on PATH is {_version(path)}" if path else f"{name} is not on PATH"
    if path and f"{_version(path)}.".startswith(f"{wanted}."):
        return path
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        raise ServerStartError(f"{engine} is not here: {found}, and {FOLDER_VARIABLE} names no folder with other versions")
    own = Path(folder) / engine / "bin" / name
    if not own.exists():
        raise ServerStartError(f"{engine} is not here: {found}, and {own} does not exist ({FOLDER_VARIABLE} names the folder)")
    if not f"{_version(str(own))}.".startswith(f"{wanted}."):
        raise ServerStartError(f"{own} is {_version(str(own))}, not {wanted}")
    return str(own)


@functools.cache
def _version(path: str) -> str:
    """Return the version that the binary reports."""
    done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    version = re.search(r"\bv=(\d+\.\d+\.\d+)", done.stdout)
    if version is None:
        raise ServerStartError(f"{path} --version failed: {(done.stderr or done.stdout).strip()}")
    return version[1]
