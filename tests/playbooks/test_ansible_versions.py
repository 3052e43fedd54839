# SPDX-License-Identifier: MIT
"""The oldest ansible-core that the collection claims; every other test runs on the newest that the machine's Python can run."""

from __future__ import annotations

from pathlib import Path

import yaml
from support.playbooks import ROOT, Deployment

OLDEST = ROOT / ".cache/venv-ansible-floor/bin/python"  # made by scripts/venv ansible-floor


def test_the_oldest_claimed_version_is_the_one_that_runs_here() -> None:
    """meta/runtime.yml claims no version that nothing has run."""
    pinned = (ROOT / "constraints-ansible-floor.txt").read_text().partition("ansible-core==")[2].split(".")
    assert f">={pinned[0]}.{pinned[1]}.0" == yaml.safe_load(Path(ROOT / "meta/runtime.yml").read_text())["requires_ansible"]


def test_the_oldest_ansible_deploys_changes_nothing_again_and_removes(deployment: Deployment, port: int) -> None:
    """In check mode first, with a generated password and a change of it; templates that yield none are empty texts there."""
    deployment.python = str(OLDEST)
    deployment.run("--check").ok()
    deployment.run().ok()
    with deployment.client(port) as client:
        assert client.ping()
    assert [] == deployment.run().ok().changed
    deployment.run(redis_server_password="a-password-of-its-own", redis_server_previous_password=deployment.password()).ok()
    with deployment.client(port, password="a-password-of-its-own") as client:
        assert client.ping()
    deployment.run(playbook="playbooks/destroy.yml", redis_server_password="a-password-of-its-own").ok()
    assert not (deployment.root() / "etc/keyfleet/default").exists()
