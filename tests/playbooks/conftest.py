"""A deployment of its own for each test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.playbooks import Deployment, deployments, free_port


@pytest.fixture
def port() -> int:
    """Return a free TCP port."""
    return free_port()


@pytest.fixture
def deployment(port: int) -> Iterator[Deployment]:
    """Yield an inventory with one instance, not deployed yet; its folder has a short path, since unix sockets need one."""
    for found in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
        found.variables = {"redis_server_instances": [{"name": "default", "port": port}]}
        yield found
