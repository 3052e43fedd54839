# SPDX-License-Identifier: MIT
"""The list of targets that library tests run on, each a real deployment started when the first test asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Union

import pytest
from keyfleet.core.connection import close
from keyfleet.core.topology import primaries
from keyfleet.testing.servers import Cluster, SentinelGroup, Server, start_cluster, start_sentinel, start_server

Target = Union[Server, Cluster, SentinelGroup]

STARTERS: dict[str, Callable[[Path], Target]] = {
    "standalone": start_server,
    "password": lambda folder: start_server(folder, password="correct horse"),
    "socket": lambda folder: start_server(folder, unix_socket=True),
    "tls": lambda folder: start_server(folder, tls=True),
    "sentinel": lambda folder: start_sentinel(folder, password="battery"),
    "cluster": lambda folder: start_cluster(folder, password="staple"),
}


@pytest.fixture(scope="session", params=STARTERS)
def session_target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One deployment of each kind, shared by the session; tests use `target`."""
    with STARTERS[request.param](tmp_path_factory.mktemp("t")) as running:
        yield running


@pytest.fixture
def target(session_target: Target) -> Target:
    """Each kind of deployment in turn, empty."""
    client = session_target.client()
    for node in primaries(client):
        node.client.flushall()
    close(client)
    return session_target
