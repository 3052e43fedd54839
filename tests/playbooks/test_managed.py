# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml and verify.yml on managed services: emulations that deny what ElastiCache denies, asked from the controller alone."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from keyfleet import Client, Settings
from support.managed import TOKEN, Managed, names_in_processes, start_managed
from support.playbooks import Deployment, Run, deployments

KEYS = [{"key": "app:settings", "value": {"maintenance": False}, "type": "json"}, {"key": "app:old", "state": "absent"}]


class Services(Deployment):
    """An inventory of managed services: `host_variables` are theirs, by name."""

    names: dict[str, str]

    def write(self) -> None:
        """Write the inventory."""
        self.inventory.mkdir(exist_ok=True)
        groups = {"redis": {"hosts": {}}, "redis_managed": {"hosts": dict(self.host_variables), "vars": self.variables}}
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump(groups), encoding="utf-8")

    def environ(self) -> dict[str, str]:
        """Return the environment of a run, in which the names of the services are known."""
        return {**super().environ(), **self.names}

    def settings(self, host: str) -> Settings:
        """Return what an application reads in the profile."""
        text = (self.inventory / f"{self.host_variables[host]['redis_deployment']}@{host}.env").read_text(encoding="utf-8")
        return Settings.from_env(dict(word.partition("=")[::2] for word in shlex.split(text, comments=True)))


def variables(managed: Managed) -> dict[str, Any]:
    """Return what an inventory says about a service."""
    found: dict[str, Any] = {
        "redis_deployment": managed.shape,
        "redis_managed_service": "serverless" if managed.shape == "serverless" else "elasticache",
        "redis_managed_endpoint": managed.endpoint,
        "redis_managed_port": managed.nodes[0].port,
        "redis_managed_cluster": managed.shape == "enabled",
        "redis_managed_password": TOKEN,
        "redis_managed_tls_ca_file": str(managed.ca),
        "redis_managed_engine": "redis",
        "redis_managed_keys": KEYS,
    }
    if managed.reader:
        found["redis_managed_reader_endpoint"] = managed.reader
    if managed.user:
        found["redis_managed_user"] = managed.user
    return found


@pytest.fixture
def services(tmp_path: Path) -> Iterator[tuple[Services, dict[str, Managed]]]:
    """An inventory of one service of each shape."""
    running: dict[str, Managed] = {}
    try:
        for shape, style in (("disabled", "unknown"), ("serverless", "noperm"), ("enabled", "unknown")):
            running[shape] = start_managed(tmp_path / shape, shape, style, "redis")
        for plain in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
            found = Services(plain.folder, host_variables={f"the-{shape}": variables(one) for shape, one in running.items()})
            found.names = names_in_processes(running.values(), plain.folder)
            yield found, running
    finally:
        for one in running.values():
            one.stop()


def check_secrets(run: Run) -> None:
    """Assert that no output holds the token."""
    assert TOKEN not in run.output


def test_every_shape(services: tuple[Services, dict[str, Managed]]) -> None:
    """Proven, published and with their keys, in check mode foreseen, unchanged the second time; then what is wrong is named."""
    inventory, running = services
    foreseen = inventory.run("--check", "--diff").ok()
    first = inventory.run("-vvv", "--diff").ok()
    expected = {"redis_managed : Apply the declared keys", "redis_endpoint : Write the connection profiles on the controller"}
    assert (expected, expected) == (set(foreseen.changed), set(first.changed))
    check_secrets(first)
    for host in inventory.host_variables:
        with Client.from_settings(inventory.settings(host)) as client:
            assert {"maintenance": False} == client.get_json("app:settings")
    assert "a cluster of 3 primaries" in " ".join(first.of("the-enabled").messages)
    assert f"{running['disabled'].reader}: a replica" in " ".join(first.of("the-disabled").messages)
    assert [] == inventory.run().ok().changed
    assert [] == inventory.run(playbook="playbooks/verify.yml").ok().changed

    wrong = {
        "the-enabled": {"redis_managed_cluster": False},
        "the-disabled": {"redis_managed_password": "this-is-another-token"},
        "the-serverless": {"redis_managed_engine": "valkey"},
    }
    for host, changes in wrong.items():
        inventory.host_variables[host].update(changes)
    refused = inventory.run("-vvv")
    check_secrets(refused)
    named = refused.of("the-enabled").failures  # by the probe, where its key belongs to another node
    assert "is one node of a cluster" in named or "is a cluster, and redis_managed_cluster is false" in named
    assert "refused the credentials" in refused.of("the-disabled").failures
    assert "the engine is redis, expected: valkey" in refused.of("the-serverless").failures
    assert [] == refused.changed


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no-endpoint": ({"redis_managed_endpoint": ""}, "redis_managed_endpoint is empty"),
    "with-port": ({"redis_managed_endpoint": "cache.example.test:6379"}, "without a port"),
    "token": (
        {"redis_managed_password": "This/is@a'sample token"},
        "an AUTH token, has a character that elasticache takes in no AUTH token",
    ),
    "short-token": ({"redis_managed_password": "short"}, "an AUTH token, has 5 characters: elasticache takes 16 to 128"),
    "password": (
        {"redis_managed_user": "app", "redis_managed_password": "this,is/not@allowed"},
        "the password of a user, has a character that elasticache takes in no password",
    ),
    "no-tls": ({"redis_managed_tls": False, "redis_managed_password": "This-is-a-sample-token"}, "with TLS only"),
    "no-file": ({"redis_managed_tls_ca_file": "/nowhere/ca.pem"}, "which is not a readable file of the controller"),
    "reader": ({"redis_managed_cluster": True, "redis_managed_reader_endpoint": "r.example.test"}, "a cluster has no reader endpoint"),
    "no-user": ({"redis_managed_service": "serverless", "redis_managed_password": "This-is-a-sample-token"}, "has no AUTH tokens"),
    "iam": ({"redis_managed_iam": True, "redis_managed_iam_cache": "c.example.test"}, "not an endpoint"),
    "iam-and-password": (
        {"redis_managed_iam": True, "redis_managed_iam_cache": "c", "redis_managed_user": "a", "redis_managed_password": "This-is-a-token"},
        "keep one",
    ),
    "unknown": ({"redis_managed_tokn": "x"}, "did you mean redis_managed_"),
}


def test_what_is_refused() -> None:
    """Before anything is asked: none of these endpoints exists. No message holds a password."""
    for plain in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
        hosts = {name: {"redis_managed_endpoint": "cache.example.test", **changes} for name, (changes, _text) in BAD.items()}
        found = Services(plain.folder, host_variables=hosts)
        found.names = {}
        run = found.run()
        left = {name: variables for name, variables in hosts.items() if not run.of(name).failures}
        assert {"unknown"} == left.keys()  # the step after that refuses it
        assert [] == [name for name, (_changes, text) in BAD.items() if name not in left and text not in run.of(name).failures]
        assert not any(secret in run.output for secret in ("This-is-a-sample", "sample token", "this,is/not"))
        found.host_variables = left
        assert BAD["unknown"][1] in found.run().of("unknown").failures
