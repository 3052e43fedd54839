"""A deployment for each test: one of its own, or the module's, deployed once and put back before each test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.playbooks import Deployment, deployments, free_port
from support.prepared import Prepared

# A test that runs site.yml ten times and more takes minutes on a busy machine; each run has a limit of its own (RUN_SECONDS).
LONGEST_SECONDS = 1800


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests of this folder more time than others have."""
    for item in items:
        if "tests/playbooks" in item.path.as_posix() and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LONGEST_SECONDS))


@pytest.fixture
def port(request: pytest.FixtureRequest) -> int:
    """Return the port of the test's instance: that of `deployed`, else a free one."""
    if "deployed" in request.fixturenames:
        return int(request.getfixturevalue("deployed").variables["redis_server_instances"][0]["port"])
    return free_port()


@pytest.fixture
def deployment(port: int) -> Iterator[Deployment]:
    """Yield an inventory with one instance, not deployed yet; its folder has a short path, since unix sockets need one."""
    for found in deployments(Path(tempfile.mkdtemp(prefix="kf-", dir="/tmp"))):
        found.variables = {"redis_server_instances": [{"name": "default", "port": port}]}
        yield found


@pytest.fixture(scope="module")
def prepared() -> Iterator[Prepared]:
    """The module's deployment of one instance; tests use `deployed`."""
    found = Prepared(_one_instance)
    yield found
    found.stop()


@pytest.fixture
def deployed(prepared: Prepared) -> Deployment:
    """An inventory with one instance, deployed: what `deployment` is after its first run, without the time that takes."""
    return prepared.fresh()


def _one_instance(deployment: Deployment) -> None:
    deployment.variables = {"redis_server_instances": [{"name": "default", "port": free_port()}]}
