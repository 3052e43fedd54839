# SPDX-License-Identifier: MIT
"""A cluster that changes under load: slots move, nodes are replaced, a shard is dead; and replicas that read."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from keyfleet import Client, Key, Policy, UnreachableError
from keyfleet.testing._kept import Kept
from keyfleet.testing._replication import clients_of
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.servers import Cluster, SentinelGroup, Server, start_cluster
from support.clients import OpenBoth, OpenClient
from support.load import Load, Work, error_count

pytestmark = pytest.mark.slow

ON_EVERY_SERVER = "full"
BUDGET_SECONDS = 10.0
REPLICAS = Policy(read_from="replica")


@pytest.fixture(scope="module")
def kept_cluster(redis_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept[Cluster]]:
    """Three primaries without replicas, replaced when a test has changed them."""
    quick = {"cluster-node-timeout": 500, "cluster-require-full-coverage": "no"}
    kept = Kept(lambda folder: start_cluster(folder, engine=redis_engine, directives=quick), lambda: tmp_path_factory.mktemp("shards"))
    yield kept
    kept.stop()


@pytest.fixture
def shards(kept_cluster: Kept[Cluster]) -> Cluster:
    """Three primaries without replicas, empty."""
    return kept_cluster.fresh()


def counting(client: Client, keys: list[str], seed: int) -> Work:
    """Return work that adds to one of *keys*, drawn at random, and returns which."""
    draws = random.Random(seed)  # noqa: S311

    def work(_number: int) -> object:
        key = draws.choice(keys)
        client.incr(key)
        return key

    return work


def reading(client: Client, values: dict[str, str]) -> Work:
    """Return work that reads all of *values* in one call, and says whether they were right."""
    return lambda _number: values == client.get_many(list(values))


def reading_at_once(client: Client, values: dict[str, str]) -> Work:
    """Return work that reads all of *values*, which share a slot, in one command."""
    keys = [Key(key) for key in values]
    wanted = [value.encode() for value in values.values()]
    return lambda _number: wanted == client.execute("MGET", *keys)


def test_slots_that_move_under_load(shards: Cluster, open_both: OpenBoth) -> None:
    """
    MOVED, ASK and TRYAGAIN are met and followed: no error, no wrong value, no increment lost or doubled.

    Commands that name several keys of a slot meet TRYAGAIN when one of them has moved and the other has not.
    """
    clients = open_both(shards.settings(timeout_seconds=BUDGET_SECONDS, retry_delay_ms=1))
    counters = [f"{{{tag}}}n{number}" for tag in "abcd" for number in range(3)]
    values = {f"{{{tag}}}v{number}": str(number) for tag in "abcd" for number in range(20)}
    clients[0].set_many(values)
    works = [counting(client, counters, seed) for seed in range(3) for client in clients]
    works += [reading(client, values) for client in clients]
    works += [reading_at_once(client, {key: value for key, value in values.items() if key.startswith("{a}")}) for client in clients]
    with clients_of(shards.nodes) as nodes, Load(works) as load:
        load.go_on(5)
        for tag in "abcd":
            target = next(node for node in shards.nodes if node is not shards.primary_of(f"{{{tag}}}"))
            for number, step in enumerate(shards.move_slots([shards.slot_of(f"{{{tag}}}")], target)):
                if step != "key":
                    load.go_on(3)
                elif (tag, number) == ("a", 10):
                    wait_until(lambda: sum(error_count(node, "TRYAGAIN") for node in nodes) > 0, "half of a command's keys to have moved")
        load.go_on(5)
    assert [] == load.errors
    results = [result for worker in load.workers for result in worker.results]
    assert False not in results
    assert {key: str(results.count(key)) for key in counters} == clients[0].get_many(counters)
    with clients_of(shards.nodes) as nodes:
        assert all(sum(error_count(node, code) for node in nodes) for code in ("MOVED", "ASK", "TRYAGAIN"))


def test_a_script_follows_its_key(shards: Cluster, open_client: OpenClient) -> None:
    """A node that never saw the script gets its text, after ASK as well as after MOVED."""
    client = open_client(shards.settings(timeout_seconds=BUDGET_SECONDS))
    client.incr("n", ttl_seconds=100)
    target = next(node for node in shards.nodes if node is not shards.primary_of("n"))
    for step in shards.move_slots([shards.slot_of("n")], target):
        client.incr("n", ttl_seconds=100)
        assert step in ("open", "key", "closed")
    assert "4" == client.get("n")


def test_all_nodes_are_replaced(redis_factory: RedisFactory, open_both: OpenBoth) -> None:
    """One by one, until no seed address answers any more; the client's counters continue without a gap."""
    cluster = redis_factory.cluster(shards=3, replicas=0, directives={"cluster-node-timeout": 1000})
    clients = open_both(cluster.settings(timeout_seconds=BUDGET_SECONDS, retry_delay_ms=10))
    first = {(node.host, node.port) for node in cluster.nodes}
    keys = [f"n{number}" for number in range(6)]
    with Load([counting(client, keys, seed) for seed in range(2) for client in clients]) as load:
        load.go_on()
        cluster.replace_nodes()
        load.go_on()
    assert [] == load.errors
    assert first.isdisjoint((node.host, node.port) for node in cluster.nodes)
    results = [result for worker in load.workers for result in worker.results]
    assert {key: str(results.count(key)) for key in keys} == clients[0].get_many(keys)


