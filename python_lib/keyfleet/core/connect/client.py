# SPDX-License-Identifier: MIT
"""
From Settings to a connected redis-py client.

Retries. redis-py repeats a command whose reply was lost, so that one ``incr`` may count twice, and tries a refused password
again and again. Here only *connecting* is repeated: a connection class of keyfleet does it, and redis-py's own retry of commands is
off. A pooled connection that the server has closed is noticed and replaced before it is used. On a cluster, where redis-py
repeats commands in ways that cannot be turned off in every version, a reply that does not come raises ReplyLostError, which it
does not repeat; what was surely not run (no connection, MOVED, ASK, TRYAGAIN, CLUSTERDOWN) it tries again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable

from ..errors import DeniedError, RefusedError, ServerError, UnreachableError
from .redis_py import (
    HAS_REDIS,
    AnyClient,
    ClusterNode,
    Connection,
    ConnectionPool,
    NoBackoff,
    RedisCluster,
    RedisClusterException,
    ReplyLostError,
    Retry,
    Sentinel,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
    SSLConnection,
    UnixDomainSocketConnection,
    redis,
    translated,
)
from .sources import check_identity, discover_newest, newest_nodes
from .tls import certificate_problem, check_files
from .values import format_nodes

if TYPE_CHECKING:
    from .settings import Settings

LONGEST_DELAY_SECONDS = 2.0
CONNECT_ATTEMPTS = 3  # further ones, where the settings give time and no number


def connect(settings: Settings) -> AnyClient:
    """
    Return a redis-py client whose replies are bytes; close it with `close`.

    A single server is connected when the first command is sent, a cluster and Sentinel are asked immediately. RESP2 is spoken, which
    all versions of redis-py answer alike.

    Raises:
        RefusedError: if redis-py is missing.
        SettingsError: if a certificate or key file cannot be read or used.
        UnreachableError, CertificateError, CredentialsError, DeniedError, ServerError: if a cluster or Sentinel does not answer as it
            should.
    """
    if not HAS_REDIS:
        raise RefusedError(f"{sys.executable} has no redis-py: install it on this host (python3-redis on Debian)")
    check_files(settings)
    with translated(settings):
        if settings.cluster_nodes:
            return _connect_cluster(settings)
        if settings.sentinels:
            return _connect_sentinel(settings)
        return _connect_single(settings)


def close(client: AnyClient) -> None:
    """Close the connections of *client*; redis-py closes only pools that it made itself. A later command connects again."""
    if isinstance(client, RedisCluster):
        client.disconnect_connection_pools()  # type: ignore[no-untyped-call]
        return
    pool = client.connection_pool
    pool.disconnect()
    for sentinel in pool.sentinel_manager.sentinels if hasattr(pool, "sentinel_manager") else ():
        sentinel.connection_pool.disconnect()


class _RetryingConnection:
    """Mixin for redis-py's connections: connecting is tried again, a refused password is not."""

    attempts = 0
    delay_seconds = 0.0
    deadline_seconds = 0.0
    fixed_options: Mapping[str, Any] = {}
    expected: Mapping[str, str] = {}  # what HELLO must say
    _connecting = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, **self.fixed_options})

    def connect(self) -> None:
        """Connect; start no further attempt when the time for connecting is over."""
        if getattr(self, "_sock", None):
            return
        self._connecting = True
        try:
            self._connect_retryingly(self._connect_once)
        finally:
            self._connecting = False

    def _connect_once(self) -> None:
        super().connect()  # type: ignore[misc]
        if self.expected:
            check_identity(self, self.expected)

    def _connect_retryingly(self, once: Callable[[], None]) -> None:
        started, delay = time.monotonic(), self.delay_seconds
        for attempt in range(self.attempts + 1):
            try:
                return once()
            except (redis.AuthenticationError, redis.exceptions.AuthorizationError):
                raise
            except (redis.ConnectionError, redis.TimeoutError) as error:
                if certificate_problem(error) or attempt == self.attempts or time.monotonic() + delay > started + self.deadline_seconds:
                    raise
            time.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY_SECONDS)
        return None


