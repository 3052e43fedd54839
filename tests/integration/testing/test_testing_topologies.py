# SPDX-License-Identifier: MIT
"""What can be done to a cluster and to Sentinel's servers, so that tests can watch clients meet it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import redis
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import ClusterProxies
from keyfleet.testing.servers import Cluster, SentinelGroup, Server, ServerStartError

pytestmark = pytest.mark.slow

KEYS = [f"k{number}" for number in range(200)]


@pytest.fixture
def cluster(redis_cluster: Cluster) -> Cluster:
    """The session's cluster with KEYS in it."""
    with closing(redis_cluster.client()) as client:
        for key in KEYS:
            client.set(key, key)
    redis_cluster.wait_until_in_sync()
    return redis_cluster


def values(cluster: Cluster) -> list[str]:
    """Return the values of KEYS as a new client reads them."""
    with closing(cluster.client()) as client:
        return [client.get(key).decode() for key in KEYS]


def plain(server: Server) -> redis.Redis:
    """Return redis-py's own client of one node, which follows no redirection."""
    return redis.Redis(host=server.host, port=server.port, decode_responses=True)


def refusal(client: redis.Redis, *command: str) -> str:
    """Return the server's error; newer versions of redis-py make a class of its first word."""
    with pytest.raises(redis.ResponseError) as caught:
        client.execute_command(*command)
    text, kind = str(caught.value), type(caught.value).__name__.removesuffix("Error").upper()
    return text if text.startswith(("ASK", "MOVED", "TRYAGAIN")) else f"{kind} {text}"


def test_the_primary_of_a_key_serves_it(cluster: Cluster) -> None:
    """The other primaries and its replica redirect; slots are counted as the server does, hash tags included."""
    for key in KEYS[:20]:
        primary = cluster.primary_of(key)
        with closing(plain(primary)) as client:
            assert key == client.get(key)
        others = [node for node in cluster.nodes if node is not primary]
        for node in others:
            with closing(plain(node)) as client:
                assert f"MOVED {cluster.slot_of(key)} {primary.host}:{primary.port}" == refusal(client, "GET", key)
    assert [12182, 12182] == [cluster.slot_of("foo"), cluster.slot_of("bar{foo}")]


def test_a_planned_failover_loses_nothing(cluster: Cluster) -> None:
    """A replica serves the key, the old primary is its replica, all nodes agree."""
    before = cluster.primary_of("k1")
    after = cluster.failover("k1")
    assert (after, [before]) == (cluster.primary_of("k1"), cluster.replicas_of(after))
    assert values(cluster) == KEYS


def test_a_killed_primary_is_followed_and_comes_back_as_a_replica(cluster: Cluster) -> None:
    """No node serves the key for a while; what was in sync is not lost."""
    victim = cluster.kill_primary("k1")
    assert not victim.is_running()
    with pytest.raises(ServerStartError, match=r"^no node that answers serves 'k1'$"):
        cluster.primary_of("k1")
    cluster.wait_until_in_sync()
    assert victim is not cluster.primary_of("k1")
    victim.start()
    cluster.wait_until_in_sync()
    assert [victim] == cluster.replicas_of(cluster.primary_of("k1"))
    assert values(cluster) == KEYS


def test_a_frozen_primary_is_followed(cluster: Cluster) -> None:
    """Its process still exists, its connections stay open, and a replica takes over."""
    frozen = cluster.primary_of("k1")
    frozen.pause()
    cluster.wait_until_in_sync()
    assert frozen is not cluster.primary_of("k1")
    frozen.resume()
    cluster.wait_until_in_sync()
    assert [frozen] == cluster.replicas_of(cluster.primary_of("k1"))


def test_slots_move_key_by_key(cluster: Cluster) -> None:
    """Keys that are gone and keys that never were: ASK; a half pair: TRYAGAIN; at the end: MOVED."""
    slot, source = cluster.slot_of("{tag}"), cluster.primary_of("{tag}")
    target = next(node for node in cluster.primaries() if node is not source)
    with closing(plain(source)) as old, closing(plain(target)) as new:
        old.mset({"{tag}1": "1", "{tag}2": "2"})
        steps = cluster.move_slots([slot], target)
        assert "open" == next(steps)
        assert ["1", "2"] == old.mget("{tag}1", "{tag}2")
        assert f"ASK {slot} {target.host}:{target.port}" == refusal(old, "GET", "{tag}missing")
        assert "key" == next(steps)
        assert refusal(old, "MGET", "{tag}1", "{tag}2").startswith("TRYAGAIN ")
        assert ["key", "closed"] == list(steps)
        assert f"MOVED {slot} {target.host}:{target.port}" == refusal(old, "GET", "{tag}1")
        assert ["1", "2"] == new.mget("{tag}1", "{tag}2")
    cluster.wait_until_in_sync()
    assert target is cluster.primary_of("{tag}")


