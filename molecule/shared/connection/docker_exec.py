# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connect to a container with `docker exec`: ansible-core has no such plugin, and molecule must run without a Galaxy server."""

from __future__ import annotations

DOCUMENTATION = r"""
name: docker_exec
author: keyfleet maintainers (@keyfleet)
short_description: Run tasks in a container with docker exec
description:
  - Every command, and every file moved, is one C(docker exec). Used by the tests only.
options:
  container:
    description: Name of the container.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: docker_exec_container
  user:
    description: User in the container.
    type: str
    default: root
    vars:
      - name: ansible_user
  exec_log:
    description: File that gets one line for each exec; nothing is written where it is empty.
    type: str
    default: ""
    env:
      - name: DOCKER_EXEC_LOG
"""

import shlex
import subprocess
from pathlib import Path
from typing import Optional, Union

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection import ConnectionBase


class Connection(ConnectionBase):
    """A container, by way of the docker command."""

    transport = "docker_exec"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def _run(self, command: list[str], stdin: Optional[bytes] = None) -> tuple[int, bytes, bytes]:
        container, log = self.get_option("container"), self.get_option("exec_log")
        if log:
            with Path(log).open("a") as file:
                file.write(f"{container}\n")
        call = ["docker", "exec", "--interactive", "--user", self.get_option("user"), container, *command]
        done = subprocess.run(call, input=stdin or b"", capture_output=True, check=False)
        # 125: docker itself failed; a stopped or missing container makes it 1 and says so.
        if done.returncode == 125 or done.stderr.startswith(b"Error response from daemon"):
            raise AnsibleConnectionFailure(f"container {container}: {done.stderr.decode().strip()}")
        return done.returncode, done.stdout, done.stderr

    def exec_command(self, cmd: str, in_data: Optional[bytes] = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run *cmd* in a shell of the container."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        return self._run(["/bin/sh", "-c", cmd], in_data)

    def _move(self, shell: str, stdin: Optional[bytes], what: str) -> bytes:
        returncode, out, err = self._run(["/bin/sh", "-c", shell], stdin)
        if returncode:
            raise AnsibleError(f"{what}: {err.decode().strip()}")
        return out

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file into the container."""
        super().put_file(in_path, out_path)
        self._move(f"cat > {shlex.quote(out_path)}", Path(in_path).read_bytes(), f"cannot write {out_path}")

    def fetch_file(self, in_path: str, out_path: Union[str, Path]) -> None:
        """Copy a file out of the container."""
        super().fetch_file(in_path, out_path)
        Path(out_path).write_bytes(self._move(f"cat {shlex.quote(in_path)}", None, f"cannot read {in_path}"))

    def close(self) -> None:
        """Forget the connection; there is nothing to close."""
        self._connected = False
