# SPDX-License-Identifier: MIT
"""The answer that came first is not believed forever: outdated Sentinels, nodes that are cut off, addresses that others took over."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from keyfleet import Client, OutcomeUnknown, ServerError, UnreachableError
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.testing._replication import clients_of
from keyfleet.testing._sentinel import _start_one
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import ClusterProxies
from keyfleet.testing.servers import Cluster, SentinelGroup, Server
from support.clients import OpenBoth, OpenClient
from support.load import Load
from support.outdated import asking, isolated, only, outdated_sentinel
from support.subscribers import connections, expect, reconnection, running

pytestmark = pytest.mark.slow

ON_EVERY_SERVER = "full"
BUDGET_SECONDS = 10.0
CLUSTER = {"cluster-node-timeout": 500}


def test_an_outdated_sentinel_does_not_lead_to_a_dead_primary(
    redis_factory: RedisFactory, open_both: OpenBoth, tmp_path: Path, redis_engine: str
) -> None:
    """It heads the list and names a server that is dead; the others know its successor."""
    group = redis_factory.sentinel(down_after_ms=500)
    with outdated_sentinel(tmp_path / "outdated", redis_engine, group.primary()) as outdated:
        group.kill_primary()
        group.wait_until_in_sync()
        for client in open_both(asking(group, outdated, timeout_seconds=BUDGET_SECONDS)):
            for number in range(20):
                assert client.set("k", number)
    assert b"19" == group.client().get("k")


def test_an_outdated_sentinel_does_not_lead_to_a_server_of_its_own(
    redis_factory: RedisFactory, open_both: OpenBoth, tmp_path: Path, redis_engine: str
) -> None:
    """Which is alive and a primary: most Sentinels name another one, although no failover has given them a newer epoch."""
    group, stray = redis_factory.sentinel(), redis_factory.server()
    with outdated_sentinel(tmp_path / "outdated", redis_engine, stray) as outdated:
        for client in open_both(asking(group, outdated)):
            assert client.set("k", 1)
    with clients_of([stray, group.primary()]) as nodes:
        assert [None, b"1"] == [node.get("k") for node in nodes]


def test_a_subscription_leaves_a_server_that_most_sentinels_do_not_name(
    redis_factory: RedisFactory, open_both: OpenBoth, tmp_path: Path, redis_engine: str
) -> None:
    """The other Sentinels did not answer when it began."""
    group, stray = redis_factory.sentinel(), redis_factory.server()
    with outdated_sentinel(tmp_path / "outdated", redis_engine, stray) as outdated:
        clients = open_both(asking(group, outdated))
        for sentinel in group.sentinels:
            sentinel.pause()
        subscriptions = [client.subscribe("news", ping_seconds=0.2).__enter__() for client in clients]
        assert 2 == connections(stray)
        for sentinel in group.sentinels:
            sentinel.resume()
        for subscription in subscriptions:
            assert ("news",) == reconnection(subscription).channels
        assert 2 == clients[0].publish("news", 1)
        for subscription in subscriptions:
            expect(subscription, "1")


def test_a_subscription_follows_a_planned_failover_before_its_server_does(redis_factory: RedisFactory, open_both: OpenBoth) -> None:
    """It hears that the primary is another one now, although it makes no calls."""
    group = redis_factory.sentinel()
    clients = open_both(group.settings())
    subscriptions = [client.subscribe("news").__enter__() for client in clients]
    with clients_of(group.sentinels) as sentinels:
        sentinels[0].sentinel_failover(group.service)
    for subscription in subscriptions:
        gap = reconnection(subscription)
        assert (("news",), "another server serves it now") == (gap.channels, gap.reason)


def listeners(sentinel: AnyClient) -> int:
    """Return how many clients listen for failovers."""
    return len(sentinel.client_list(_type="pubsub"))


@pytest.mark.parametrize("end", ["freezes", "dies"])
def test_a_sentinel_that_is_listened_to_and_ends_is_left(end: str, redis_factory: RedisFactory, open_both: OpenBoth) -> None:
    """Calls work meanwhile, and the client subscribes to another Sentinel."""
    group = redis_factory.sentinel()
    clients = open_both(group.settings())
    assert [True, True] == [client.ping() for client in clients]
    with clients_of(group.sentinels) as sentinels:
        wait_until(lambda: 2 == sum(map(listeners, sentinels)), "both clients to listen")
        heard = [server for server, sentinel in zip(group.sentinels, sentinels, strict=True) if listeners(sentinel)]
    for server in heard:
        server.pause() if end == "freezes" else server.kill()
    others = [server for server in group.sentinels if server not in heard]
    with clients_of(others) as sentinels, Load([partial(set_key, client) for client in clients]) as load:
        wait_until(lambda: 2 == sum(map(listeners, sentinels)), "both clients to listen to another Sentinel", 30.0)
    assert [] == load.errors


def set_key(client: Client, number: int) -> None:
    """Make a call."""
    client.set("k", number)


def test_a_service_that_no_sentinel_knows_is_an_error_at_once(redis_sentinel: SentinelGroup, open_client: OpenClient) -> None:
    """Waiting does not make it known; the budget would be an hour."""
    client = open_client(redis_sentinel.settings(sentinel_service="other", timeout_seconds=3600.0))
    with pytest.raises(ServerError, match="no Sentinel knows this service") as caught:
        client.get("k")
    assert not isinstance(caught.value, UnreachableError)


def test_a_service_that_one_sentinel_does_not_know_is_found(
    redis_factory: RedisFactory, open_client: OpenClient, tmp_path: Path, redis_engine: str
) -> None:
    """The first of the list was started anew without it."""
    group = redis_factory.sentinel()
    with _start_one(tmp_path / "empty", redis_engine, ["resolve-hostnames no"]) as empty:
        assert open_client(asking(group, empty)).set("k", 1)


# Clusters


def test_a_node_that_is_cut_off_is_not_believed(redis_factory: RedisFactory, open_both: OpenBoth) -> None:
    """Its view comes first, its slots are not served there, and the nodes that it names know better."""
    cluster = redis_factory.cluster(shards=3, replicas=1, directives=CLUSTER)
    node = isolated(cluster, "k")
    for client in open_both(only(node, cluster, timeout_seconds=BUDGET_SECONDS)):
        for number in range(30):
            assert client.set("k", number)
            assert client.set(f"k{number}", number)
        assert "29" == client.get("k")


def test_a_subscription_leaves_a_node_that_is_cut_off(redis_factory: RedisFactory, open_both: OpenBoth) -> None:
    """It answers PING and hears nothing that is published at the others."""
    cluster = redis_factory.cluster(shards=3, replicas=1, directives=CLUSTER)
    node = isolated(cluster, "news")
    clients = open_both(only(node, cluster, timeout_seconds=BUDGET_SECONDS))
    subscriptions = [client.subscribe("news", ping_seconds=0.2).__enter__() for client in clients]
    for subscription in subscriptions:
        assert ("news",) == reconnection(subscription).channels
    with clients_of([other for other in running(cluster) if other is not node][:1]) as (healthy,):
        healthy.publish("news", 1)
    for subscription in subscriptions:
        expect(subscription, "1")


@pytest.fixture
def proxies(redis_cluster: Cluster) -> Iterator[ClusterProxies]:
    """A cluster behind proxies, so that other servers can take over its addresses."""
    with ClusterProxies(redis_cluster) as running:
        yield running


def check_stranger(cluster: Cluster, proxies: ClusterProxies, stranger: Server, open_both: OpenBoth) -> None:
    """Let *stranger* take over the address of the primary of ``k`` while clients use it, and give the address back."""
    clients = open_both(proxies.settings(timeout_seconds=1.0))
    for client in clients:
        assert client.set("k", "mine")
    proxy = proxies.of(cluster.primary_of("k"))
    proxy.switch_to(stranger)
    proxy.close_connections()
    for client in clients:
        with pytest.raises((UnreachableError, OutcomeUnknown)):  # the latter if it was sent to the node before it was taken over
            client.set("k", "lost")
    with clients_of([stranger]) as (direct,):
        assert 0 == direct.dbsize()
    proxy.heal()
    proxy.switch_to(cluster.primary_of("k"))
    proxy.close_connections()
    for client in clients:
        assert "mine" == client.within(BUDGET_SECONDS).get("k")


def test_a_standalone_server_at_the_address_of_a_node_gets_no_call(
    redis_cluster: Cluster, redis_factory: RedisFactory, proxies: ClusterProxies, open_both: OpenBoth
) -> None:
    """It would acknowledge what the cluster never sees."""
    check_stranger(redis_cluster, proxies, redis_factory.server(), open_both)


def test_a_node_of_another_cluster_gets_no_call(
    redis_cluster: Cluster, redis_factory: RedisFactory, proxies: ClusterProxies, open_both: OpenBoth
) -> None:
    """Although it serves the slot, and its cluster has epochs, too."""
    other = redis_factory.cluster(shards=3)
    check_stranger(redis_cluster, proxies, other.primary_of("k"), open_both)


def test_a_cluster_that_was_made_anew_is_found(redis_factory: RedisFactory, open_both: OpenBoth) -> None:
    """At the same addresses, with other ids and smaller epochs: no node of the old one is left that could be meant."""
    cluster = redis_factory.cluster(shards=3)
    clients = open_both(cluster.settings(timeout_seconds=BUDGET_SECONDS))
    for client in clients:
        assert client.set("k", "old")
    with clients_of(cluster.nodes) as nodes:
        for node in nodes:
            node.flushall()
            node.execute_command("CLUSTER", "RESET", "HARD")
    for node in cluster.nodes:
        node.kill()
        node.start()
    form(cluster)
    assert [None, None] == [client.get("k") for client in clients]
    assert [True, True] == [client.set("k", "new") for client in clients]


def form(cluster: Cluster) -> None:
    """Make a cluster of nodes that know each other no more."""
    count = len(cluster.nodes)
    with clients_of(cluster.nodes) as nodes:
        for number, node in enumerate(nodes):
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", 16384 * number // count, 16384 * (number + 1) // count - 1)
            for other in cluster.nodes:
                node.execute_command("CLUSTER", "MEET", other.host, other.port)
        wait_until(
            lambda: all(b"cluster_state:ok" in node.execute_command("CLUSTER", "INFO") for node in nodes), "the cluster to form", 30.0
        )
