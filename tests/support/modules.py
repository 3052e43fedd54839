# SPDX-License-Identifier: MIT
"""
Run a module of the collection the way Ansible does: a process of its own, arguments as JSON on its standard input.

Source:
    ``ansible.module_utils.basic`` reads ``{"ANSIBLE_MODULE_ARGS": …}`` from standard input when a module is started by hand; check and diff
    mode travel in ``_ansible_check_mode`` and ``_ansible_diff``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import UserDict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Optional

import ansible

ROOT = Path(__file__).resolve().parents[2]
DEBIAN_PYTHON = "/usr/bin/python3"
"""The distribution's interpreter, with the distribution's redis-py: what a managed host has."""


class Result(UserDict):  # type: ignore[type-arg]  # UserDict[str, Any] needs no more here
    """
    The JSON that a module printed, as a mapping.

    Attributes:
        stdout, stderr: The whole output of the process, for tests that search it for secrets.
        rc: Exit status of the process.
    """

    def __init__(self, data: Mapping[str, Any], process: subprocess.CompletedProcess[str]) -> None:
        super().__init__(data)
        self.stdout, self.stderr, self.rc = process.stdout, process.stderr, process.returncode

    @property
    def failed(self) -> bool:
        """Whether the module reported a failure."""
        return bool(self.get("failed", False))

    @property
    def changed(self) -> bool:
        """Whether the module reported a change; it must say so either way, except in a failure."""
        return bool(self.get("changed", False) if self.failed else self["changed"])


@cache
def _ansible_only() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that holds ansible and nothing else, so that another interpreter keeps its own redis-py."""
    folder = tempfile.TemporaryDirectory(prefix="keyfleet-ansible-")
    (Path(folder.name) / "ansible").symlink_to(Path(ansible.__file__).parent)
    return folder


def run_module(
    name: str,
    args: Mapping[str, Any],
    *,
    check: bool = False,
    diff: bool = False,
    environ: Optional[Mapping[str, str]] = None,
    python: str = sys.executable,
    timeout_seconds: float = 60,
) -> Result:
    """
    Run one module as a real process.

    Args:
        name: Short name, ``redis_key``.
        args: What a task would give.
        check, diff: ``--check`` and ``--diff``.
        environ: Added to an environment that names no Redis.
        python: Interpreter; with ``DEBIAN_PYTHON`` the module gets the distribution's redis-py.
        timeout_seconds: The process is killed after this time.
    Returns:
        What the module printed. A module that printed no JSON fails the test, showing its output.
    """
    path = [str(ROOT / ".collections"), _ansible_only().name]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("REDIS_", "PYTHON"))}
    env.update({"PYTHONDONTWRITEBYTECODE": "1", **(environ or {})})
    env["PYTHONPATH"] = os.pathsep.join([*path, *filter(None, [env.get("PYTHONPATH")])])
    request = {"ANSIBLE_MODULE_ARGS": {**args, "_ansible_check_mode": check, "_ansible_diff": diff}}
    process = subprocess.run(
        [python, "-m", f"ansible_collections.keyfleet.redis.plugins.modules.{name}"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env=env,
        cwd=ROOT,
        timeout=timeout_seconds,
        check=False,
    )
    try:
        printed = json.loads(process.stdout)
    except ValueError:
        raise AssertionError(f"{name} printed no JSON (exit {process.returncode})\n{process.stdout}\n{process.stderr}") from None
    return Result(printed, process)


def assert_check_predicts(name: str, args: Mapping[str, Any], **options: Any) -> Result:
    """
    Run a module in check mode, then really, and assert that the first said what the second did.

    Returns:
        The result of the real run.
    """
    predicted = run_module(name, args, check=True, **options)
    real = run_module(name, args, **options)
    assert (predicted.failed, predicted.changed) == (real.failed, real.changed), f"predicted {predicted.data}, real {real.data}"
    return real
