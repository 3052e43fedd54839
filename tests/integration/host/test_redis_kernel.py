# SPDX-License-Identifier: MIT
"""The module redis_kernel as Ansible runs it, below a folder of the test; the host's own settings are never touched."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from support.modules import DEBIAN_PYTHON, assert_check_predicts, run_module


@pytest.fixture
def desired(tmp_path: Path) -> dict[str, Any]:
    """Options that lead below the test's folder, and a host that is not prepared."""
    for name, text in (("vm/overcommit_memory", "0\n"), ("net/core/somaxconn", "128\n")):
        path = tmp_path / "proc" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    (tmp_path / "thp").write_text("[always] madvise never\n")
    return {
        "sysctl": {"vm.overcommit_memory": 1},
        "sysctl_minimum": {"net.core.somaxconn": 1024},
        "transparent_hugepage": "madvise",
        "service_manager": "systemd",
        "sysctl_file": f"{tmp_path}/sysctl.d/90.conf",
        "thp_unit": f"{tmp_path}/units/keyfleet-thp.service",
        "proc_sys": f"{tmp_path}/proc",
        "thp_path": f"{tmp_path}/thp",
    }


@pytest.mark.parametrize("python", [sys.executable, DEBIAN_PYTHON])
def test_create_repeat_change_absent_absent_again(tmp_path: Path, desired: dict[str, Any], python: str) -> None:
    """Check mode predicts each step, and each step is done once."""
    made = assert_check_predicts("redis_kernel", desired, python=python)
    again = assert_check_predicts("redis_kernel", desired, python=python)
    changed = assert_check_predicts("redis_kernel", {**desired, "transparent_hugepage": "never"}, python=python)
    nothing = {name: value for name, value in desired.items() if name not in ("sysctl", "sysctl_minimum", "transparent_hugepage")}
    removed = assert_check_predicts("redis_kernel", nothing, python=python)
    removed_again = assert_check_predicts("redis_kernel", nothing, python=python)

    assert ["vm.overcommit_memory", "net.core.somaxconn", "transparent_hugepage"] == [entry["name"] for entry in made["applied"]]
    assert (True, [], False, []) == (made["units_changed"], made["not_applied"], again.changed, again["applied"])
    assert [{"name": "transparent_hugepage", "before": "madvise", "after": "never"}] == changed["applied"]
    assert ("1\n", "1024\n", "never\n") == tuple(
        (tmp_path / name).read_text() for name in ("proc/vm/overcommit_memory", "proc/net/core/somaxconn", "thp")
    )
    assert (True, True, False) == (removed.changed, removed["units_changed"], removed_again.changed)


def test_check_mode_touches_nothing_and_diff_shows_all(tmp_path: Path, desired: dict[str, Any]) -> None:
    """Settings and files, before and after."""
    result = run_module("redis_kernel", desired, check=True, diff=True)
    shown = {diff["after_header"]: (diff["before"], diff["after"]) for diff in result["diff"]}

    assert ("0\n", "1\n") == shown["vm.overcommit_memory"]
    assert "net.core.somaxconn = 1024\nvm.overcommit_memory = 1\n" in shown[desired["sysctl_file"]][1]
    assert ("0\n", False) == ((tmp_path / "proc/vm/overcommit_memory").read_text(), (tmp_path / "units").exists())


def test_wrong_values_are_named() -> None:
    """With the value found and the values allowed."""
    number = run_module("redis_kernel", {"sysctl_minimum": {"net.core.somaxconn": "many"}}, check=True)
    choice = run_module("redis_kernel", {"transparent_hugepage": "always"}, check=True)
    name = run_module("redis_kernel", {"sysctl": {"overcommit": 1}, "proc_sys": "/nonexistent"}, check=True)

    assert "net.core.somaxconn: 'many'" in number["msg"]
    assert "must be one of: madvise, never, got: always" in choice["msg"]
    assert name.failed
    assert "'overcommit' is no kernel setting" in name["msg"] or os.geteuid() != 0


def test_the_real_kernel_can_be_asked(desired: dict[str, Any]) -> None:
    """A check against the host itself changes nothing, whoever runs it and whatever it allows."""
    before = Path("/proc/sys/vm/overcommit_memory").read_text()
    result = run_module("redis_kernel", {"sysctl": {"vm.overcommit_memory": 1}, "transparent_hugepage": "madvise"}, check=True)

    assert (False, before) == (result.failed, Path("/proc/sys/vm/overcommit_memory").read_text())