def test_many_slots_move_under_a_client(cluster: Cluster) -> None:
    """Each step is followed by reads and writes, and none of them fails."""
    slots = sorted({cluster.slot_of(key) for key in KEYS})
    target = cluster.primaries()[0]
    with closing(cluster.client()) as client:
        counts = {"open": 0, "key": 0, "closed": 0}
        for number, step in enumerate(cluster.move_slots(slots, target)):
            counts[step] += 1
            key = KEYS[number % len(KEYS)]
            assert key == client.get(key).decode()
            client.set(key, key)
    assert counts["open"] == counts["closed"] > 100
    assert counts["key"] > 100
    cluster.wait_until_in_sync()
    assert {target} == {cluster.primary_of(key) for key in KEYS[:20]}
    assert values(cluster) == KEYS


def test_a_node_is_added_and_removed(redis_factory: RedisFactory) -> None:
    """An empty primary that takes slots, and a replica; no node knows a removed one any more."""
    cluster = redis_factory.cluster(shards=1, password="pw")
    second = cluster.add_node()
    assert ["open", "closed"] * 10 == list(cluster.move_slots(range(10), second))
    third = cluster.add_node(replica_of=second)
    assert ([third], 3) == (cluster.replicas_of(second), len(cluster.nodes))
    cluster.remove_node(third)
    with closing(cluster.nodes[0].client()) as client:
        assert b"cluster_known_nodes:2\r\n" in client.execute_command("CLUSTER", "INFO")
    assert (False, []) == (third.is_running(), cluster.replicas_of(second))


def test_all_nodes_are_replaced(redis_factory: RedisFactory) -> None:
    """None of the first addresses answers, all data is there, each shard has its replica."""
    cluster = redis_factory.cluster(replicas=1)
    with closing(cluster.client()) as client:
        for key in KEYS:
            client.set(key, key)
        before = list(cluster.nodes)
        cluster.replace_nodes()
        assert (set(), 6, 3) == (set(before) & set(cluster.nodes), len(cluster.nodes), len(cluster.primaries()))
        assert [1, 1, 1] == [len(cluster.replicas_of(primary)) for primary in cluster.primaries()]
        assert not any(node.is_running() for node in before)
    assert values(cluster) == KEYS


def test_sentinel_fails_over_and_takes_a_server_back(redis_sentinel: SentinelGroup) -> None:
    """On request, and after a kill; what was in sync is not lost."""
    first = redis_sentinel.primary()
    with closing(redis_sentinel.client()) as client:
        client.set("k", "v")
    second = redis_sentinel.failover()
    assert second is not first
    assert second is redis_sentinel.kill_primary()
    redis_sentinel.wait_until_in_sync()
    assert first is redis_sentinel.primary()
    second.start()
    redis_sentinel.wait_until_in_sync()
    with closing(second.client()) as client:
        assert ("slave", b"v") == (client.info("replication")["role"], client.get("k"))


def test_a_cluster_behind_proxies(cluster: Cluster) -> None:
    """Clients come through them, a fault meets one node, a failover and a redirection lead through them, and they go without a trace."""
    addresses = cluster.settings().cluster_nodes
    with ClusterProxies(cluster) as proxies, closing(proxies.client()) as client:
        assert [client.get(key).decode() for key in KEYS] == KEYS
        counts = [proxies.of(node).commands["GET"] for node in cluster.nodes]
        assert (len(KEYS), [0, 0, 0]) == (sum(counts), counts[3:])
        assert min(counts[:3]) > 0
        primary = cluster.primary_of("k1")
        fault = proxies.of(primary).lose_request("SET k1")
        with pytest.raises(redis.RedisError):
            client.set("k1", "lost")
        assert 1 == fault.hits
        with closing(plain(next(node for node in cluster.primaries() if node is not primary))) as other:
            proxy = proxies.of(primary)
            assert f"MOVED {cluster.slot_of('k1')} {proxy.host}:{proxy.port}" == refusal(other, "GET", "k1")
        replica = cluster.failover("k1")
        assert b"k1" == client.get("k1")
        assert proxies.of(replica).commands["GET"] > 0
    assert addresses == cluster.settings().cluster_nodes
    assert values(cluster) == KEYS
    with closing(plain(cluster.nodes[0])) as client:
        assert {node.port for node in cluster.nodes} == {
            node[1] for shard in client.execute_command("CLUSTER", "SLOTS") for node in shard[2:]
        }


def test_waiting_ends(redis_factory: RedisFactory, tmp_path: Path) -> None:
    """With what was waited for."""
    cluster = redis_factory.cluster(shards=2)
    cluster.nodes[1].kill()
    with pytest.raises(ServerStartError, match=r"^waited 0.1 s for the cluster's nodes to agree and be in sync$"):
        cluster.wait_until_in_sync(0.1)
    for node in cluster.nodes:
        node.kill()
    with pytest.raises(ServerStartError, match=r"^no node of the cluster runs$"):
        cluster.wait_until_in_sync()
