# SPDX-License-Identifier: GPL-3.0-or-later
"""What testinfra tests of all scenarios share: one server instance in a container, asked with its own password."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Instance:
    """
    One server instance in a container.

    Attributes:
        host: The container, as testinfra knows it.
        name: Name of the instance.
        port: Its TCP port.
        password: Its password, as the controller knows it.
    """

    host: Any
    name: str
    port: int
    password: str

    @property
    def unit(self) -> str:
        """Name of the systemd unit."""
        return f"keyfleet@{self.name}.service"

    @property
    def engine(self) -> str:
        """``redis`` or ``valkey``, as the scenario wants it: the name of the container ends with it."""
        return str(self.host.backend.name).rpartition("-")[2]

    def cli(self, *command: str, password: str | None = None) -> str:
        """Send a command and return the reply; the password is in the environment of this one process only."""
        environ = {**os.environ, "REDISCLI_AUTH": self.password if password is None else password}
        program = ["docker", "exec", "--env", "REDISCLI_AUTH", self.host.backend.name, f"{self.engine}-cli", "-p", str(self.port), *command]
        done = subprocess.run(program, env=environ, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
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
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.info("persistence").get("loading") != "0":
            assert time.monotonic() < deadline, f"{self.unit} does not come back: {self.cli('PING')}"
            time.sleep(0.1)

    def files_with(self, secret: str, *paths: str) -> list[str]:
        """Return the files below *paths* that user nobody can read and that contain *secret*, which travels on standard input."""
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "grep", "-rslF", "-f", "-", *paths]
        program = ["docker", "exec", "--interactive", self.host.backend.name, *as_nobody]
        return subprocess.run(program, input=secret, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False).stdout.split()


def generated_password(scenario: Path) -> str:
    """Return the password that the playbooks generated for *scenario*."""
    return (scenario / "inventory/.keyfleet/redis_server_password").read_text(encoding="utf-8").strip()
