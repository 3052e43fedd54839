# SPDX-License-Identifier: MIT
"""Playbooks read what roles document, and nothing that is internal to a role."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
