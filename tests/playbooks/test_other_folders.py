# SPDX-License-Identifier: MIT
"""The playbooks from another folder, where no ansible.cfg of the checkout is read, and inventories that cannot be read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.playbooks import ROOT, Deployment


@pytest.mark.parametrize("playbook", ["site.yml", "playbooks/site.yml", "playbooks/verify.yml", "playbooks/destroy.yml"])
def test_playbooks_find_roles_and_modules_from_any_folder(playbook: str, tmp_path: Path) -> None:
    """Roles and modules are found beside the playbook."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(ROOT / playbook), "-i", str(ROOT / "inventories/local")]
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run([*command, "--list-tasks"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    assert "redis_server" in done.stdout


def test_a_broken_file_of_the_inventory_ends_the_run(deployment: Deployment) -> None:
    """Its hosts or variables would be missing without a word."""
    deployment.write()
    (deployment.inventory / "more.yml").write_text("redis: {hosts\n", encoding="utf-8")
    run = deployment.run()
    assert 0 != run.rc
    assert "more.yml" in run.output
