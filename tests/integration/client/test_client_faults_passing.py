# SPDX-License-Identifier: MIT
"""States that pass: another role, data being loaded, a primary out of sight; callers with ten seconds see none of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from keyfleet import Client, Policy, UnreachableError
from keyfleet.core.connect.client import close
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.testing._replication import clients_of, is_in_sync
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server, start_server
from support.clients import OpenBoth, OpenClient
from support.load import Load, Work, error_count

pytestmark = pytest.mark.slow

BUDGET_SECONDS = 10.0
WORKERS = 8


@pytest.fixture(scope="module")
def pair(redis_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """A server and its replica; tests change their roles."""
    folder = tmp_path_factory.mktemp("pair")
    with ExitStack() as running:
        common = {"repl-diskless-sync-delay": 0, "repl-ping-replica-period": 1}
        first = running.enter_context(start_server(folder / "first", engine=redis_engine, directives=common))
        lines = {**common, "replicaof": f"{first.host} {first.port}"}
        yield first, running.enter_context(start_server(folder / "second", engine=redis_engine, directives=lines))


def flip(old: AnyClient, new: AnyClient) -> None:
    """Let the servers change roles without loss."""
    wait_until(lambda: is_in_sync([old, new]), "the replica to be in sync")
    old.execute_command("FAILOVER", "TIMEOUT", 5000)
    wait_until(lambda: new.info("replication")["role"] == "master" and old.info("replication")["role"] == "slave", "the roles to change")


def test_a_role_flip_behind_a_stable_address(pair: tuple[Server, Server], open_client: OpenClient) -> None:
    """
    The address leads to a server that becomes a replica, and only then elsewhere; then all the way back.

    Each increment counts exactly once: a READONLY reply says that the command was not run.
    """
    with FaultProxy(pair[0]) as proxy, clients_of(pair) as servers:
        client = open_client(proxy.settings(timeout_seconds=BUDGET_SECONDS, retry_delay_ms=10))
        servers[0].flushall()
        with Load([counting(client, f"n{number}") for number in range(WORKERS)]) as load:
            for old, new in ((0, 1), (1, 0)):
                load.go_on()
                refused = readonly_count(servers[old])
                flip(servers[old], servers[new])
                wait_until(lambda old=old, refused=refused: readonly_count(servers[old]) > refused, "a refused write")  # type: ignore[misc]
                proxy.switch_to(pair[new])
            load.go_on()
        assert [] == load.errors
        assert load.counts == [int(servers[0].get(f"n{number}")) for number in range(WORKERS)]


def counting(client: Client, key: str) -> Work:
    """Return work that counts."""
    return lambda _number: client.incr(key)


def readonly_count(server: AnyClient) -> int:
    """Return how often the server has answered READONLY."""
    return error_count(server, "READONLY")


def test_a_server_that_loads_its_data(open_both: OpenBoth, redis_factory: RedisFactory) -> None:
    """It answers LOADING for a second after its restart; calls wait for it, and find their data."""
    server = redis_factory.server()
    with clients_of([server]) as (raw,):
        raw.mset({f"k{number}": number for number in range(1000)})
        raw.save()
    clients = open_both(server.settings(timeout_seconds=BUDGET_SECONDS, retry_delay_ms=10))
    slow = {"key-load-delay": 1000, "loading-process-events-interval-bytes": 1024}  # microseconds for each key
    with server.config_file.open("a") as config:
        config.writelines(f"{name} {value}\n" for name, value in slow.items())
    with Load([reading(client, "k7") for client in clients]) as load:
        load.go_on()
        server.kill()
        server.start()
        load.go_on()
    assert [] == load.errors
    assert {"7"} == {result for worker in load.workers for result in worker.results}
    with clients_of([server]) as (raw,):
        assert error_count(raw, "LOADING") > 0


def test_replicas_that_have_lost_their_primary(open_both: OpenBoth, redis_factory: RedisFactory) -> None:
    """They answer MASTERDOWN until Sentinel has found another primary; reads wait or go elsewhere."""
    lines: dict[str, str | int] = {"replica-serve-stale-data": "no", "repl-ping-replica-period": 1}
    group = redis_factory.sentinel(replicas=2, down_after_ms=500, directives=lines)
    settings = group.settings(timeout_seconds=BUDGET_SECONDS, retry_delay_ms=10)
    clients = open_both(settings, Policy(read_from="replica"))
    clients[0].set("k", "v")
    group.wait_until_in_sync()
    with Load([reading(client, "k") for client in clients for _unused in range(4)]) as load:
        load.go_on()
        group.kill_primary()
        group.wait_until_in_sync()
        load.go_on()
    assert [] == load.errors
    assert {"v"} == {result for worker in load.workers for result in worker.results}
    with clients_of([server for server in group.servers if server.is_running()]) as servers:
        assert sum(error_count(server, "MASTERDOWN") for server in servers) > 0


def test_a_cluster_that_is_down(open_both: OpenBoth, redis_factory: RedisFactory) -> None:
    """One of its primaries dies without a replica: all slots answer CLUSTERDOWN until it is back, and calls wait for that."""
    cluster = redis_factory.cluster(shards=3, replicas=0, directives={"cluster-node-timeout": 500})
    clients = open_both(cluster.settings(timeout_seconds=BUDGET_SECONDS, retry_delay_ms=10))
    keys = [f"k{number}" for number in range(6)]
    victim = cluster.primary_of(keys[0])
    others = [node for node in cluster.nodes if node is not victim]
    with clients_of(others) as nodes, Load([setting(client, key) for client in clients for key in keys]) as load:
        load.go_on()
        victim.kill()
        wait_until(lambda: sum(error_count(node, "CLUSTERDOWN") for node in nodes) > 0, "CLUSTERDOWN")
        victim.start()
        cluster.wait_until_in_sync()
        load.go_on()
    assert [] == load.errors


def test_a_primary_without_enough_replicas(open_both: OpenBoth, redis_factory: RedisFactory) -> None:
    """It answers NOREPLICAS until one is in sync: a write waits for that and runs once, or its error says why it did not run."""
    primary = redis_factory.server(directives={"min-replicas-to-write": 1, "repl-diskless-sync-delay": 0})
    clients = open_both(primary.settings(timeout_seconds=BUDGET_SECONDS, retry_delay_ms=10))
    for client in clients:
        with pytest.raises(UnreachableError, match="NOREPLICAS"):
            client.within(0.2).incr("refused")
    with clients_of([primary]) as (raw,), Load([counting(client, "n") for client in clients]) as load:
        refused = error_count(raw, "NOREPLICAS")
        wait_until(lambda: error_count(raw, "NOREPLICAS") > refused + 4, "refused writes of both clients")
        redis_factory.server(directives={"replicaof": f"{primary.host} {primary.port}"})
        load.go_on()
        assert [] == load.errors
    with clients_of([primary]) as (raw,):
        assert [sum(load.counts), None] == [int(raw.get("n")), raw.get("refused")]


def reading(client: Client, key: str) -> Work:
    """Return work that reads."""
    return lambda _number: client.get(key)


def setting(client: Client, key: str) -> Work:
    """Return work that stores numbers."""
    return lambda number: client.set(key, number)


def test_a_server_that_takes_no_more_clients(open_client: OpenClient, redis_factory: RedisFactory) -> None:
    """It refuses connections until others leave; the call waits for that."""
    server = redis_factory.server(directives={"maxclients": 5})
    client = open_client(server.settings(timeout_seconds=BUDGET_SECONDS, retry_delay_ms=10))
    crowd = [server.client() for _unused in range(5)]
    for other in crowd:
        other.ping()
    with Load([lambda _number: client.incr("n")]) as load:
        wait_until(lambda: client.stats.retries > 2, "refused connections")
        assert [0] == load.counts
        for other in crowd:
            close(other)
        load.go_on()
    assert [] == load.errors
    assert load.counts == [int(client.get("n") or 0)]
