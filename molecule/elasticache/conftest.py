# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of the scenario: what an application is given, names as a user's DNS says them, and who administers."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from keyfleet import Settings
from support.managed import resolved, resolved_in_processes

FOLDER = Path(__file__).parent
INVENTORY: dict[str, Any] = yaml.safe_load((FOLDER / "inventory/hosts.yml").read_text(encoding="utf-8"))
NAMES: dict[str, list[str]] = INVENTORY["all"]["vars"]["molecule_names"]
GROUPS = {"enabled": "orders", "disabled": "sessions", "serverless": "carts"}
RENAMED = {"disabled": ["debug", "save", "bgrewriteaof", "migrate"]}


@dataclass(frozen=True)
class Service:
    """
    One shape, deployed.

    Attributes:
        shape: Of GROUPS.
        settings: What an application reads in its profile.
        administrator: How keyfleet itself logs in to the first server.
        unknown: Commands that no user has.
    """

    shape: str
    settings: Settings
    administrator: Settings
    unknown: list[str]

    def module_options(self, **changes: Any) -> dict[str, Any]:
        """Return the connection options of a task."""
        found = self.settings
        place: dict[str, Any] = {"login_host": found.host, "login_port": found.port}
        if found.cluster_nodes:
            place = {"startup_nodes": [f"{host}:{port}" for host, port in found.cluster_nodes]}
        login = {"login_user": found.username, "login_password": found.password}
        return {**place, **{name: value for name, value in login.items() if value}, "tls": True, "ca_certs": found.tls_ca_file, **changes}


def service_of(shape: str) -> Service:
    """Return a shape as it was deployed."""
    group = GROUPS[shape]
    described = INVENTORY["redis"]["children"][group]
    first, values = next(iter(described["hosts"].items()))
    state = FOLDER / "inventory/.keyfleet"
    profile = state / f"{group}{'+app' if shape == 'serverless' else ''}@{first}.env"
    variables = dict(word.partition("=")[::2] for word in shlex.split(profile.read_text(encoding="utf-8"), comments=True))
    settings = replace(Settings.from_env(variables), timeout_seconds=10.0)
    administrator = Settings(
        host=values["ansible_host"],
        port=6379,
        username="keyfleet",
        password=(state / group / "redis_server_admin_password").read_text(encoding="utf-8").strip(),
        tls=True,
        tls_ca_file=settings.tls_ca_file,
        timeout_seconds=10.0,
    )
    return Service(shape, settings, administrator, RENAMED.get(shape, ["debug"]))


@pytest.fixture(autouse=True)
def names() -> Iterator[None]:
    """Resolve the names in the process of the tests."""
    with resolved(NAMES):
        yield


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Variables with which a module resolves the names."""
    return resolved_in_processes(NAMES, tmp_path)


@pytest.fixture(params=GROUPS)
def service(request: pytest.FixtureRequest) -> Service:
    """Each shape in turn."""
    return service_of(request.param)


@pytest.fixture
def cluster() -> Service:
    """The shape that fails over automatically."""
    return service_of("enabled")
