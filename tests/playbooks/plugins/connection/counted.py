"""The local connection, which writes a line for every round trip; what a round trip costs is the same as over SSH."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = r"""
name: counted
short_description: local, counted
description: Each exec and each file transfer adds a line to the file that KEYFLEET_EXEC_LOG names.
author: keyfleet maintainers
extends_documentation_fragment:
  - connection_pipelining
options:
  become_success_timeout:
    description: As for the local connection.
    type: int
    default: 10
    vars:
      - name: ansible_local_become_success_timeout
  become_strip_preamble:
    description: As for the local connection.
    type: bool
    default: true
    vars:
      - name: ansible_local_become_strip_preamble
"""


def _note(what: str, detail: str) -> None:
    with Path(os.environ["KEYFLEET_EXEC_LOG"]).open("a", encoding="utf-8") as log:
        log.write(f"{what} {detail}\n")


class Connection(Local):
    """Count, then do as the local connection does."""

    transport = "counted"

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> Any:
        """Run a command."""
        _note("exec", cmd[-120:].replace("\n", " "))
        return super().exec_command(cmd, in_data, sudoable)

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file to the host."""
        _note("put", out_path)
        super().put_file(in_path, out_path)

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file from the host."""
        _note("fetch", in_path)
        super().fetch_file(in_path, out_path)