class _NamedServer:
    """
    Mixin for redis-py's SSLConnection: the handshake names and verifies another host than the one that is connected to.

    SSLConnection wraps what the class behind it connects, for the host that the connection has then. So this class stands behind it
    (`_TrueHost`) as well as before it: behind, it puts the name in place of the host, before, it restores the host.
    """

    host: str
    server_name = ""

    def _connect(self) -> Any:
        dialed = self.host
        try:
            return super()._connect()  # type: ignore[misc]
        finally:
            self.host = dialed


class _TrueHost(Connection if HAS_REDIS else object):  # type: ignore[misc]
    """The other half of `_NamedServer`, between SSLConnection and Connection."""

    server_name = ""

    def _connect(self) -> Any:
        connected = super()._connect()
        self.host = self.server_name
        return connected


class _RetryingSentinelConnection(_RetryingConnection):
    """A connection to the primary that Sentinel names, which may not know yet what happened."""

    expected: Mapping[str, str] = {"role": "master"}


class _RetryingClusterConnection(_RetryingConnection):
    """A connection to a cluster node: what may have run is not reported as a failed connection, which RedisCluster would repeat."""

    expected: Mapping[str, str] = {"mode": "cluster"}

    def send_packed_command(self, *args: Any, **kwargs: Any) -> Any:
        """Send one or more commands; what fails before that is a failed connection."""
        if not self._connecting:
            self.connect()
        return self._once_connected(super().send_packed_command, *args, **kwargs)  # type: ignore[misc]

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Read one reply."""
        return self._once_connected(super().read_response, *args, **kwargs)  # type: ignore[misc]

    def _once_connected(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._connecting:
            return work(*args, **kwargs)
        if not getattr(self, "_sock", None):
            raise ReplyLostError("the connection closed while replies were awaited")
        try:
            return work(*args, **kwargs)
        except (redis.AuthenticationError, redis.exceptions.BusyLoadingError):
            raise  # these are replies
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise ReplyLostError(f"{error}; the command may have run") from error


def _retrying(settings: Settings, base: type, mixin: type = _RetryingConnection) -> type:
    """Return a connection class of redis-py that connects as the settings say; a class, since RedisCluster drops unknown options."""
    attributes = {
        "attempts": _connect_attempts(settings),
        "delay_seconds": settings.retry_delay_ms / 1000,
        "deadline_seconds": settings.timeout_seconds,
        # redis-py before 6 checks host names only on request, which its RedisCluster cannot pass on
        "fixed_options": {"ssl_check_hostname": settings.tls_verify} if settings.tls else {},
    }
    return type(f"Retrying{base.__name__}", (mixin, _verifying(settings, base)), attributes)


def _verifying(settings: Settings, base: type) -> type:
    """Return *base*, or where the settings say which name the certificate has, a class that verifies that one."""
    if not (settings.tls and settings.tls_server_name):
        return base
    return type(f"Named{base.__name__}", (_NamedServer, base, _TrueHost), {"server_name": settings.tls_server_name})


def _connect_attempts(settings: Settings) -> int:
    return CONNECT_ATTEMPTS if settings.retry_attempts is None else settings.retry_attempts


def connection_options(settings: Settings) -> dict[str, Any]:
    """Return what every redis-py connection of these settings needs, without address, database and credentials."""
    options: dict[str, Any] = {"socket_timeout": settings.timeout_seconds}
    if redis.VERSION[0] >= 5:
        options["protocol"] = 2
    if not settings.unix_socket:
        options["socket_connect_timeout"] = settings.timeout_seconds
    if settings.tls:
        options.update(
            ssl_cert_reqs="required" if settings.tls_verify else "none",
            ssl_ca_certs=settings.tls_ca_file,
            ssl_certfile=settings.tls_cert_file,
            ssl_keyfile=settings.tls_key_file,
        )
    return options


def sentinel_options(settings: Settings) -> dict[str, Any]:
    """Return what redis-py's Sentinel needs to ask the Sentinels."""
    options = {**connection_options(settings), "username": settings.sentinel_username, "password": settings.sentinel_password}
    if settings.tls:
        options.update(ssl=True, ssl_check_hostname=settings.tls_verify)
    return options


