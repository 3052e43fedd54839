# SPDX-License-Identifier: MIT
"""The list of targets that library tests run on, each a real deployment started when the first test asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Union

import pytest
from keyfleet import Client
from keyfleet.testing._kept import Kept
from keyfleet.testing.servers import Cluster, SentinelGroup, Server, start_cluster, start_sentinel, start_server
from support.clients import OpenClient
from support.clients import open_client as open_client  # a fixture

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
def kept_target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept[Target]]:
    """One deployment of each kind, shared by the session; tests use `target`."""
    kept = Kept(STARTERS[request.param], lambda: tmp_path_factory.mktemp("t"))
    yield kept
    kept.stop()


@pytest.fixture
def target(kept_target: Kept[Target]) -> Target:
    """Each kind of deployment in turn, empty."""
    return kept_target.fresh()


@pytest.fixture
def either(target: Target, open_client: OpenClient) -> Client:
    """Client, then AsyncClient behind the same face, of each deployment in turn; with a prefix that SCAN would take for a pattern."""
    return open_client(target.settings(key_prefix="a*[b]?\\:"))
