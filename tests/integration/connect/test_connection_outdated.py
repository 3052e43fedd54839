# SPDX-License-Identifier: MIT
"""What modules connect to where the source that comes first is outdated, or a stranger answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from keyfleet import AsyncClient, Client, Settings, UnreachableError
from keyfleet.core.connect.client import close, connect
from keyfleet.core.connect.members import read_members
from keyfleet.core.connect.redis_py import AnyClient, translated
from keyfleet.testing._replication import clients_of
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import ClusterProxies, FaultProxy
from keyfleet.testing.servers import Cluster, Server
from support.outdated import asking, isolated, only, outdated_sentinel

pytestmark = pytest.mark.slow


@contextmanager
def connected(settings: Settings) -> Iterator[AnyClient]:
    """Connect as modules do."""
    client = connect(settings)
    try:
        with translated(settings):
            yield client
    finally:
        close(client)


def test_most_sentinels_say_which_server_is_the_primary(redis_factory: RedisFactory, tmp_path: Path) -> None:
    """Not the first one, which knows another server of that name."""
    group, stray = redis_factory.sentinel(), redis_factory.server()
    with outdated_sentinel(tmp_path / "outdated", "redis", stray) as outdated, connected(asking(group, outdated)) as client:
        client.set("k", 1)
    with clients_of([stray, group.primary()]) as nodes:
        assert [None, b"1"] == [node.get("k") for node in nodes]


@pytest.mark.client
def test_most_sentinels_say_it_to_raw_as_well(redis_factory: RedisFactory, tmp_path: Path) -> None:
    """Of both clients."""
    group, stray = redis_factory.sentinel(), redis_factory.server()
    with outdated_sentinel(tmp_path / "outdated", "redis", stray) as outdated:
        settings = asking(group, outdated)

        async def set_by_raw() -> None:
            async with AsyncClient.from_settings(settings) as client:
                await client.raw.set("async", 1)

        asyncio.run(set_by_raw())
        with Client.from_settings(settings) as client:
            client.raw.set("sync", 1)
    with clients_of([stray, group.primary()]) as nodes:
        assert [[None, None], [b"1", b"1"]] == [node.mget("async", "sync") for node in nodes]


def test_a_replica_that_sentinel_names_gets_no_command(redis_factory: RedisFactory, tmp_path: Path) -> None:
    """Like an old primary that was demoted before Sentinel learned of it."""
    group = redis_factory.sentinel()
    replica = next(server for server in group.servers if server is not group.primary())
    with FaultProxy(replica) as proxy, outdated_sentinel(tmp_path / "s", "redis", proxy.settings()) as only_one:
        settings = Settings(sentinels=((only_one.host, only_one.port),), sentinel_service="main", retry_attempts=1, retry_delay_ms=10)
        with (
            pytest.raises(UnreachableError, match=r"its role is (slave|replica) and not master|knows a primary"),
            connected(settings) as client,
        ):
            client.get("k")


def test_a_node_that_is_cut_off_is_not_asked(redis_factory: RedisFactory) -> None:
    """Although it heads the list."""
    # A busy machine cuts off others, too, where the timeout is shorter.
    cluster = redis_factory.cluster(shards=3, replicas=1, directives={"cluster-node-timeout": 2000})
    node = isolated(cluster, "k")
    with clients_of([node]) as (direct,):
        wait_until(lambda: read_members(direct.execute_command("CLUSTER", "NODES")).is_cut_off, "the node to miss the others")
    others = tuple((other.host, other.port) for other in cluster.nodes if other is not node)
    settings = only(node, cluster)
    with connected(cluster.settings(cluster_nodes=(*settings.cluster_nodes, *others), retry_attempts=0)) as client:
        client.set("k", 1)
        assert b"1" == client.get("k")


def test_a_standalone_server_at_the_address_of_a_node_gets_no_command(redis_cluster: Cluster, redis_server: Server) -> None:
    """It would acknowledge what the cluster never sees."""
    with ClusterProxies(redis_cluster) as proxies:
        settings = proxies.settings(retry_attempts=0, timeout_seconds=1.0)
        proxy = proxies.of(redis_cluster.primary_of("k"))
        with connected(settings) as client:
            client.set("k", "mine")
            proxy.switch_to(redis_server)
            proxy.close_connections()
            with pytest.raises(UnreachableError), translated(settings):
                client.set("k", "lost")
        proxy.switch_to(redis_cluster.primary_of("k"))
        proxy.close_connections()
    with clients_of([redis_server]) as (direct,):
        assert 0 == direct.dbsize()
