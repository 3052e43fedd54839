# SPDX-License-Identifier: MIT
"""The list of targets that library tests run on, each a real deployment started when the first test asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from keyfleet import Client
from keyfleet.testing._kept import Kept
from keyfleet.testing.servers import start_cluster, start_sentinel, start_server
from support.clients import OpenClient, open_both, open_client
from support.managed import KeptManaged, start_managed
from support.targets import Target

__all__ = ["open_both", "open_client"]  # fixtures

STARTERS: dict[str, Callable[..., Target]] = {
    "standalone": start_server,
    "tls": partial(start_server, tls=True),
    "sentinel": partial(start_sentinel, password="battery"),
    "cluster": partial(start_cluster, password="staple"),
    # On the first server only: Sentinel and cluster show that the others take passwords, too.
    "password": partial(start_server, password="correct horse"),
    "socket": partial(start_server, unix_socket=True),
}
# Emulations of managed services, for modules that say ON_MANAGED_SERVICES = True: what they show needs no denied command.
MANAGED = {
    "managed-enabled": partial(start_managed, shape="enabled", style="unknown"),
    "managed-disabled": partial(start_managed, shape="disabled", style="unknown"),
    "managed-serverless": partial(start_managed, shape="serverless"),
}
MANAGED_IN_FULL = "managed-enabled", "managed-disabled"
STARTERS.update(MANAGED)
ON_OTHER_SERVERS = ("standalone",)  # replies and errors differ with the version, ways to the server do not
ON_OTHER_SERVERS_IN_FULL = ("standalone", "tls", "sentinel", "cluster")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """
    Run tests of `target` on each topology of the first server of ``--servers`` and on those of the others that `ON_OTHER_SERVERS` names.

    Modules that say ``ON_EVERY_SERVER = True`` run on each server. Those that say ``"full"`` take minutes for each, and what they show
    hardly depends on the version: without ``--full`` they run on the first one.
    """
    if "kept_target" in metafunc.fixturenames:
        servers = metafunc.config.getoption("servers").split(",")
        full = metafunc.config.getoption("full")
        others = ON_OTHER_SERVERS_IN_FULL if full else ON_OTHER_SERVERS
        left_out = MANAGED if not getattr(metafunc.module, "ON_MANAGED_SERVICES", False) else () if full else MANAGED_IN_FULL
        pairs = [
            (topology, server)
            for server in servers
            for topology in STARTERS
            if topology not in left_out and (server == servers[0] or topology in others)
        ]
        metafunc.parametrize("kept_target", pairs, ids="-".join, indirect=True, scope="session")
    elif "redis_engine" in metafunc.fixturenames and (wanted := getattr(metafunc.module, "ON_EVERY_SERVER", False)):
        servers = metafunc.config.getoption("servers").split(",")
        chosen = servers if wanted is True or metafunc.config.getoption("full") else servers[:1]
        metafunc.parametrize("redis_engine", chosen, indirect=True, scope="session")


@pytest.fixture(scope="session")
def redis_engine(request: pytest.FixtureRequest) -> str:
    """The server of a module that says ON_EVERY_SERVER; one fixture for all, so that another value ends the servers of the former."""
    return str(getattr(request, "param", "redis"))


@pytest.fixture(scope="session")
def kept_target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One deployment of each kind, shared by the session; tests use `target`."""
    topology, server = request.param
    start: Any = partial(STARTERS[topology], engine=server)
    kept: Any = (KeptManaged if topology in MANAGED else Kept)(start, lambda: tmp_path_factory.mktemp("t"))
    yield kept
    kept.stop()


@pytest.fixture
def target(kept_target: Any) -> Target:
    """Each kind of deployment in turn, empty."""
    deployment: Target = kept_target.fresh()
    return deployment


@pytest.fixture
def either(target: Target, open_client: OpenClient) -> Client:
    """Client, then AsyncClient behind the same face, of each deployment in turn; with a prefix that SCAN would take for a pattern."""
    return open_client(target.settings(key_prefix="a*[b]?\\:"))
