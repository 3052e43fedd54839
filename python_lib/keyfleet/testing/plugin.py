# SPDX-License-Identifier: MIT
"""
Fixtures for pytest: real throw-away servers on loopback.

`redis_server`, `redis_cluster` and `redis_sentinel` last for the session and are empty for each test, with the configuration, users,
roles and slots that they had first; what a test broke is replaced. `redis_factory` starts more for one test. Nothing is started before a
test asks for it. To run on another engine or version, override `redis_engine`:

    @pytest.fixture(scope="session", params=["redis-8.0", "valkey-8.1"])
    def redis_engine(request):
        return request.param
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ._kept import Kept
    from .proxy import FaultProxy
    from .servers import Cluster, SentinelGroup, Server


class RedisFactory:
    """Starts servers, clusters and proxies that end with the test; the options are those of the start functions."""

    def __init__(self, folder: Path, engine: str) -> None:
        self._folder, self._engine = folder, engine
        self._running = ExitStack()
        self._count = 0

    def server(self, **options: Any) -> Server:
        """Start a server, as `start_server` does."""
        from .servers import start_server

        return self._running.enter_context(start_server(self._next_folder(), **{"engine": self._engine, **options}))

    def cluster(self, **options: Any) -> Cluster:
        """Start a cluster, as `start_cluster` does."""
        from .servers import start_cluster

        return self._running.enter_context(start_cluster(self._next_folder(), **{"engine": self._engine, **options}))

    def sentinel(self, **options: Any) -> SentinelGroup:
        """Start servers and Sentinels, as `start_sentinel` does."""
        from .servers import start_sentinel

        return self._running.enter_context(start_sentinel(self._next_folder(), **{"engine": self._engine, **options}))

    def proxy(self, server: Server) -> FaultProxy:
        """Start a `FaultProxy` in front of *server*."""
        from .proxy import FaultProxy

        return self._running.enter_context(FaultProxy(server))

    def stop(self) -> None:
        """Stop all of them, the last one first."""
        self._running.close()

    def _next_folder(self) -> Path:
        self._count += 1
        return self._folder / str(self._count)


@pytest.fixture(scope="session")
def redis_engine() -> str:
    """What the servers are: ``redis`` on PATH; override it with ``valkey`` or a version, as in ``redis-8.0``."""
    return "redis"


@pytest.fixture(scope="session")
def redis_kept_server(redis_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept[Server]]:
    """The session's server; tests use `redis_server`."""
    from ._kept import Kept
    from .servers import start_server

    kept = Kept(lambda folder: start_server(folder, engine=redis_engine), lambda: tmp_path_factory.mktemp("redis_server"))
    yield kept
    kept.stop()


@pytest.fixture(scope="session")
def redis_kept_cluster(redis_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept[Cluster]]:
    """The session's cluster; tests use `redis_cluster`."""
    from ._kept import Kept
    from .servers import start_cluster

    kept = Kept(lambda folder: start_cluster(folder, replicas=1, engine=redis_engine), lambda: tmp_path_factory.mktemp("redis_cluster"))
    yield kept
    kept.stop()


@pytest.fixture(scope="session")
def redis_kept_sentinel(redis_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept[SentinelGroup]]:
    """The session's servers and Sentinels; tests use `redis_sentinel`."""
    from ._kept import Kept
    from .servers import start_sentinel

    kept = Kept(lambda folder: start_sentinel(folder, engine=redis_engine), lambda: tmp_path_factory.mktemp("redis_sentinel"))
    yield kept
    kept.stop()


@pytest.fixture
def redis_server(redis_kept_server: Kept[Server]) -> Server:
    """One server without a password, empty."""
    return redis_kept_server.fresh()


@pytest.fixture
def redis_cluster(redis_kept_cluster: Kept[Cluster]) -> Cluster:
    """A cluster of three primaries with a replica each, without a password, empty."""
    return redis_kept_cluster.fresh()


@pytest.fixture
def redis_sentinel(redis_kept_sentinel: Kept[SentinelGroup]) -> SentinelGroup:
    """A primary and a replica, watched by three Sentinels, without a password, empty."""
    return redis_kept_sentinel.fresh()


@pytest.fixture
def redis_factory(redis_engine: str, tmp_path: Path) -> Iterator[RedisFactory]:
    """Starts servers, clusters and proxies for this test alone."""
    factory = RedisFactory(tmp_path / "redis", redis_engine)
    yield factory
    factory.stop()
