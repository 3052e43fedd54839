# SPDX-License-Identifier: MIT
"""
Emulations of managed services on loopback: TLS with certificates that hold DNS names only, endpoint names, and commands denied.

Three shapes, as ElastiCache has them: cluster mode enabled (a configuration endpoint), disabled (a primary and a reader name), and
serverless (one name, port 6379 for the primary, 6380 for its replica; other ports here). Two styles of denial: by ACL (NOPERM), and by
``rename-command`` (unknown command), as services with nodes do. The lists of denied commands are those of AWS's documentation, with the
servers' spelling of subcommands.

Names are answered in this process, where redis-py, asyncio and threads ask (`resolved`).
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from keyfleet import Client, DeniedError, Settings
from keyfleet.core.connect.client import connect
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.testing._binaries import find_binary
from keyfleet.testing._certificates import Certificates, make_certificates
from keyfleet.testing._replication import clients_of, is_in_sync
from keyfleet.testing._server import Server, free_port, wait_until, write_config

HASH, REGION = "abc123", "use1.cache.example.test"
TOKEN, ADMINISTRATOR, ADMINISTRATOR_PASSWORD = "This-is-a-sample-token", "ecadmin", "admin-pass-0123456789"
SHAPES, STYLES = ("enabled", "disabled", "serverless"), ("noperm", "unknown")
SLOTS = 16384

DENIED_ON_NODES = [
    *(f"acl|{name}" for name in ("setuser", "load", "save", "deluser")),
    *(f"cluster|{name}" for name in ("addslots", "addslotsrange", "bumpepoch", "delslots", "delslotsrange", "failover")),
    *(f"cluster|{name}" for name in ("flushslots", "forget", "links", "meet", "setslot")),
    *("bgrewriteaof", "bgsave", "config", "debug", "migrate", "psync", "replicaof", "save", "slaveof", "shutdown", "sync"),
]
DENIED_ON_SERVERLESS = [
    *(f"client|{name}" for name in ("caching", "getredir", "id", "info", "kill", "list", "no-evict", "pause", "tracking")),
    *(f"client|{name}" for name in ("trackinginfo", "unblock", "unpause")),
    *("acl|log", "cluster|count-failure-reports", "pubsub|numpat", "script|kill"),
    *("fcall", "fcall_ro", "function", "keys", "lastsave", "latency", "memory", "monitor", "move", "object"),
    *("pfdebug", "pfselftest", "psubscribe", "punsubscribe", "slowlog", "swapdb", "wait"),
]
RENAMED = ["CONFIG", "DEBUG", "MIGRATE", "SAVE", "BGSAVE", "BGREWRITEAOF", "REPLICAOF", "SLAVEOF", "SHUTDOWN"]
CONTAINERS = ["config", "debug", "function", "latency", "memory", "object", "slowlog"]
# The client refuses to send them: their replies are not those of a command.
NEVER_SENT = ["psync", "sync", "monitor", "psubscribe", "punsubscribe"]

Names = dict[str, list[str]]


@contextmanager
def resolved(names: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Answer *names* in this process with their addresses, which may change meanwhile; others as before."""
    resolve = socket.getaddrinfo

    def answer(host: Any, *rest: Any, **more: Any) -> Any:
        addresses = names.get(host, [host]) if isinstance(host, str) else [host]
        return [found for address in addresses for found in resolve(address, *rest, **more)]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", answer)
        yield


