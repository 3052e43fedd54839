# SPDX-License-Identifier: MIT
"""Servers on loopback that become a replication by the library, as the module redis_replication forms it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from keyfleet import Client
from keyfleet.core.connect.settings import Settings
from keyfleet.core.errors import KeyfleetError
from keyfleet.core.replication.converge import ReplicationOutcome, converge
from keyfleet.core.replication.validation import parse_desired
from keyfleet.testing._replication import clients_of
from keyfleet.testing._server import Server, start_server, wait_until

PASSWORD = "battery-staple"


def address(server: Server) -> str:
    """Return ``host:port`` of a server."""
    return f"{server.host}:{server.port}"


class Replication:
    """Some servers that replicate each other or not; a context manager that stops them."""

    def __init__(self, folder: Path, engine: str = "redis-7.0", count: int = 3) -> None:
        self.servers: list[Server] = []
        try:
            for number in range(count):
                lines = {"repl-diskless-sync-delay": 0, "masterauth": PASSWORD}
                self.servers.append(start_server(folder / f"server{number}", engine=engine, password=PASSWORD, directives=lines))
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Replication:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop all servers."""
        for server in self.servers:
            server.kill()

    def form(
        self, servers: Sequence[Server] | None = None, retired: Iterable[Server] = (), *, check: bool = False, **options: Any
    ) -> ReplicationOutcome:
        """Do what the module does."""
        listed = [address(server) for server in (self.servers if servers is None else servers)]
        desired = parse_desired(listed, [address(server) for server in retired], **options)
        return converge(Settings(password=PASSWORD, timeout_seconds=5.0), desired, wait_seconds=20, check=check)

    def roles(self) -> list[str]:
        """Return for each server that runs the address that it follows; empty for a primary."""
        with clients_of([server for server in self.servers if server.is_running()]) as clients:
            found = [client.info("replication") for client in clients]
        return ["" if info["role"] == "master" else f"{info['master_host']}:{info['master_port']}" for info in found]

    def run_on(self, server: Server, *command: Any) -> Any:
        """Run a command on a server."""
        with clients_of([server]) as (client,):
            return client.execute_command(*command)

    def keys_on(self, server: Server) -> set[bytes]:
        """Return all keys of a server."""
        return set(self.run_on(server, "KEYS", "*"))


Start = Callable[..., Replication]
"""Starts so many servers that know no other; they end with the test."""


class Writer:
    """
    Write numbered keys through keyfleet's client until stopped; a context manager.

    Attributes:
        acknowledged: Names of the keys whose write was acknowledged.
        failures: Calls that failed.
    """

    def __init__(self, settings: Settings) -> None:
        self.acknowledged: list[str] = []
        self.failures: list[KeyfleetError] = []
        self._settings, self._ended = settings, threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writer:
        self._thread.start()
        wait_until(lambda: len(self.acknowledged) > 50 or bool(self.failures), "the writer to write")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        count = len(self.acknowledged)
        if error is None:
            wait_until(lambda: len(self.acknowledged) > count + 50 or bool(self.failures), "the writer to write again", 30)
        self._ended.set()
        self._thread.join()

    def _write(self) -> None:
        with Client(self._settings) as client:
            number = 0
            while not self._ended.wait(0.001):
                number += 1
                try:
                    client.set(f"k{number}", number)
                except KeyfleetError as error:
                    self.failures.append(error)
                else:
                    self.acknowledged.append(f"k{number}")
