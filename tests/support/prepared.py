# SPDX-License-Identifier: MIT
"""One deployment for a module of tests: site.yml runs once, and each test finds files, keys and processes as that run left them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from support.playbooks import Deployment, unprivileged


class Prepared:
    """
    A deployment that is put back before each test.

    A copy of its folder is made once, while the servers are stopped; `fresh` kills what a test left running, restores the copy at the
    same path and starts the servers again, as their supervisor does after a stop.

    Args:
        fill: Gives the new deployment its hosts and variables.
    """

    def __init__(self, fill: Callable[[Deployment], None]) -> None:
        self._fill = fill
        self._made: Deployment | None = None
        self._hosts: tuple[str, ...] = ()
        self._variables: dict[str, Any] = {}
        self._host_variables: dict[str, dict[str, Any]] = {}

    def fresh(self) -> Deployment:
        """Return the deployment as site.yml left it, running, whatever the former test did to it."""
        if self._made is None:
            return self._make()
        self._made.stop_everything()
        shutil.copytree(self._copy, self._made.folder, symlinks=True)
        _runners(self._made, "start")
        self._made.hosts, self._made.variables = self._hosts, deepcopy(self._variables)
        self._made.host_variables, self._made.retired = deepcopy(self._host_variables), ()
        return self._made

    def stop(self) -> None:
        """End the servers and remove both folders."""
        if self._made is not None:
            self._made.stop_everything()
            shutil.rmtree(self._copy)

    @property
    def _copy(self) -> Path:
        assert self._made is not None
        return self._made.folder.with_name(self._made.folder.name + ".copy")

    def _make(self) -> Deployment:
        self._made = Deployment(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp")))  # short: unix sockets need it
        self._fill(self._made)
        self._hosts, self._variables = tuple(self._made.hosts), deepcopy(self._made.variables)
        self._host_variables = deepcopy(self._made.host_variables)
        self._made.run().ok()
        _runners(self._made, "stop")
        shutil.copytree(self._made.folder, self._copy, symlinks=True)
        _runners(self._made, "start")
        return self._made


def _runners(deployment: Deployment, action: str) -> None:
    """Start or stop every instance with the program that the deployment put on its hosts."""
    for spec in deployment.folder.glob("*/etc/keyfleet/*/runner.json"):
        program = spec.parents[3] / "usr/local/libexec/keyfleet/runner.py"
        command = [*unprivileged(), sys.executable, "-I", str(program), action, "--spec", str(spec)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