@dataclass
class Managed:
    """
    A running emulation; a context manager that stops it.

    Attributes:
        shape, style: Of `SHAPES` and `STYLES`.
        nodes: Its servers, the primary first (of each shard, in the cluster: all primaries first).
        names: What each name leads to; the test may change it.
        endpoint, reader: Names for clients; the reader's only with cluster mode disabled.
        user: Who logs in with `TOKEN`; None is the user ``default`` with an AUTH token.
    """

    shape: str
    style: str
    nodes: list[Server]
    names: Names
    endpoint: str
    ca: Path
    reader: str = ""
    user: str | None = None
    stopped: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Managed:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop it, and answer its names no longer."""
        self.stopped.close()

    def is_running(self) -> bool:
        """Return whether all of its nodes run."""
        return all(node.is_running() for node in self.nodes)

    def client(self, **changes: Any) -> AnyClient:
        """Return a new redis-py client with replies as bytes, and the rights of an application; the caller closes it."""
        return connect(self.settings(**changes))

    def empty(self) -> None:
        """Remove keys and scripts everywhere, as the administrator, who alone may do so everywhere."""
        with clients_of(self.nodes) as clients:
            for client in clients:
                client.script_flush()
                if client.info("replication")["role"] == "master":
                    client.flushall()
            wait_until(lambda: is_in_sync(clients), "the replicas to be empty")

    def settings(self, **changes: Any) -> Settings:
        """Return settings that reach it by its endpoint, as an application is configured."""
        port = self.nodes[0].port
        place: dict[str, Any] = {"host": self.endpoint, "port": port}
        if self.shape != "disabled":
            place = {"cluster_nodes": ((self.endpoint, port),)}
        common = {"username": self.user, "password": TOKEN, "tls": True, "tls_ca_file": str(self.ca)}
        return Settings(**{**place, **common, **changes})

    def in_processes(self, folder: Path) -> dict[str, str]:
        """Return the variables with which a Python process resolves the names as they are now; a file in *folder* holds them."""
        return names_in_processes([self], folder)

    def fail_over(self) -> None:
        """Promote the replica of the shape ``disabled`` and let the names follow, as the service does."""
        old, new = self.nodes[:2]
        with clients_of([old, new]) as (was, becomes):
            wait_until(lambda: is_in_sync([was, becomes]), "the replica to be in sync")
            was.execute_command("FAILOVER", "TIMEOUT", 5000)
            wait_until(lambda: bool(becomes.info("replication")["role"] == "master"), "the replica to be promoted")
        self.names[self.endpoint], self.names[self.reader] = [new.host], [old.host]
        self.nodes[:2] = [new, old]


def names_in_processes(services: Iterable[Managed], folder: Path) -> dict[str, str]:
    """Return the variables with which Python processes resolve the names of *services*, as they are now; a file in *folder* holds them."""
    return resolved_in_processes({name: hosts for one in services for name, hosts in one.names.items()}, folder)


def resolved_in_processes(names: Mapping[str, Sequence[str]], folder: Path) -> dict[str, str]:
    """Return the variables with which Python processes resolve *names*; a file in *folder* holds them."""
    file = folder / "names.json"
    file.write_text(json.dumps(names), encoding="utf-8")
    return {"KEYFLEET_TEST_NAMES": str(file), "PYTHONPATH": str(Path(__file__).parent / "resolver")}


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _users(denied: Sequence[str], user: str | None) -> list[str]:
    rights = " ".join(f"-{command}" for command in denied)
    app = f"{user or 'default'} on #{_hash(TOKEN)} ~* &* +@all {rights}"
    own = [f"{ADMINISTRATOR} on #{_hash(ADMINISTRATOR_PASSWORD)} ~* &* +@all", f"ecrepl on #{_hash(TOKEN)} +psync +replconf +ping"]
    return [app, *own, *(["default off"] if user else [])]


class _Starter:
    """Starts the nodes of one emulation in *folder*."""

    def __init__(self, folder: Path, engine: str, style: str, files: Certificates, stopped: ExitStack) -> None:
        self.folder, self.engine, self.style, self.files, self.stopped = folder, engine, style, files, stopped

    def start(self, host: str, port: int, users: list[str], **lines: Any) -> Server:
        """Start one node that listens with TLS alone."""
        folder = self.folder / f"{host}-{port}"
        folder.mkdir(parents=True)
        tls = {"tls-cert-file": self.files.certificate, "tls-key-file": self.files.key, "tls-ca-cert-file": self.files.ca}
        own: dict[str, Any] = {
            "bind": host,
            "bind-source-addr": host,
            "port": 0,
            "tls-port": port,
            "dir": str(folder),
            "save": '""',
            **{name: str(path) for name, path in tls.items()},
            "tls-auth-clients": "no",
            "tls-replication": "yes",
            "user": users,
            "masteruser": "ecrepl",
            "masterauth": TOKEN,
            "repl-diskless-sync-delay": 0,
            "repl-ping-replica-period": 1,
        }
        if self.engine.startswith("valkey"):
            own["extended-redis-compatibility"] = "yes"
        renamed = [f'{name} ""' for name in RENAMED] if self.style == "unknown" else []
        settings = Settings(
            host=host,
            port=port,
            username=ADMINISTRATOR,
            password=ADMINISTRATOR_PASSWORD,
            tls=True,
            tls_ca_file=str(self.files.ca),
            tls_verify=False,
        )
        server = Server(folder, find_binary(self.engine), settings)
        write_config(
            server.config_file, {**own, "rename-command": renamed, **{name.replace("_", "-"): text for name, text in lines.items()}}
        )
        server.start()
        self.stopped.callback(server.stop)
        return server


def _settled(nodes: list[Server], what: str, holds: Callable[[AnyClient], bool]) -> None:
    with clients_of(nodes) as clients:
        wait_until(lambda: all(holds(client) for client in clients), what, 30.0)


def _knows(client: AnyClient, ids: list[str]) -> bool:
    table = client.execute_command("CLUSTER", "NODES").decode()
    return all(one in table for one in ids)


def _join(nodes: list[Server], shards: int) -> None:
    """Make the nodes a cluster: the first *shards* are primaries, the others their replicas."""
    with clients_of(nodes) as clients:
        for index, client in enumerate(clients[:shards]):
            first, end = SLOTS * index // shards, SLOTS * (index + 1) // shards
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for node in nodes[1:]:
            clients[0].execute_command("CLUSTER", "MEET", node.host, node.port)
        ids = [client.execute_command("CLUSTER", "MYID").decode() for client in clients]
        wait_until(lambda: all(_knows(client, ids) for client in clients), "the nodes to meet", 30.0)
        for index, client in enumerate(clients[shards:]):
            client.execute_command("CLUSTER", "REPLICATE", ids[index])
    total = len(nodes)

    def agree(client: AnyClient) -> bool:
        listed = [node for shard in client.execute_command("CLUSTER", "SLOTS") for node in shard[2:]]
        return len(listed) == total and b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO")

    _settled(nodes, "the cluster to be whole", agree)


def _start_enabled(starter: _Starter, style: str) -> Managed:
    """Three shards of two nodes, each with its own address, and one port."""
    hosts = [f"127.0.1.{number}" for number in range(1, 7)]
    port = free_port(*hosts, bus=True)
    cluster, names, nodes = f"ectest.{HASH}.{REGION}", {}, []
    for index, host in enumerate(hosts):
        name = f"ectest-{index % 3 + 1:04}-{index // 3 + 1:03}.{cluster}"
        names[name] = [host]
        announced = {"cluster_announce_hostname": name, "cluster_preferred_endpoint_type": "hostname", "cluster_announce_ip": host}
        lines = {"tls_cluster": "yes", "cluster_enabled": "yes", "cluster_node_timeout": 5000, "cluster_allow_replica_migration": "no"}
        nodes.append(starter.start(host, port, _users(DENIED_ON_NODES, None), **lines, **announced))
    _join(nodes, 3)
    endpoint = f"clustercfg.{cluster}"
    names[endpoint] = hosts
    return Managed("enabled", style, nodes, names, endpoint, starter.files.ca)


def _start_disabled(starter: _Starter, style: str) -> Managed:
    hosts, cluster = ["127.0.2.1", "127.0.2.2"], f"eccmd.{HASH}.{REGION}"
    port, users = free_port(*hosts), _users(DENIED_ON_NODES, None)
    first = starter.start(hosts[0], port, users, replica_announce_ip=hosts[0])
    second = starter.start(hosts[1], port, users, replica_announce_ip=hosts[1], replicaof=f"{hosts[0]} {port}")
    with clients_of([first, second]) as clients:
        wait_until(lambda: is_in_sync(clients), "the replica to be in sync")
    names = {f"master.{cluster}": [hosts[0]], f"replica.{cluster}": [hosts[1]]}
    return Managed("disabled", style, [first, second], names, f"master.{cluster}", starter.files.ca, f"replica.{cluster}")


def _start_serverless(starter: _Starter, style: str) -> Managed:
    """One virtual node: its name at one port is the primary, at another its replica."""
    host, endpoint = "127.0.3.1", f"slcache-{HASH}.serverless.{REGION}"
    nodes: list[Server] = []
    denied = [*DENIED_ON_NODES, *DENIED_ON_SERVERLESS, *(["commandlog"] if starter.engine == "valkey-8.1" else [])]
    for _unused in range(2):
        port = free_port(host, bus=True)
        lines = {"tls_cluster": "yes", "cluster_enabled": "yes", "cluster_announce_hostname": endpoint, "cluster_announce_ip": host}
        more = {"cluster_preferred_endpoint_type": "hostname", "cluster_require_full_coverage": "no", "maxmemory_policy": "volatile-lru"}
        nodes.append(starter.start(host, port, _users(denied, "app"), **lines, **more))
    _join(nodes, 1)
    return Managed("serverless", style, nodes, {endpoint: [host]}, endpoint, starter.files.ca, user="app")


_STARTERS = {"enabled": _start_enabled, "disabled": _start_disabled, "serverless": _start_serverless}
# Names that the certificate of each shape holds, DNS names only.
_CERTIFIED = {"enabled": f"*.ectest.{HASH}.{REGION}", "disabled": f"*.eccmd.{HASH}.{REGION}", "serverless": f"*.serverless.{REGION}"}


def start_managed(folder: Path, shape: str, style: str = "noperm", engine: str = "valkey") -> Managed:
    """Start an emulation of *shape* that denies commands in *style*, with its names resolved in this process until it is stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    files = make_certificates(folder, _CERTIFIED[shape], days=60)
    with ExitStack() as stopped:
        found = _STARTERS[shape](_Starter(folder, engine, style, files, stopped), style)
        stopped.enter_context(resolved(found.names))
        found.stopped = stopped.pop_all()
    return found


