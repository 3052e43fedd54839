# SPDX-License-Identifier: MIT
"""Run the commands of Ansible away from the checkout, as a user of the installed collection does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

LITTER = (
    ".venv/bin/python",
    ".cache/sanity/x",
    ".git/config",
    ".ansible/x",
    ".mypy_cache/x",
    "build/x",
    "keyfleet-redis-0.0.1.tar.gz",
    "plugins/modules/__pycache__/redis_key.pyc",
    "python_lib/keyfleet.egg-info/PKG-INFO",
    "inventories/local/.keyfleet/redis/redis_server_password",
    "inventories/local/redis.env",
    "inventories/local/redis-node2.env",
    "inventories/local/shop@node1.env",
    "redis.env",
)
"""What lies around in a checkout that is worked in, secrets among it."""


def ansible(
    name: str,
    *arguments: str,
    folder: Path,
    collections: Path | None = None,
    prefix: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> str:
    """
    Run ``ansible-NAME`` of this interpreter's environment and return its output.

    Args:
        name: ``playbook``, ``galaxy`` …
        arguments: Its arguments.
        folder: Working directory and home; it has no ansible.cfg.
        collections: The only collections path.
        prefix: What to put before the command.
        environ: Added to the environment.
    Raises:
        AssertionError: if the command fails; with all of its output.
    """
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "REDIS_"))}
    paths = {"ANSIBLE_COLLECTIONS_PATH": str(collections)} if collections else {}
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "ansible", name, *arguments],
        cwd=folder,
        env={**inherited, **paths, "HOME": str(folder), "ANSIBLE_NOCOLOR": "1", **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
