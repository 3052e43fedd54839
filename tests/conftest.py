# SPDX-License-Identifier: MIT
"""Fixtures for all tests: real servers, one of each kind per session, empty at the start of each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from keyfleet.core.connection import close
from keyfleet.core.topology import primaries
from keyfleet.testing.servers import Cluster, Server, start_cluster, start_server

PASSWORD = "correct-horse-battery"


@pytest.fixture(autouse=True)
def no_redis_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not see the caller's own REDIS_ variables."""
    for name in [name for name in os.environ if name.startswith("REDIS_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def session_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without a password, shared by the session; tests use `server`."""
    with start_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def session_password_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a password, shared by the session; tests use `password_server`."""
    with start_server(tmp_path_factory.mktemp("password_server"), password=PASSWORD) as server:
        yield server


@pytest.fixture(scope="session")
def session_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of three primaries, shared by the session; tests use `cluster`."""
    with start_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def server(session_server: Server) -> Server:
    """A server without a password, empty."""
    _flush(session_server)
    return session_server


@pytest.fixture
def password_server(session_password_server: Server) -> Server:
    """A server whose default user has the password PASSWORD (``password_server.password``), empty."""
    _flush(session_password_server)
    return session_password_server


@pytest.fixture
def cluster(session_cluster: Cluster) -> Cluster:
    """A cluster of three primaries without replicas and password, empty."""
    _flush(session_cluster)
    return session_cluster


def _flush(servers: Server | Cluster) -> None:
    client = servers.client()
    for node in primaries(client):
        node.client.flushall()
    close(client)
