# SPDX-License-Identifier: MIT
"""Another server takes over: callers with ten seconds see no error, and what was replicated is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Union

import pytest
from keyfleet import Client, Policy
from keyfleet.testing._replication import clients_of
from keyfleet.testing._server import free_port, wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Cluster, SentinelGroup, Server
from support.clients import OpenBoth, OpenClient
from support.load import Load, Work

pytestmark = pytest.mark.slow

ON_EVERY_SERVER = True
BUDGET_SECONDS = 10.0
CLUSTER = {"cluster-node-timeout": 500}
Deployment = Union[Cluster, SentinelGroup]


def storing(client: Client, name: str) -> Work:
    """Return work that stores a new key each time and reads it back."""

    def work(number: int) -> object:
        client.set(f"{name}:{number}", number)
        return client.get(f"{name}:{number}")

    return work


def go_through(deployment: Deployment, open_both: OpenBoth, trouble: Callable[[], Server], end: Callable[[Server], None]) -> None:
    """
    Put threads and tasks to work, bring the *trouble*, wait until the deployment has healed, and judge.

    A write that was acknowledged before the replica was seen to hold everything must be there, and so must any that was begun after the
    failover. What was acknowledged in between may be lost: that is asynchronous replication, and no client can help it.
    """
    clients = open_both(deployment.settings(timeout_seconds=BUDGET_SECONDS, retry_delay_ms=10))
    names = [f"{kind}{number}" for kind in ("sync", "async") for number in range(6)]
    with Load([storing(clients[index // 6], name) for index, name in enumerate(names)]) as load:
        load.go_on()
        acknowledged = load.counts
        deployment.wait_until_in_sync()
        victim = trouble()
        load.go_on(1)  # each worker has met the failover
        deployment.wait_until_in_sync()
        after = load.counts
        end(victim)
        load.go_on()
    assert [] == load.errors
    for name, before, since, worker in zip(names, acknowledged, after, load.workers, strict=True):
        kept = [*worker.done[:before], *worker.done[since + 1 :]]  # the next one may have been on its way to the frozen primary
        found = clients[0].get_many([f"{name}:{number}" for number in kept])
        assert {f"{name}:{number}": str(number) for number in kept} == found


def leave(_victim: Server) -> None:
    """Let a dead server be dead."""


def test_a_cluster_primary_is_killed(redis_factory: RedisFactory, open_both: OpenBoth) -> None:
    """Its replica is promoted; keys of all shards are written and read meanwhile."""
    cluster = redis_factory.cluster(shards=3, replicas=1, directives=CLUSTER)
    go_through(cluster, open_both, lambda: cluster.kill_primary("k"), leave)


def test_a_cluster_primary_freezes(redis_factory: RedisFactory, open_both: OpenBoth) -> None:
    """Its connections stay open and unresponsive; once it runs again, it is a replica and reports that."""
    cluster = redis_factory.cluster(shards=3, replicas=1, directives=CLUSTER)
    go_through(cluster, open_both, lambda: pause(cluster.primary_of("k")), lambda victim: victim.resume())


def test_a_sentinel_primary_is_killed(redis_factory: RedisFactory, open_both: OpenBoth) -> None:
    """The Sentinels promote its replica."""
    group = redis_factory.sentinel(down_after_ms=500)
    go_through(group, open_both, group.kill_primary, leave)


def test_a_sentinel_primary_freezes(redis_factory: RedisFactory, open_both: OpenBoth) -> None:
    """Once it runs again, it believes to be the primary until a Sentinel demotes it; no write reaches it."""
    group = redis_factory.sentinel(down_after_ms=500)
    go_through(group, open_both, lambda: pause(group.primary()), lambda victim: victim.resume())


def test_threads_in_line_for_a_frozen_primary_move(redis_factory: RedisFactory) -> None:
    """Many threads share two connections: those in line for the frozen server go to the new one as soon as one of them has learned it."""
    group = redis_factory.sentinel(down_after_ms=500)
    settings = group.settings(timeout_seconds=BUDGET_SECONDS, retry_delay_ms=10)
    with Client.from_settings(settings, policy=Policy(max_connections=2)) as client:
        with Load([storing(client, f"thread{number}") for number in range(12)]) as load:
            load.go_on()
            victim = pause(group.primary())
            load.go_on(1)
            victim.resume()
        assert [] == load.errors


def pause(server: Server) -> Server:
    """Freeze *server* and return it."""
    server.pause()
    return server


def test_a_planned_failover(redis_factory: RedisFactory, open_both: OpenBoth) -> None:
    """Roles change while both servers live, and connections to the old primary stay open."""
    cluster = redis_factory.cluster(shards=1, replicas=1, directives=CLUSTER)
    go_through(cluster, open_both, lambda: cluster.failover("k"), leave)


GRACE_SECONDS = 0.2  # after a Sentinel has announced the new primary


def test_a_planned_failover_of_sentinel_loses_nothing_after_it_was_announced(redis_factory: RedisFactory, open_both: OpenBoth) -> None:
    """The old primary takes writes for seconds more, until a Sentinel demotes it; no client sends it any."""
    group = redis_factory.sentinel()
    clients = open_both(group.settings(timeout_seconds=BUDGET_SECONDS))
    acknowledged: list[dict[int, float]] = [{}, {}]

    def writing(index: int) -> Work:
        def work(number: int) -> None:
            clients[index].set(f"{index}:{number}", number)
            acknowledged[index][number] = time.monotonic()

        return work

    with ExitStack() as stack:
        sentinels = stack.enter_context(clients_of(group.sentinels))
        heard = sentinels[-1].pubsub(ignore_subscribe_messages=True)
        stack.callback(heard.close)
        heard.subscribe("+switch-master")
        heard.get_message(timeout=BUDGET_SECONDS)
        with Load([writing(0), writing(1)]) as load:
            load.go_on()
            sentinels[0].sentinel_failover(group.service)
            wait_until(lambda: heard.get_message(timeout=0.01) is not None, "the Sentinels to announce the new primary", 30.0)
            announced_at = time.monotonic()
            group.wait_until_in_sync()  # the old primary has lost what it took alone
            load.go_on()
    assert [] == load.errors
    for index, times in enumerate(acknowledged):
        found = clients[0].get_many([f"{index}:{number}" for number in times])
        lost = [at - announced_at for number, at in times.items() if f"{index}:{number}" not in found]
        assert all(late <= GRACE_SECONDS for late in lost), max(lost)
        assert len(lost) < len(times)


def test_dead_and_unresponsive_seeds_do_not_keep_a_client_from_starting(redis_cluster: Cluster, open_client: OpenClient) -> None:
    """The first addresses of the list are of no use; the last one knows the topology."""
    with FaultProxy(redis_cluster.nodes[0]) as silent:
        silent.black_hole()
        seeds = (("127.0.0.1", free_port("127.0.0.1")), (silent.host, silent.port), *redis_cluster.settings().cluster_nodes[2:3])
        client = open_client(redis_cluster.settings(cluster_nodes=seeds, timeout_seconds=BUDGET_SECONDS / 5))
        assert client.set_many({f"k{number}": number for number in range(30)})
        assert 1 == silent.total_connections
    primaries = redis_cluster.primaries()
    with clients_of(primaries) as nodes:
        assert 30 == sum(node.dbsize() for node in nodes)
