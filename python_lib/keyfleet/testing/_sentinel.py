# SPDX-License-Identifier: MIT
"""A primary with replicas, watched by Sentinels, as child processes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from ..core.connection import AnyClient, close, connect
from ..core.settings import Settings
from ._server import Directives, Server, find_binary, free_port, start_server, wait_until, write_config


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
        wait_until(lambda: all(_is_in_sync(server) for server in servers[1:]), "the replicas to be in sync", 30.0)
        wait_until(lambda: all(_is_informed(sentinel, group) for sentinel in group.sentinels), "the Sentinels to meet", 30.0)
        undo.pop_all()
    return group


def _start_one(folder: Path, engine: str, watched: list[str]) -> Server:
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(port=free_port("127.0.0.1"))
    server = Server(folder, find_binary(engine), settings, sentinel=True)
    write_config(server.config_file, {"bind": settings.host, "port": settings.port, "dir": str(folder), "sentinel": watched})
    server.start()
    return server


def _is_in_sync(replica: Server) -> bool:
    client = replica.client()
    try:
        return bool(client.info("replication").get("master_link_status") == "up")
    finally:
        close(client)


def _is_informed(sentinel: Server, group: SentinelGroup) -> bool:
    client = sentinel.client()
    try:
        state = client.sentinel_master(group.service)
    finally:
        close(client)
    return bool(state["num-slaves"] == len(group.servers) - 1 and state["num-other-sentinels"] == len(group.sentinels) - 1)
