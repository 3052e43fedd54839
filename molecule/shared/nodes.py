# SPDX-License-Identifier: GPL-3.0-or-later
"""What testinfra tests of all scenarios share: one server instance in a container, asked with its own password."""

from __future__ import annotations

import os
import re
import subprocess
import time
from base64 import b64decode
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Instance:
    """
    One server instance in a container.

    Attributes:
        host: The container, as testinfra knows it.
        engine: ``redis`` or ``valkey``.
        name: Name of the instance.
        port: Its TCP port.
        password: Its password, as the controller knows it.
        bin_dir: Folder of the engine's programs.
    """

    host: Any
    engine: str
    name: str
    port: int
    password: str
    bin_dir: str = "/usr/bin"

    @property
    def unit(self) -> str:
        """Name of the systemd unit."""
        return f"keyfleet@{self.name}.service"

    @property
    def needles(self) -> list[str]:
        """What to search for: the secret itself, and the parts that no quoting changes."""
        return [self.password, *re.findall(r"[A-Za-z0-9]{10,}", self.password)]

    def cli(self, *command: str, password: str | None = None) -> str:
        """Send a command and return the reply; the password is in the environment of this one process only."""
        environ = {**os.environ, "REDISCLI_AUTH": self.password if password is None else password}
        program = ["docker", "exec", "--env", "REDISCLI_AUTH", self.host.backend.name, f"{self.bin_dir}/{self.engine}-cli"]
        program += ["-p", str(self.port), *command]
        done = subprocess.run(program, env=environ, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
        return (done.stdout + done.stderr).strip()

    def info(self, section: str) -> dict[str, str]:
        """Return a section of INFO."""
        lines = (line.partition(":") for line in self.cli("INFO", section).splitlines())
        return {name: value for name, separator, value in lines if separator}

    def config(self, name: str) -> str:
        """Return the active value of a directive."""
        return "\n".join(self.cli("CONFIG", "GET", name).splitlines()[1:])

    def pid(self) -> int:
        """Return the pid that the server itself reports, in the container."""
        return int(self.info("server")["process_id"])

    def property(self, name: str) -> str:
        """Return a property of the unit."""
        return str(self.host.check_output("systemctl show --property=%s --value %s", name, self.unit))

    def restart(self) -> None:
        """Restart the unit and wait until the server answers and has its data."""
        self.host.check_output("systemctl restart %s", self.unit)
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self.info("persistence").get("loading") != "0":
            assert time.monotonic() < deadline, f"{self.unit} does not come back: {self.cli('PING')}"
            time.sleep(0.1)

    def files_with(self, secrets: list[str], *paths: str) -> list[str]:
        """Return files below *paths* that an unprivileged user can read and that contain a secret; *secrets* go through standard input."""
        unprivileged = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "grep", "-rslF", "-f", "-", *paths]
        program = ["docker", "exec", "--interactive", self.host.backend.name, *unprivileged]
        return subprocess.run(
            program, input="\n".join(secrets), capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        ).stdout.split()


def engine_of(host: Any) -> str:
    """Return the engine of a container whose name ends with it."""
    return str(host.backend.name).rpartition("-")[2]


@cache
def password_of(scenario: Path, container: str) -> str:
    """Return the password of the instances in *container*, as the inventory of *scenario* has it."""
    host = container.removeprefix(os.environ["KEYFLEET_CONTAINER_PREFIX"] + "-")
    message = ["ansible.builtin.debug", "-a", "msg={{ server_password | b64encode }}"]
    command = ["ansible", "-i", str(scenario / "inventory"), "-c", "local", "-m", *message, host]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True).stdout
    return b64decode(re.search(r'"msg": "([^"]+)"', shown)[1]).decode()  # type: ignore[index]  # debug always shows it
