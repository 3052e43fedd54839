# SPDX-License-Identifier: MIT
"""While our scripts install packages, no daemon of theirs starts; the machine's own policy comes back exactly as it was."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "scripts" / "lib.sh"
OWN = b"#!/bin/sh\n# the machine's own\r\nexit 104\n\xff"


def shell(policy: Path, commands: str) -> None:
    """Run *commands* with the functions of lib.sh, *policy* in place of /usr/sbin/policy-rc.d, and a sudo that is no sudo."""
    sudo = policy.parent / "bin" / "sudo"
    sudo.parent.mkdir(exist_ok=True)
    sudo.write_text('#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n')
    sudo.chmod(0o755)
    environ = {**os.environ, "policy_file": str(policy), "PATH": f"{sudo.parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", f". {LIBRARY}; {commands}"], env=environ, stdin=subprocess.DEVNULL, check=True, timeout=20)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Where policy-rc.d would be; nothing is there."""
    return tmp_path / "policy-rc.d"


def answer(policy: Path) -> int:
    """Return the policy's answer to a package's script that asks whether it may start its daemon."""
    return subprocess.run(["sh", str(policy), "redis-server", "start"], check=False).returncode


def test_daemons_are_forbidden_while_packages_are_installed(policy: Path) -> None:
    """Exit status 101 means: not allowed."""
    shell(policy, "forbid_daemons")
    assert (101, 0o755) == (answer(policy), policy.stat().st_mode & 0o777)


def test_a_machine_without_a_policy_has_none_afterwards(policy: Path) -> None:
    """Nothing is left behind."""
    shell(policy, "forbid_daemons; allow_daemons")
    assert ["bin"] == [path.name for path in policy.parent.iterdir()]


def test_the_own_policy_comes_back_as_it_was(policy: Path) -> None:
    """Bytes and mode are the same; it was out of the way meanwhile."""
    policy.write_bytes(OWN)
    policy.chmod(0o700)
    shell(policy, f"forbid_daemons; grep -q 'exit 101' {policy}; allow_daemons")
    assert (OWN, 0o700) == (policy.read_bytes(), policy.stat().st_mode & 0o777)
    assert ["bin", "policy-rc.d"] == sorted(path.name for path in policy.parent.iterdir())


def test_a_symlink_comes_back_as_a_symlink(policy: Path) -> None:
    """Some machines link their policy, even to nowhere."""
    policy.symlink_to("/nowhere/policy")
    shell(policy, "forbid_daemons; allow_daemons")
    assert "/nowhere/policy" == str(policy.readlink())


@pytest.mark.parametrize("own", [True, False], ids=["with_own_policy", "without"])
def test_the_next_run_repairs_what_a_killed_run_left(policy: Path, own: bool) -> None:
    """A kill between the two steps loses nothing; neither does a second kill."""
    if own:
        policy.write_bytes(OWN)
    shell(policy, "forbid_daemons")
    shell(policy, "forbid_daemons")
    shell(policy, "allow_daemons")
    assert (OWN if own else None) == (policy.read_bytes() if policy.exists() else None)


def test_allowing_without_forbidding_changes_nothing(policy: Path) -> None:
    """A policy that keyfleet did not write is kept."""
    policy.write_bytes(OWN)
    shell(policy, "allow_daemons")
    assert OWN == policy.read_bytes()
