# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance of each host of the scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nodes import Instance, engine_of, password_of

RELEASES = "/opt/keyfleet/redis"
METHODS = ("archive", "repo")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep files whose name ends with a method for the host of that method; other files are for all."""
    methods = {item: item.path.stem.rpartition("_")[2] for item in items}
    items[:] = [item for item in items if methods[item] not in METHODS or f"-{methods[item]}-" in item.nodeid]


@pytest.fixture
def instance(host: Any) -> Instance:
    """The one instance of a host; what the inventory says of it is in inventory/hosts.yml."""
    built = "-archive-" in host.backend.name
    bin_dir = f"{RELEASES}/current/bin" if built else "/usr/bin"
    return Instance(host, engine_of(host), "default", 6379, password_of(Path(__file__).parent, host.backend.name), bin_dir)
