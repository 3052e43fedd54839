# SPDX-License-Identifier: MIT
"""Playbooks read what roles document, and nothing that is internal to a role."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.name)
def test_playbooks_read_no_internal_variable(playbook: Path) -> None:
    """A name with two underscores in front belongs to its role and may change with it."""
    assert [] == re.findall(r"\b__redis_\w+", playbook.read_text())


def test_the_report_has_the_parts_that_the_readme_names() -> None:
    """What a playbook may read is documented, and what is documented is there."""
    variables = (ROOT / "roles/redis_server/vars/main/main.yml").read_text()
    parts = re.findall(r"^  (\w+):", variables.partition("\nredis_server_report:\n")[2], re.MULTILINE)
    table = (ROOT / "roles/redis_server/README.md").read_text().partition("`redis_server_report`\n")[2].partition("\n## ")[0]
    documented = re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `")))
    assert sorted(parts) == sorted(documented)


def tasks_of(content: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the tasks of a file or of a play, those of blocks, too."""
    for task in content:
        for nested in ("block", "rescue", "always"):
            yield from tasks_of(task.get(nested, []))
        yield task


def registered(role: str, file: str) -> set[str]:
    """Return the variables that a file of tasks registers, with those of the files that it imports."""
    content = yaml.safe_load((ROOT / "roles" / role / "tasks" / file).read_text()) or []
    found: set[str] = set()
    for task in tasks_of(content):
        found |= {task["register"]} if "register" in task else set()
        imported = task.get("ansible.builtin.import_tasks")
        found |= registered(role, imported if isinstance(imported, str) else imported["file"]) if imported else set()
    return found


def test_what_is_skipped_registers_nothing_that_others_register() -> None:
    """Where a role is imported with a condition, each skipped task registers that it was skipped, in the place of an earlier result."""
    problems = []
    for playbook in PLAYBOOKS:
        for play in yaml.safe_load(playbook.read_text()):
            for task in tasks_of(play.get("tasks", [])):
                imported = task.get("ansible.builtin.import_role")
                if not imported or "when" not in task:
                    continue
                role, file = imported["name"], f"{imported.get('tasks_from', 'main')}.yml"
                others = [path.name for path in (ROOT / "roles" / role / "tasks").glob("*.yml") if path.name != file]
                shared = registered(role, file) & set().union(*(registered(role, other) for other in others))
                problems += [f"{playbook.name}: {task['name']} may register {name} as skipped" for name in sorted(shared)]
    assert [] == problems