def _connect_single(settings: Settings) -> AnyClient:
    options = {**connection_options(settings), "username": settings.username, "password": settings.password, "db": settings.db}
    base: type = SSLConnection if settings.tls else Connection
    if settings.unix_socket:
        base = UnixDomainSocketConnection
        options["path"] = settings.unix_socket
    else:
        options.update(host=settings.host, port=settings.port)
    return redis.Redis(connection_pool=ConnectionPool(connection_class=_retrying(settings, base), **options))


def _connect_sentinel(settings: Settings) -> AnyClient:
    """Ask Sentinel for the primary; every new connection asks again, so the client follows a failover."""
    options = connection_options(settings)
    asking = {**sentinel_options(settings), "retry": Retry(NoBackoff(), 0)}
    sentinel_class: Any = type("NewestSentinel", (Sentinel,), {"discover_master": discover_newest})
    sentinel = sentinel_class(list(settings.sentinels), sentinel_kwargs=asking)
    if settings.tls:
        for one in sentinel.sentinels:
            one.connection_pool.connection_class = _verifying(settings, one.connection_pool.connection_class)
    sentinel.discover_master(settings.sentinel_service)
    base = SentinelManagedSSLConnection if settings.tls else SentinelManagedConnection
    return sentinel.master_for(
        settings.sentinel_service,
        connection_class=_retrying(settings, base, _RetryingSentinelConnection),
        username=settings.username,
        password=settings.password,
        db=settings.db,
        **options,
    )


def _connect_cluster(settings: Settings) -> AnyClient:
    # Only a client made from a URL takes a connection class; the URL holds the address and nothing else.
    # It asks that address last, and the others in their order.
    *others, last = newest_nodes(settings.cluster_nodes, lambda node: _ask_nodes(settings, node))
    retries: dict[str, Any] = (
        {"retry": Retry(NoBackoff(), _connect_attempts(settings))} if redis.VERSION[0] >= 6 else {"cluster_error_retry_attempts": 1}
    )
    cluster_class: Any = RedisCluster
    if redis.VERSION[0] < 5:  # to find a new primary, it deep-copies a bound method of the client, which fails at its lock
        cluster_class = type("CopyableCluster", (RedisCluster,), {"__deepcopy__": lambda self, memo: self})
    try:
        return cluster_class(
            url=f"redis://{format_nodes([last])}",
            startup_nodes=[ClusterNode(host, port) for host, port in others],  # type: ignore[no-untyped-call]
            connection_class=_retrying(settings, SSLConnection if settings.tls else Connection, _RetryingClusterConnection),
            username=settings.username,
            password=settings.password,
            require_full_coverage=False,  # a key is served although another slot is not
            **retries,
            **connection_options(settings),
        )
    except IndexError as error:  # what redis-py makes of an empty CLUSTER SLOTS
        raise ServerError("no node serves a slot; the cluster is not formed yet", settings.address) from error
    except RedisClusterException:
        _raise_cluster_reason(settings)
        raise


def _ask_nodes(settings: Settings, node: tuple[str, int]) -> bytes:
    single = replace(settings, cluster_nodes=(), host=node[0], port=node[1], retry_attempts=0)
    client = _connect_single(single)
    try:
        with translated(single):
            return client.execute_command("CLUSTER", "NODES")  # type: ignore[no-any-return] # two words, so that redis-py leaves it as it is
    finally:
        close(client)


def _raise_cluster_reason(settings: Settings) -> None:
    """Ask each node for itself and raise its error; RedisCluster does not always say why it found no cluster."""
    silent: list[UnreachableError] = []
    for host, port in settings.cluster_nodes:
        single = replace(settings, cluster_nodes=(), host=host, port=port, retry_attempts=0)
        client = _connect_single(single)
        try:
            with translated(single):
                enabled = client.info("cluster").get("cluster_enabled")
        except UnreachableError as error:
            silent.append(error)
            continue
        except DeniedError:
            continue
        finally:
            close(client)
        if not enabled:
            raise ServerError("the server does not run in cluster mode; name it as the single host instead", single.address)
    if len(silent) == len(settings.cluster_nodes):
        raise silent[0]
