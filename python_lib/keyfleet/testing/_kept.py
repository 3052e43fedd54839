# SPDX-License-Identifier: MIT
"""Deployments that outlive a test: empty for each, and replaced when a test left one other than it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar, Union

from redis.exceptions import RedisError

from ..core.connect.redis_py import AnyClient
from ..core.errors import KeyfleetError
from ._binaries import ServerStartError
from ._cluster import Cluster
from ._cluster_nodes import view
from ._replication import clients_of, is_in_sync
from ._sentinel import SentinelGroup
from ._server import Server, wait_until

_T = TypeVar("_T", bound=Union[Server, Cluster, SentinelGroup])


class Kept(Generic[_T]):
    """
    One deployment, started when it is first asked for.

    Args:
        start: Starts it in a folder.
        make_folder: Makes a new folder.
    """

    def __init__(self, start: Callable[[Path], _T], make_folder: Callable[[], Path]) -> None:
        self._start, self._make_folder = start, make_folder
        self._running: _T | None = None
        self._found: object = None

    def fresh(self) -> _T:
        """
        Return the deployment, empty, with the roles, slots, configuration and users that it had first.

        What a test stopped, froze, failed over or configured otherwise is replaced by a new one at another address.
        """
        if self._running is None or not self._is_as_found(self._running):
            self.stop()
            self._running = self._start(self._make_folder())
            self._found = _state(self._running)
        return self._running

    def stop(self) -> None:
        """Stop it if it runs."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def _is_as_found(self, running: _T) -> bool:
        if not all(process.is_running() for process in _processes(running)):
            return False
        for process in _processes(running):
            process.resume()
        try:
            if _state(running) != self._found:
                return False
            _empty(running)
        except (RedisError, OSError, KeyfleetError, ServerStartError):
            return False  # it hangs, or wants another password
        return True


def _servers(running: Server | Cluster | SentinelGroup) -> list[Server]:
    if isinstance(running, Server):
        return [running]
    return running.nodes if isinstance(running, Cluster) else running.servers


def _processes(running: Server | Cluster | SentinelGroup) -> list[Server]:
    return [*_servers(running), *(running.sentinels if isinstance(running, SentinelGroup) else [])]


def _state(running: Server | Cluster | SentinelGroup) -> object:
    """Return what a test may have changed and the next one relies on, other than data."""
    with clients_of(_servers(running)) as clients:
        configured = [(client.config_get("*"), client.acl_list()) for client in clients]
        roles = [client.info("replication")["role"] for client in clients]
        if isinstance(running, Cluster):
            return configured, roles, [_roles(client) for client in clients]
    if isinstance(running, SentinelGroup):
        with clients_of(running.sentinels) as sentinels:
            return configured, roles, [_watched(sentinel, running.service) for sentinel in sentinels]
    return configured, roles


def _roles(client: AnyClient) -> dict[str, Any]:
    return {node.id: (node.flags, node.primary, node.slots) for node in view(client).values()}


def _watched(sentinel: AnyClient, service: str) -> list[Any]:
    state = sentinel.sentinel_master(service)
    return [state[name] for name in ("ip", "port", "flags", "num-slaves", "num-other-sentinels", "quorum")]


def _empty(running: Server | Cluster | SentinelGroup) -> None:
    """Remove keys, functions and scripts everywhere."""
    with clients_of(_servers(running)) as clients:
        for client in clients:
            client.script_flush()
            if client.info("replication")["role"] == "master":
                client.flushall()
                client.function_flush()
        wait_until(lambda: is_in_sync(clients), "the replicas to be empty")
