# SPDX-License-Identifier: MIT
"""The role redis_host on a folder with the files of a host; the kernel that the test runs on is never touched."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.modules import ROOT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host that is not prepared."""
    for name, text in (
        ("proc/sys/vm/overcommit_memory", "0\n"),
        ("proc/sys/net/core/somaxconn", "128\n"),
        ("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"),
    ):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path / "root"


def play(root: Path, *options: str, **variables: Any) -> tuple[int, int, str]:
    """Run the role; return exit status, number of changes and output."""
    playbook = root.parent / "play.json"
    playbook.write_text(
        json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [{"ansible.builtin.import_role": {"name": "redis_host"}}]}])
    )
    given = {
        "ansible_python_interpreter": sys.executable,
        "redis_host_root": str(root),
        "redis_host_service_manager": "systemd",
        **variables,
    }
    program = str(Path(sys.executable).parent / "ansible-playbook")
    command = [program, "-i", "localhost,", "-c", "local", "-e", json.dumps(given), *options, str(playbook)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    changes = re.search(r"changed=(\d+)", done.stdout)
    return done.returncode, int(changes[1]) if changes else -1, done.stdout


def test_check_first_run_and_second_run(root: Path) -> None:
    """A check changes nothing and predicts the run, and the second run changes nothing."""
    check = play(root, "--check", "--diff")
    untouched = (root / "proc/sys/vm/overcommit_memory").read_text()
    first, second = play(root), play(root)

    assert [(0, 1), (0, 1), (0, 0)] == [run[:2] for run in (check, first, second)]
    assert ("0\n", "1\n") == (untouched, (root / "proc/sys/vm/overcommit_memory").read_text())
    assert "+vm.overcommit_memory = 1" in check[2]
    assert (root / "etc/systemd/system/basic.target.wants/keyfleet-thp.service").is_file()


def test_each_setting_is_optional_and_each_notice_names_the_reason(root: Path) -> None:
    """A setting that is not listed is kept, and one that cannot survive a reboot is named."""
    code, changes, output = play(root, redis_host_settings=["transparent_hugepage"], redis_host_service_manager="process")

    assert (0, 1, "0\n") == (code, changes, (root / "proc/sys/vm/overcommit_memory").read_text())
    assert "does not survive a reboot" in output
    assert (0, 0) == play(root, redis_host_settings=[])[:2]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"redis_host_somaxconn": 0}, "redis_host_somaxconn is 0: give 1 to 65535"),
        ({"redis_host_transparent_hugepage": "always"}, "must be one of: madvise, never, got: always"),
        ({"redis_host_overcommit_memory": 3}, "must be one of: 0, 1, 2, got: 3"),
        ({"redis_host_settings": ["swappiness"]}, "Got no match for: swappiness"),
    ],
)
def test_bad_values_are_refused_before_anything_is_changed(root: Path, variables: dict[str, Any], message: str) -> None:
    """With the value found and the values allowed."""
    code, changes, output = play(root, **variables)

    assert (2, 0, True) == (code, changes, message in output)
    assert not (root / "etc").exists()