def test_a_dead_shard_does_not_block_the_others(shards: Cluster, open_client: OpenClient) -> None:
    """Keys of the dead primary fail within the budget and then by the breaker; all others are served."""
    client = open_client(shards.settings(timeout_seconds=0.4, retry_delay_ms=10), Policy(breaker_failures=2))
    keys = [f"k{number}" for number in range(30)]
    assert client.set_many(dict.fromkeys(keys, "v"))
    victim = shards.primary_of("k0")
    dead = [key for key in keys if shards.primary_of(key) is victim]
    victim.kill()
    for key in dead[:3]:
        with pytest.raises(UnreachableError):
            client.get(key)
    assert 1 == client.stats.open_breakers
    alive = [key for key in keys if key not in dead]
    before = client.stats
    with Load([lambda number: client.get(alive[number % len(alive)])] * 4) as load:
        load.go_on(50)
    assert [] == load.errors
    assert before.failures == client.stats.failures


# Reading from replicas


def reads(server: Server) -> int:
    """Return how many GETs the server was asked."""
    with clients_of([server]) as (raw,):
        return int(raw.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"])


@pytest.mark.parametrize("topology", ["redis_cluster", "redis_sentinel"])
def test_replicas_serve_reads_if_asked(request: pytest.FixtureRequest, open_client: OpenClient, topology: str) -> None:
    """GETs reach replicas alone and writes reach primaries; by default replicas get none."""
    target: Cluster | SentinelGroup = request.getfixturevalue(topology)
    servers = target.nodes if isinstance(target, Cluster) else target.servers
    primaries = target.primaries() if isinstance(target, Cluster) else [target.primary()]
    keys = [f"k{number}" for number in range(30)]
    for policy in (REPLICAS, Policy()):
        client = open_client(target.settings(timeout_seconds=BUDGET_SECONDS), policy)
        client.set_many({key: key for key in keys})
        target.wait_until_in_sync()
        before = {server: reads(server) for server in servers}
        assert keys == [client.get(key) for key in keys]
        asked = {server for server in servers if reads(server) > before[server]}
        assert asked == (set(servers) - set(primaries) if policy is REPLICAS else set(primaries))


def test_reads_survive_the_loss_of_a_replica(redis_factory: RedisFactory, open_both: OpenBoth) -> None:
    """Other replicas or the primary serve them."""
    cluster = redis_factory.cluster(shards=1, replicas=2, directives={"cluster-node-timeout": 500})
    clients = open_both(cluster.settings(timeout_seconds=BUDGET_SECONDS, retry_delay_ms=10), REPLICAS)
    values = {f"v{number}": str(number) for number in range(10)}
    clients[0].set_many(values)
    cluster.wait_until_in_sync()
    replicas = cluster.replicas_of(cluster.nodes[0])
    with Load([reading(client, values) for client in clients for _unused in range(3)]) as load:
        for replica in replicas:
            load.go_on()
            replica.kill()
            load.go_on()
        wait_until(lambda: reads(cluster.nodes[0]) > 0, "the primary to serve reads")
    assert [] == load.errors
    assert {True} == {result for worker in load.workers for result in worker.results}