def denied_of(shape: str) -> list[str]:
    """Return the commands that a service of a shape denies, as words."""
    commands = [*DENIED_ON_NODES, *(DENIED_ON_SERVERLESS if shape == "serverless" else [])]
    return [command.replace("|", " ") for command in commands]


def enough_arguments(administrator: Settings, words: str) -> list[str]:
    """Return as many arguments as the server wants to see before it asks for rights."""
    if words in CONTAINERS:
        return ["HELP"]
    with Client.from_settings(administrator) as client:
        (described,) = client.execute("COMMAND", "INFO", words.replace(" ", "|"))
    return [] if described is None else ["1"] * (abs(described[1]) - len(words.split()))


def assert_denied(settings: Settings, administrator: Settings, shape: str, unknown: Collection[str] = ("debug",)) -> None:
    """
    Assert that each command that a shape denies ends with an error that names it.

    Args:
        settings, administrator: Of an application, and of who may do everything on a server.
        unknown: Commands that no user has; DEBUG is off for all of them.
    """
    arguments = {words: enough_arguments(administrator, words) for words in denied_of(shape)}
    with Client.from_settings(settings) as client:
        for words in arguments:
            first, *rest = words.split()
            refusal = ValueError if first in NEVER_SENT else (DeniedError, ValueError) if first in ("client", "wait") else DeniedError
            with pytest.raises(refusal) as caught:
                client.execute(first.upper(), *rest, *arguments[words])
            if isinstance(caught.value, DeniedError):
                assert (words, True) == (words, caught.value.command.startswith(first)), caught.value
                assert (words, "" if first in unknown else settings.username or "default") == (words, caught.value.user)


class KeptManaged:
    """An emulation that outlives a test, empty for each; started when it is first asked for."""

    def __init__(self, start: Callable[[Path], Managed], make_folder: Callable[[], Path]) -> None:
        self._start, self._make_folder = start, make_folder
        self._running: Managed | None = None

    def fresh(self) -> Managed:
        """Return it, empty."""
        if self._running is None or not self._running.is_running():
            self.stop()
            self._running = self._start(self._make_folder())
        self._running.empty()
        return self._running

    def stop(self) -> None:
        """Stop it if it runs."""
        if self._running is not None:
            self._running.stop()
            self._running = None
