# SPDX-License-Identifier: GPL-3.0-or-later
"""The example inventories are valid: what the first play of site.yml checks, without asking a host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.collection import ansible
from support.playbooks import ROOT

# Variables of the controller that hold the passwords of examples.
SECRETS = {
    "elasticache": {"ORDERS_AUTH_TOKEN": "This-is-a-sample-token", "SESSIONS_PASSWORD": "This-is-a-sample-password"},
    "elasticache-like": {"CARTS_PASSWORD": "This-is-a-sample-password"},
}
MANAGED = ("elasticache",)  # of services that others run
EXAMPLES = sorted(path.name for path in (ROOT / "inventories").iterdir())


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_is_accepted(name: str, tmp_path: Path) -> None:
    """Every host of the group passes the validation."""
    group = "redis_managed" if name in MANAGED else "redis"
    role = {"name": f"keyfleet.redis.{'redis_managed' if name in MANAGED else 'redis_server'}", "tasks_from": "validate"}
    play = {"hosts": group, "gather_facts": False, "tasks": [{"ansible.builtin.import_role": role}]}
    (tmp_path / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    inventory = ROOT / "inventories" / name / "hosts.yml"
    output = ansible(
        "playbook", "-i", str(inventory), "play.yml", folder=tmp_path, collections=ROOT / ".collections", environ=SECRETS.get(name, {})
    )
    assert "failed=0" in output
    assert "changed=0" in output
