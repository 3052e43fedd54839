# SPDX-License-Identifier: GPL-3.0-or-later
"""Files for tools of others agree with what the project's own scripts do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize(("copy", "licence"), [("LICENSE", "MIT.txt"), ("COPYING", "GPL-3.0-or-later.txt")])
def test_licences_at_the_top_are_copies(copy: str, licence: str) -> None:
    """Scanners read the top folder, REUSE reads LICENSES."""
    assert (ROOT / "LICENSES" / licence).read_bytes() == (ROOT / copy).read_bytes()


def test_commit_hooks_run_the_scripts_of_the_check() -> None:
    """Nothing is fetched, and no hook has settings of its own."""
    assert ["local"] == [repo["repo"] for repo in HOOKS]
    assert ["scripts/lint", "scripts/check types"] == [hook["entry"] for hook in HOOKS[0]["hooks"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_make_targets(workflow: Path) -> None:
    """A hosted run and a run at home are the same commands."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    commands = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    run = [command.split()[1] for command in commands if command.startswith("make ")]
    assert ["check", "test"] == run
    assert set(run) <= targets
