# SPDX-License-Identifier: MIT
"""What Client and AsyncClient ask servers about themselves, and emptying them, on every kind of deployment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from keyfleet import Client, DeniedError, RefusedError, SettingsError, UnreachableError
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.servers import Cluster, SentinelGroup, Server
from support.clients import OpenClient
from support.targets import Target

pytestmark = pytest.mark.floor

PREFIX = "a*[b]?\\:"


@pytest.fixture
def plain(target: Target) -> Iterator[Client]:
    """A client of the same deployment as `either`, without a prefix, that may flush."""
    with Client.from_settings(target.settings(environment="test")) as client:
        yield client


@pytest.fixture
def limited(redis_factory: RedisFactory, open_client: OpenClient) -> Callable[[str], Client]:
    """Open a client whose user may do all but what is named, on a server of its own."""

    def open_limited(rules: str) -> Client:
        server = redis_factory.server(directives={"user": [f"alice on >pw ~* +@all {rules}"]})
        return open_client(server.settings(username="alice", password="pw", environment="test"))

    return open_limited


def primary_count(target: Target) -> int:
    """Return how many primaries there are."""
    return max(len(target.settings().cluster_nodes), 1)


# Info


def test_info_is_typed_on_every_primary(either: Client, target: Target) -> None:
    """One entry for each, by the address that it has elsewhere, too."""
    either.set("k", "v")
    found = either.info()
    assert primary_count(target) == len(found)
    for info in found.values():
        assert info.engine in ("redis", "valkey")
        assert info.version is not None
        assert info.version.count(".") == 2
        assert ("primary", 0, "noeviction") == (info.role, info.maxmemory_bytes, info.maxmemory_policy)
        assert (info.used_memory_bytes or 0) > 100_000
        assert (info.connected_clients or 0) >= 1
        assert None not in (info.uptime_seconds, info.evicted_keys, info.keyspace_hits, info.keyspace_misses, info.connected_replicas)
        assert info.fields["run_id"]
        assert all(isinstance(value, str) for value in info.fields.values())
    assert {check.node for check in either.health().checks if check.name == "ping"} == set(found)


def test_a_section_leaves_the_others_open(either: Client) -> None:
    """What was not asked for is None, and is not guessed."""
    for info in either.info("memory").values():
        assert info.used_memory_bytes
        assert (None, None, None, None, None) == (info.engine, info.version, info.role, info.connected_clients, info.uptime_seconds)
        assert "redis_version" not in info.fields


def test_info_of_a_clusters_replicas(redis_cluster: Cluster, open_client: OpenClient) -> None:
    """Three primaries, and the replica of each."""
    client = open_client(redis_cluster.settings())
    roles = {address: info.role for address, info in client.info(replicas=True).items()}
    assert roles == {
        f"{node.host}:{node.port}": "primary" if node in redis_cluster.primaries() else "replica" for node in redis_cluster.nodes
    }
    assert 3 == len(client.info())


def test_info_of_sentinels_replicas(redis_sentinel: SentinelGroup, open_client: OpenClient) -> None:
    """The primary names them, whatever section is asked for."""
    found = open_client(redis_sentinel.settings()).info("stats", replicas=True)
    assert {f"{server.host}:{server.port}" for server in redis_sentinel.servers} == set(found)
    assert all(info.keyspace_hits is not None for info in found.values())


def test_a_silent_replica_is_named(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """It is not left out as if there were none."""
    primary = redis_factory.server(directives={"repl-timeout": 600})
    replica = redis_factory.server(directives={"replicaof": f"{primary.host} {primary.port}", "repl-diskless-sync-delay": 0})
    client = open_client(primary.settings(timeout_seconds=1))
    wait_until(lambda: [1] == [info.connected_replicas for info in client.info().values()], "the replica")
    replica.pause()
    try:
        with pytest.raises(UnreachableError, match=f"{replica.host}:{replica.port}"):
            client.info(replicas=True)
    finally:
        replica.resume()
    assert (1, 1) == (len(client.info()), client.stats.failures)


# Slow log


def test_slow_log_has_time_duration_and_command(open_client: OpenClient, redis_factory: RedisFactory) -> None:
    """The newest first, at most as many as were asked for; bytes that are no text are shown."""
    server = redis_factory.server(directives={"slowlog-log-slower-than": 0})
    client = open_client(server.settings(key_prefix="p:"))
    client.set("ü", b"\xff\xfe")
    client.get("k")
    (entries,) = client.slow_log(2).values()
    assert [("GET", "p:k"), ("SET", "p:ü", "\\xff\\xfe")] == [entry.arguments for entry in entries]
    assert entries[0].id == entries[1].id + 1
    for entry in entries:
        assert entry.duration_us >= 0
        assert abs(datetime.now(timezone.utc) - entry.started_at) < timedelta(hours=1)
        assert entry.client_address.startswith("127.0.0.1:")
    for number in range(20):
        client.get(str(number))
    assert [10, 3] == [len(found) for asked in ({}, {"count": 3}) for found in client.slow_log(**asked).values()]


def test_slow_log_asks_every_primary(either: Client, target: Target) -> None:
    """One list for each, empty where nothing was slow."""
    found = either.slow_log()
    assert primary_count(target) == len(found)
    assert all(isinstance(entries, list) for entries in found.values())


@pytest.mark.parametrize("directives", [{"rename-command": 'SLOWLOG ""'}, {"user": ["default on nopass ~* +@all -slowlog"]}])
def test_a_denied_slow_log_is_an_error_of_its_own(redis_factory: RedisFactory, open_client: OpenClient, directives: Any) -> None:
    """Removed, as services do, or not allowed to the user."""
    with pytest.raises(DeniedError) as caught:
        open_client(redis_factory.server(directives=directives).settings()).slow_log()
    assert caught.value.command.startswith("slowlog")


# Memory


def test_memory_by_prefix_is_exact_where_all_keys_are_sampled(either: Client, plain: Client, target: Target) -> None:
    """Of every primary, our keys only, under names without our prefix."""
    for number in range(60):
        either.set(f"session:{number}", "v" * 1000)
        either.set(f"cache:page:{number}", "v")
        plain.set(f"foreign:{number}", "v" * 5000)
    either.set("single", 1)
    plain.raw.set(f"{PREFIX}cache:page:".encode() + b"\xff", b"x")
    found = either.memory_by_prefix()
    assert (True, 182, 182) == (found.is_exact, found.sampled_keys, found.total_keys)
    assert {"session:": 60, "cache:": 61, "": 1} == {prefix: memory.keys for prefix, memory in found.prefixes.items()}
    assert ["session:", "cache:", ""] == list(found.prefixes)
    assert 60 * 1000 < found.prefixes["session:"].bytes < 60 * 1500
    two_parts = either.memory_by_prefix(depth=2).prefixes
    assert {"session:": 60, "cache:page:": 61, "": 1} == {prefix: memory.keys for prefix, memory in two_parts.items()}
    assert {"": 122} == {prefix: memory.keys for prefix, memory in either.memory_by_prefix(separator="/").prefixes.items()}


def test_memory_of_an_empty_server_is_nothing(either: Client) -> None:
    """And that is exact."""
    found = either.memory_by_prefix()
    assert ({}, 0, 0, True) == (found.prefixes, found.sampled_keys, found.total_keys, found.is_exact)


def test_a_sample_bounds_the_work(redis_server: Server, redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """The server is asked about as many keys as were allowed and a few more, and the estimate adds up to all of them."""
    with Client.from_settings(redis_server.settings()) as writer:
        writer.set_many({f"{'big' if number % 4 else 'small'}:{number}": "v" for number in range(20_000)})
    proxy = redis_factory.proxy(redis_server)
    found = open_client(proxy.settings(timeout_seconds=20)).memory_by_prefix(2000)
    assert 2000 <= found.sampled_keys < 2100
    assert found.sampled_keys == proxy.commands["MEMORY"]
    assert proxy.commands["SCAN"] < 10
    assert (False, 20_000) == (found.is_exact, found.total_keys)
    assert abs(sum(memory.keys for memory in found.prefixes.values()) - 20_000) <= 1
    assert 12_000 < found.prefixes["big:"].keys < 18_000  # there are 15,000, and the sample is off by some 200


@pytest.mark.parametrize("arguments", [{"sample": 0}, {"depth": 0}, {"separator": ""}])
def test_impossible_samples_are_refused(redis_server: Server, open_client: OpenClient, arguments: Any) -> None:
    """Before anything is sent."""
    client = open_client(redis_server.settings())
    with pytest.raises(ValueError, match=next(iter(arguments))):
        client.memory_by_prefix(**arguments)
    with pytest.raises(ValueError, match="count is 0; allowed are 1 and above"):
        client.slow_log(0)
    assert 0 == client.stats.connections_opened


def test_denied_memory_is_an_error_of_its_own(limited: Callable[[str], Client]) -> None:
    """As on serverless caches."""
    client = limited("-memory|usage")
    client.set("k", "v")
    with pytest.raises(DeniedError, match="memory usage"):
        client.memory_by_prefix()


def test_denied_info_is_an_error_of_its_own(limited: Callable[[str], Client]) -> None:
    """Health makes do without it."""
    client = limited("-info")
    with pytest.raises(DeniedError, match="info"):
        client.info()
    assert "ok" == client.health(write_probe=True).verdict


# Flush


def test_flush_is_refused_where_it_was_not_allowed(redis_server: Server, redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """With a prefix and without one; nothing is even connected, and the variable to change is named."""
    proxy = redis_factory.proxy(redis_server)
    for changes in ({}, {"environment": "staging"}, {"key_prefix": "p:"}):
        client = open_client(proxy.settings(**changes))
        with pytest.raises(RefusedError, match=r"REDIS_ENVIRONMENT\) is '(production|staging)'; allowed are development and test"):
            client.flush()
        assert (0, 0) == (client.stats.calls, client.stats.connections_opened)
    assert 0 == proxy.total_connections


def test_the_environment_variable_allows_flush(redis_server: Server) -> None:
    """In any case of letters."""
    environ = {"REDIS_HOST": redis_server.host, "REDIS_PORT": str(redis_server.port), "REDIS_ENVIRONMENT": "Development"}
    with Client.from_env(environ) as client:
        client.set("k", "v")
        assert [1, 0] == [client.flush(), client.exists("k")]
    with pytest.raises(SettingsError, match="REDIS_PORT"):
        Client.from_env({**environ, "REDIS_PORT": "x"})


def test_flush_with_a_prefix_deletes_our_keys_only(open_client: OpenClient, plain: Client, target: Target) -> None:
    """On every primary, also names that are no text; what the prefix would match as a pattern stays."""
    client = open_client(target.settings(key_prefix=PREFIX, environment="test"))
    client.set_many({f"k{number}": "v" for number in range(3000)})
    client.hset("h", {"a": 1})
    plain.raw.set(f"{PREFIX}".encode() + b"\xff", b"x")
    others = ["axb:k", "k", "aXbX\\:k"]
    plain.set_many(dict.fromkeys(others, "v"))
    assert [3002, 0] == [client.flush(), client.flush()]
    assert sorted(others) == sorted(plain.scan())
    assert client.set("k1", "v")


def test_flush_without_a_prefix_empties_every_primary(open_client: OpenClient, plain: Client, target: Target) -> None:
    """And returns how many keys there were."""
    client = open_client(target.settings(environment="development"))
    client.set_many({f"k{number}": "v" for number in range(100)})
    assert [100, 0] == [client.flush(), client.flush()]
    assert [] == list(plain.scan())


def test_flush_leaves_other_databases_alone(redis_server: Server, open_client: OpenClient) -> None:
    """It is never FLUSHALL."""
    with Client.from_settings(redis_server.settings(db=1)) as other:
        other.set("k", "v")
        client = open_client(redis_server.settings(environment="test"))
        client.set("k", "v")
        assert [1, "v"] == [client.flush(), other.get("k")]


def test_flush_needs_only_what_its_user_may(limited: Callable[[str], Client]) -> None:
    """A user without FLUSHDB gets the error that says so."""
    client = limited("-flushdb")
    client.set("k", "v")
    with pytest.raises(DeniedError, match="flushdb"):
        client.flush()
    assert "v" == client.get("k")
