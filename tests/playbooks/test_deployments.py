"""Deployments by name: secrets, locks and profiles of several in one inventory, and what an earlier version left."""

from __future__ import annotations

import json
import os

from support.playbooks import Deployment

MADE = "redis_server : Configure | Make the password where none is given"


def test_secret_of_an_earlier_version_is_used_and_moved(deployment: Deployment, port: int) -> None:
    """The password stays; check mode uses it where it is, the run moves it, and the lock of that version ends."""
    deployment.run().ok()
    secret, former = deployment.password_file(), deployment.inventory / ".keyfleet/redis_server_password"
    password, lock = deployment.password(), deployment.inventory / ".keyfleet/run.lock"
    secret.rename(former)
    lock.write_text(json.dumps({"pid": 1, "started_at": "gone", "host": os.uname().nodename}), encoding="utf-8")
    assert [MADE] == deployment.run("--check").ok().changed
    assert (False, True, True) == (secret.exists(), former.exists(), lock.exists())
    assert [MADE] == deployment.run().ok().changed
    assert (password, False, False) == (deployment.password(), former.exists(), lock.exists())
    assert [] == deployment.run().ok().changed
    os.link(secret, former)  # a run that was killed between the two names
    deployment.run().ok()
    assert (password, False) == (deployment.password(), former.exists())
    former.write_text("another-password", encoding="utf-8")
    former.chmod(0o600)
    run = deployment.run().ok()
    assert f"{former} holds another secret than" in run.output.replace("\n", " ")
    assert (password, True, []) == (deployment.password(), former.exists(), run.changed)
    with deployment.client(port) as client:
        assert client.ping()
