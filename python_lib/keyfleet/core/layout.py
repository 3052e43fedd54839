# SPDX-License-Identifier: MIT
"""Where the files of an instance live: every path of a deployment derives from one root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Optional

UNIT_TEMPLATE = "keyfleet@.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT_TEMPLATE}"
SENTINEL_FOLDER = "keyfleet-sentinel"


def sentinel_file(root: str) -> str:
    """Return the path of the file of a host's Sentinel, its configuration and state; it is there until the Sentinel is removed."""
    return str(PurePosixPath(root) / "var/lib" / SENTINEL_FOLDER / "sentinel/sentinel.conf")


@dataclass(frozen=True)
class Layout:
    """
    Paths of one instance.

    Attributes:
        root: ``/`` for a system-wide deployment, any folder for a self-contained one.
        name: Instance name, unique on the host.
    """

    root: str
    name: str

    def _below(self, top: str) -> str:
        return str(PurePosixPath(self.root) / top / "keyfleet" / self.name)

    @property
    def config_dir(self) -> str:
        """Files that keyfleet owns; the server can read and not write them."""
        return self._below("etc")

    @property
    def config_file(self) -> str:
        """The directives that keyfleet writes, read last."""
        return f"{self.config_dir}/keyfleet.conf"

    @property
    def acl_file(self) -> str:
        """Users, with SHA-256 hashes of their passwords."""
        return f"{self.config_dir}/users.acl"

    @property
    def tls_file(self) -> str:
        """Key, certificate and chain in one file, so that one rename replaces them together."""
        return f"{self.config_dir}/tls.pem"

    @property
    def tls_ca_file(self) -> str:
        """Certificates of the CAs that the instance and this host trust."""
        return f"{self.config_dir}/ca.pem"

    @property
    def record_file(self) -> str:
        """What keyfleet deployed here (JSON): marks an instance as keyfleet's."""
        return f"{self.config_dir}/instance.json"

    @property
    def data_dir(self) -> str:
        """The server's working directory."""
        return self._below("var/lib")

    @property
    def data_record_file(self) -> str:
        """What the data folder held when keyfleet last stopped the server (JSON); beside the folder, and kept as long as the data is."""
        return str(PurePosixPath(self.data_dir).parent / f".{self.name}.json")

    @property
    def server_file(self) -> str:
        """The server's own configuration file, the target of CONFIG REWRITE."""
        return f"{self.data_dir}/server.conf"

    @property
    def log_dir(self) -> str:
        """Log files of the server and of the process runner."""
        return self._below("var/log")

    @property
    def log_file(self) -> str:
        """The server's log."""
        return f"{self.log_dir}/server.log"

    @property
    def rotation_file(self) -> str:
        """What logrotate does with the server's log."""
        return str(PurePosixPath(self.root) / f"etc/logrotate.d/keyfleet-{self.name}")

    @property
    def run_dir(self) -> str:
        """State of the running process; empty when it is stopped."""
        return self._below("run")

    @property
    def started_file(self) -> str:
        """Copy of the configuration file, made each time the process starts: what it was started with."""
        return f"{self.run_dir}/started.conf"

    @property
    def socket_file(self) -> str:
        """Unix socket of an instance that listens on one."""
        return f"{self.run_dir}/server.sock"

    @property
    def private_socket_file(self) -> str:
        """Unix socket of a server that is started without its port until its keys are counted."""
        return f"{self.run_dir}/private.sock"

    @property
    def runner_file(self) -> str:
        """The program of the ``process`` manager, one for all instances below the root."""
        return str(PurePosixPath(self.root) / "usr/local/libexec/keyfleet/runner.py")

    @property
    def role_program(self) -> str:
        """What is run before each start, one for all instances below the root."""
        return str(PurePosixPath(self.runner_file).parent / "start_role.py")

    @property
    def peers_file(self) -> str:
        """The other members of the instance's replication, for `role_program` (JSON)."""
        return f"{self.config_dir}/peers.json"

    @property
    def spec_file(self) -> str:
        """What the runner is to run for this instance."""
        return f"{self.config_dir}/runner.json"

    @property
    def unit(self) -> str:
        """Name of the systemd unit."""
        return UNIT_TEMPLATE.replace("@", f"@{self.name}")


def runner_spec(layout: Layout, binary: str, nofile: int, user: Optional[str] = None, group: Optional[str] = None) -> dict[str, Any]:
    """
    Return the specification that the runner starts an instance from; see ``runner.py --help``.

    Args:
        nofile: Limit of open files.
        user, group: Who runs the server; only root can choose.
    """
    spec = {
        "name": layout.name,
        "argv": [binary, layout.server_file, "--include", layout.config_file],
        "run_dir": layout.run_dir,
        "log_file": f"{layout.log_dir}/runner.log",
        "working_dir": layout.data_dir,
        "nofile": nofile,
        "config_file": layout.config_file,
        "own_file": layout.server_file,
        "before_start": [layout.role_program, layout.peers_file, layout.server_file, layout.config_file],
    }
    return {**spec, **({"user": user, "group": group} if user else {})}
