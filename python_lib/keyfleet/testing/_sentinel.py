# SPDX-License-Identifier: MIT
"""A primary with replicas, watched by Sentinels, as child processes."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from ..core.connect.client import connect
from ..core.connect.redis_py import AnyClient
from ..core.connect.settings import Settings
from ._binaries import find_binary
from ._replication import clients_of, is_in_sync
from ._server import Directives, Server, free_port, start_server, wait_until, write_config

_TIMEOUT_SECONDS = 30.0


class SentinelGroup:
    """
    Running servers and their Sentinels; a context manager that stops them.

    Attributes:
        servers: The first primary, then its replicas, as created; a failover changes roles, not this list.
        sentinels: The Sentinels.
        service: Name under which the Sentinels know the primary.
        password: Password of the servers, None without one; the Sentinels have none.
    """

    def __init__(self, servers: list[Server], sentinels: list[Server], service: str, password: str | None) -> None:
        self.servers, self.sentinels, self.service, self.password = servers, sentinels, service, password

    def __enter__(self) -> SentinelGroup:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def settings(self, **changes: Any) -> Settings:
        """Return settings that ask the Sentinels, with *changes* to single fields."""
        nodes = tuple((sentinel.host, sentinel.port) for sentinel in self.sentinels)
        return Settings(**{"sentinels": nodes, "sentinel_service": self.service, "password": self.password, **changes})

    def client(self, **changes: Any) -> AnyClient:
        """Return a new redis-py client of the primary, with replies as bytes; the caller closes it."""
        return connect(self.settings(**changes))

    def primary(self) -> Server:
        """Return the server that a majority of the Sentinels that run takes for the primary."""
        with clients_of(self._running_sentinels()) as clients:
            states = [client.sentinel_master(self.service) for client in clients]
        reported = Counter((state["ip"], state["port"]) for state in states)
        address, _votes = reported.most_common(1)[0]
        return next(server for server in self.servers if (server.host, server.port) == address)

    def wait_until_in_sync(self, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        """
        Wait until the running Sentinels name one living primary, know each other and its replicas, and these hold all it holds.

        Raises:
            ServerStartError: if that does not come in time.
        """
        sentinels = self._running_sentinels()
        servers = [server for server in self.servers if server.is_running() and not server.is_paused()]
        with clients_of(sentinels) as asked, clients_of(servers) as clients:
            wait_until(lambda: self._is_in_sync(asked, clients), "the Sentinels to agree and the replicas to be in sync", timeout_seconds)

    def _is_in_sync(self, sentinels: list[AnyClient], servers: list[AnyClient]) -> bool:
        primaries = [_address(client) for client in servers if client.info("replication")["role"] == "master"]
        states = [sentinel.sentinel_master(self.service) for sentinel in sentinels]
        return (
            all([(state["ip"], state["port"])] == primaries and state["flags"] == "master" for state in states)
            and all(state["num-slaves"] >= len(servers) - 1 for state in states)
            and all(state["num-other-sentinels"] >= len(sentinels) - 1 for state in states)
            and is_in_sync(servers)
        )

    def _running_sentinels(self) -> list[Server]:
        return [sentinel for sentinel in self.sentinels if sentinel.is_running() and not sentinel.is_paused()]

    def kill_primary(self) -> Server:
        """Kill the primary and return it; a replica takes over after some seconds, which `wait_until_in_sync` awaits."""
        primary = self.primary()
        primary.kill()
        return primary

    def failover(self) -> Server:
        """Make Sentinel promote a replica, wait until all know it, and return the new primary."""
        self.wait_until_in_sync()
        before = self.primary()
        with clients_of(self._running_sentinels()[:1]) as clients:
            clients[0].sentinel_failover(self.service)
        wait_until(lambda: self.primary() is not before, "the Sentinels to name another primary", _TIMEOUT_SECONDS)
        self.wait_until_in_sync()
        return self.primary()

    def stop(self) -> None:
        """Stop the Sentinels, then the servers."""
        for server in [*self.sentinels, *self.servers]:
            server.kill()


def start_sentinel(
    directory: Path | str,
    *,
    replicas: int = 1,
    sentinels: int = 3,
    password: str | None = None,
    service: str = "main",
    down_after_ms: int = 1000,
    engine: str = "redis",
    directives: Directives | None = None,
) -> SentinelGroup:
    """
    Start a primary, *replicas* and *sentinels* on 127.0.0.1, and wait until the Sentinels know each other and the replicas.

    Args:
        directory: Folder for the files of all processes.
        replicas, sentinels: How many of each; a majority of the Sentinels must agree on a failover.
        password: Password of the servers.
        service: Name of the primary for the Sentinels.
        down_after_ms: Silence after which a Sentinel takes the primary for dead, in milliseconds.
        engine, directives: As for `start_server`, for the servers.
    Raises:
        ServerStartError: if a binary is missing or the group does not form in time.
    """
    folder = Path(directory)
    with ExitStack() as undo:
        common = {"repl-diskless-sync-delay": 0, **(directives or {})}
        servers = [undo.enter_context(start_server(folder / "primary", engine=engine, password=password, directives=common))]
        for number in range(1, replicas + 1):
            lines = {"replicaof": f"{servers[0].host} {servers[0].port}", **common}
            servers.append(
                undo.enter_context(start_server(folder / f"replica{number}", engine=engine, password=password, directives=lines))
            )
        watched = [f"monitor {service} {servers[0].host} {servers[0].port} {sentinels // 2 + 1}"]
        watched += [f"down-after-milliseconds {service} {down_after_ms}", f"failover-timeout {service} 10000"]
        if password is not None:
            watched.append(f'auth-pass {service} "{password}"')
        group = SentinelGroup(servers, [], service, password)
        for number in range(1, sentinels + 1):
            group.sentinels.append(undo.enter_context(_start_one(folder / f"sentinel{number}", engine, watched)))
        group.wait_until_in_sync()
        undo.pop_all()
    return group


def _start_one(folder: Path, engine: str, watched: list[str]) -> Server:
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(port=free_port("127.0.0.1"))
    server = Server(folder, find_binary(engine), settings, sentinel=True)
    write_config(server.config_file, {"bind": settings.host, "port": settings.port, "dir": str(folder), "sentinel": watched})
    server.start()
    return server


def _address(client: AnyClient) -> tuple[str, int]:
    where = client.connection_pool.connection_kwargs
    return where["host"], where["port"]
