# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance of each host, and a client outside of the containers for each deployment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from keyfleet import Client
from nodes import Instance, password_of

FOLDER = Path(__file__).parent
ENGINES = dict(zip(("cart", "orders"), os.environ.get("KEYFLEET_ENGINES", "valkey,redis").split(",")))


def deployment_of(host: Any) -> str:
    """Return the deployment of a host: its name without the number."""
    return str(host.backend.name).removeprefix(os.environ["KEYFLEET_CONTAINER_PREFIX"] + "-").rstrip("0123456789")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep files whose name ends with a deployment for the hosts of that one; other files are for all that run a server."""
    wanted = {item: item.path.stem.rpartition("_")[2] for item in items}
    hosts = {item: item.nodeid.partition("[")[2] for item in items}
    items[:] = [
        item
        for item in items
        if (f"-{wanted[item]}" in hosts[item] if wanted[item] in (*ENGINES, "guard") else "-guard" not in hosts[item])
    ]


@pytest.fixture
def instance(host: Any) -> Instance:
    """The instance of one host."""
    return Instance(host, ENGINES[deployment_of(host)], "default", 6379, password_of(FOLDER, host.backend.name))


@pytest.fixture
def sentinel_engine() -> str:
    """The engine of the Sentinels: that of the servers that they watch."""
    return ENGINES["orders"]


@pytest.fixture(params=ENGINES)
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client that has what an application is given: the profile of the deployment's first host."""
    profile = FOLDER / f"inventory/.keyfleet/{request.param}@{request.param}2.env"
    for name, value in dotenv_values(profile).items():
        monkeypatch.setenv(name, str(value))
    with Client.from_env() as found:
        yield found
