# SPDX-License-Identifier: MIT
"""What is special to Cluster and Sentinel: seeds, failover, and settings that name the wrong thing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from keyfleet.core.connect.client import close, connect
from keyfleet.core.connect.primaries import primaries
from keyfleet.core.connect.redis_py import translated
from keyfleet.core.connect.settings import Settings
from keyfleet.core.errors import CredentialsError, DeniedError, KeyfleetError, ServerError, UnreachableError
from keyfleet.testing.servers import Cluster, Server, start_cluster, start_sentinel, start_server

pytestmark = pytest.mark.slow

FAST = {"retry_attempts": 0, "timeout_seconds": 1.0}


def error_of(settings: Settings) -> KeyfleetError:
    """Return what connect raises."""
    with pytest.raises(KeyfleetError) as caught:
        connect(settings)
    return caught.value


def seconds_until(work: Callable[[], object], limit: float) -> float:
    """Repeat *work* until it raises no UnreachableError or ServerError and return how long that took."""
    started = time.monotonic()
    while True:
        try:
            work()
            return time.monotonic() - started
        except ServerError:
            if time.monotonic() - started > limit:
                raise
            time.sleep(0.05)


# Cluster


def test_one_living_seed_is_enough(redis_cluster: Cluster) -> None:
    """The first node named is dead, the rest is discovered from the second."""
    alive = (redis_cluster.nodes[1].host, redis_cluster.nodes[1].port)
    client = connect(Settings(cluster_nodes=(("127.0.0.9", alive[1]), alive), **FAST))
    assert 3 == len(primaries(client))
    close(client)


def test_no_living_seed_is_unreachable(tmp_path: Path) -> None:
    """The error says where and why, not "please provide at least one reachable node"."""
    with start_server(tmp_path) as server:
        port = server.port
    error = error_of(Settings(cluster_nodes=(("127.0.0.1", port),), **FAST))
    assert isinstance(error, UnreachableError)
    assert "Connection refused" in str(error)


def test_a_refused_password_on_a_cluster_is_a_matter_of_credentials(tmp_path: Path) -> None:
    """RedisCluster calls it "cannot be connected"; so with a wrong one and with none."""
    with start_cluster(tmp_path, shards=1, password="right") as cluster:
        errors = [error_of(cluster.settings(password=password)) for password in ("wrong", None)]
    assert [CredentialsError, CredentialsError] == [type(error) for error in errors]


def test_a_denied_command_on_a_cluster_is_named(tmp_path: Path) -> None:
    """RedisCluster calls a denied CLUSTER SLOTS "mode is not enabled"."""
    users = ["app on >pw ~* +@all -cluster"]
    with start_cluster(tmp_path, shards=1, directives={"user": users}) as cluster:
        error = error_of(cluster.settings(username="app", password="pw"))
    assert isinstance(error, DeniedError)
    assert "cluster slots" == error.command


def test_a_cluster_with_a_hole_serves_the_rest(tmp_path: Path) -> None:
    """A slot without a primary is reported by the health check, and is no reason to refuse all others."""
    with start_cluster(tmp_path, shards=1, directives={"cluster-require-full-coverage": "no"}) as cluster:
        node = cluster.nodes[0].client()
        node.execute_command("CLUSTER", "DELSLOTS", 5)
        close(node)
        client = connect(cluster.settings(**FAST))
        assert client.set("k", "v")
        close(client)


def test_a_cluster_that_is_not_formed_says_so(tmp_path: Path) -> None:
    """Cluster mode is on, slots are not given out yet."""
    with start_server(tmp_path, directives={"cluster-enabled": "yes"}) as server:
        error = error_of(Settings(cluster_nodes=((server.host, server.port),), **FAST))
    assert ServerError is type(error)
    assert "no node serves a slot" in str(error)


def test_a_single_server_is_no_cluster(redis_server: Server) -> None:
    """The settings name the wrong thing, and the error says which way; a dead node beside it does not hide that."""
    error = error_of(Settings(cluster_nodes=(("127.0.0.9", 1), (redis_server.host, redis_server.port)), **FAST))
    address = f"{redis_server.host}:{redis_server.port}"
    assert f"{address}: the server does not run in cluster mode; name it as the single host instead" == str(error)


def test_a_cluster_node_is_no_single_server(redis_cluster: Cluster) -> None:
    """A redirection reaches the caller as advice."""
    settings = Settings(host=redis_cluster.nodes[0].host, port=redis_cluster.nodes[0].port)
    client = connect(settings)
    with pytest.raises(ServerError, match="is one node of a cluster and the key is on another"), translated(settings):
        for number in range(10):
            client.set(f"k{number}", "v")
    close(client)


def test_a_cluster_client_follows_a_failover(tmp_path: Path) -> None:
    """Killed primary: errors until the replica has taken over, then the same client works; nothing was counted twice."""
    with start_cluster(tmp_path, replicas=1) as cluster:
        settings = cluster.settings(retry_delay_ms=10, timeout_seconds=1.0)
        client = connect(settings)
        client.incr("n")
        client.execute_command("WAIT", 1, 1000, target_nodes=client.get_node_from_key("n"))
        victim = client.get_node_from_key("n")
        next(node for node in cluster.nodes if (node.host, node.port) == (victim.host, victim.port)).kill()

        def increment() -> None:
            with translated(settings):
                client.incr("n")

        seconds_until(increment, limit=20)
        assert b"2" == client.get("n")
        assert 3 == len(primaries(client))
        close(client)


# Sentinel


def test_a_sentinel_client_follows_a_failover(tmp_path: Path) -> None:
    """Killed primary: the next connection asks Sentinel again."""
    with start_sentinel(tmp_path, password="pw", down_after_ms=500) as group:
        client = group.client(retry_delay_ms=10)
        client.set("k", "v")
        assert [f"127.0.0.1:{group.servers[0].port}"] == [node.address for node in primaries(client)]
        client.wait(1, 1000)
        group.servers[0].kill()

        def write() -> None:
            with translated(group.settings()):
                client.set("k2", "v")

        seconds_until(write, limit=20)
        assert b"v" == client.get("k")
        assert [f"127.0.0.1:{group.servers[1].port}"] == [node.address for node in primaries(client)]
        close(client)


def test_sentinel_settings_that_name_the_wrong_thing(tmp_path: Path, redis_server: Server) -> None:
    """An unknown service, a server that is no Sentinel, an address without a server, one dead Sentinel of two."""
    with start_sentinel(tmp_path, replicas=0, sentinels=1) as group:
        unknown = error_of(group.settings(sentinel_service="other", **FAST))
        no_sentinel = error_of(group.settings(sentinels=((redis_server.host, redis_server.port),), **FAST))
        unreachable = error_of(group.settings(sentinels=(("127.0.0.9", 1),), **FAST))
        one_dead = replace(group.settings(**FAST), sentinels=(("127.0.0.9", 1), *group.settings().sentinels))
        client = connect(one_dead)
        assert client.ping()
        close(client)
    assert [ServerError, DeniedError, UnreachableError] == [type(error) for error in (unknown, no_sentinel, unreachable)]
    assert "cannot reach service main of Sentinel 127.0.0.9:1: no Sentinel that answers knows a primary of this service" == str(unreachable)


def test_closing_ends_the_connections_to_sentinel_too(tmp_path: Path) -> None:
    """Nothing is left for the garbage collector."""
    with start_sentinel(tmp_path, replicas=0, sentinels=1) as group:
        watcher = group.sentinels[0].client()
        before = watcher.info("clients")["connected_clients"]
        close(group.client())
        assert before == watcher.info("clients")["connected_clients"]
        close(watcher)


def test_threads_share_a_cluster_client(redis_cluster: Cluster) -> None:
    """Ten threads on ten keys of three primaries, no increment lost or doubled."""
    client = redis_cluster.client()
    threads = [threading.Thread(target=lambda name=f"n{number}": [client.incr(name) for _unused in range(50)]) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [b"50"] * 10 == [client.get(f"n{number}") for number in range(10)]
    close(client)
