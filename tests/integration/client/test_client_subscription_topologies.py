# SPDX-License-Identifier: MIT
"""Subscriptions where several servers serve: sharded channels, slots that move, primaries that die, Sentinel."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from keyfleet import Client, Message, ServerError, UnreachableError
from keyfleet.testing._replication import clients_of
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.servers import Cluster, SentinelGroup, Server
from support.clients import OpenBoth, OpenClient
from support.subscribers import (
    TIMEOUT_SECONDS,
    connections,
    expect,
    expect_no_more,
    kill_connections,
    reconnection,
    running,
    twenty_with_a_break,
)

pytestmark = pytest.mark.slow

ON_EVERY_SERVER = "full"
CHANNELS = ("a", "b", "c", "d", "e", "f")  # of six slots; each of three primaries has some


@pytest.fixture
def client(redis_cluster: Cluster, open_client: OpenClient) -> Client:
    """Client, then AsyncClient, of a cluster."""
    return open_client(redis_cluster.settings(timeout_seconds=5.0))


def found_in_any_order(subscription: Any, count: int) -> list[str]:
    """Take *count* messages."""
    events = [subscription.next(TIMEOUT_SECONDS) for _unused in range(count)]
    assert all(isinstance(event, Message) for event in events), events
    return sorted(event.data for event in events)


def other_primary(cluster: Cluster, channel: str) -> Server:
    """Return a primary that does not serve the slot of *channel*."""
    return next(node for node in cluster.primaries() if node is not cluster.primary_of(channel))


# Sharded channels


def test_sharded_channels_are_heard_from_every_node(redis_cluster: Cluster, client: Client) -> None:
    """One connection to each primary; a channel that is not sharded is another one."""
    with client.subscribe(*CHANNELS, sharded=True) as subscription:
        assert 3 == connections(redis_cluster)
        assert [1] * 6 == [client.publish(channel, channel, sharded=True) for channel in CHANNELS]
        assert 0 == client.publish("a", "not sharded")
        assert list(CHANNELS) == found_in_any_order(subscription, 6)
        subscription.remove("b", "c")
        subscription.add("g")
        assert [1, 0, 1] == [client.publish(channel, channel, sharded=True) for channel in ("a", "b", "g")]
        assert ["a", "g"] == found_in_any_order(subscription, 2)
        expect_no_more(client, subscription, *"adefg", sharded=True)


def test_a_killed_connection_of_a_sharded_channel_costs_one_message(redis_cluster: Cluster, client: Client) -> None:
    """Like one that is not sharded."""
    with client.subscribe("news", sharded=True) as subscription:
        twenty_with_a_break(client, subscription, "news", lambda: kill_connections(redis_cluster), sharded=True)
        assert 1 == connections(redis_cluster)


def test_who_was_away_loses_no_connection(redis_cluster: Cluster, open_client: OpenClient) -> None:
    """An unread heartbeat still counts as one, also while messages of another server are read."""
    client = open_client(redis_cluster.settings(timeout_seconds=0.3))
    with client.subscribe(*CHANNELS, sharded=True, ping_seconds=0.1) as subscription:
        for _unused in range(5):
            threading.Event().wait(0.15)
            assert subscription.next(0) is None  # requests heartbeats, which arrive unread
            threading.Event().wait(0.4)
            client.publish("a", 1, sharded=True)
            expect(subscription, "1")


def test_each_connection_that_is_killed_reports_its_channels(redis_cluster: Cluster, client: Client) -> None:
    """All of them together are all channels, each once."""
    with client.subscribe(*CHANNELS, sharded=True) as subscription:
        assert 3 == kill_connections(redis_cluster)
        gaps = [reconnection(subscription) for _unused in range(3)]
        assert list(CHANNELS) == sorted(channel for gap in gaps for channel in gap.channels)
        assert [1] * 6 == [client.publish(channel, channel, sharded=True) for channel in CHANNELS]
        assert list(CHANNELS) == found_in_any_order(subscription, 6)


def test_a_slot_that_moves_takes_its_channel_along(redis_cluster: Cluster, client: Client) -> None:
    """There and back; the others of its old server stay, and only the one that moved reports a gap."""
    with client.subscribe(*CHANNELS, sharded=True) as subscription:
        for target in (other_primary(redis_cluster, "a"), redis_cluster.primary_of("a")):
            assert ["closed"] == [step for step in redis_cluster.move_slots([redis_cluster.slot_of("a")], target) if step == "closed"]
            gap = reconnection(subscription)
            assert (("a",), ()) == (gap.channels, gap.patterns)
            assert [1] * 6 == [client.publish(channel, channel, sharded=True) for channel in CHANNELS]
            assert list(CHANNELS) == found_in_any_order(subscription, 6)


def test_who_knows_old_slots_is_led_to_the_new_ones(redis_cluster: Cluster, open_client: OpenClient) -> None:
    """By -MOVED, without a gap: nothing was subscribed yet."""
    client = open_client(redis_cluster.settings())
    client.ping()
    moving = redis_cluster.move_slots([redis_cluster.slot_of("a")], other_primary(redis_cluster, "a"))
    assert "closed" == list(moving)[-1]
    with client.subscribe("a", sharded=True) as subscription:
        assert 1 == client.publish("a", 1, sharded=True)
        expect(subscription, "1")
        subscription.remove("a")
        assert 0 == client.publish("a", 2, sharded=True)


def test_a_failover_on_purpose_keeps_sharded_channels(redis_cluster: Cluster, client: Client) -> None:
    """The former primary still delivers, or the gap is reported."""
    with client.subscribe("news", sharded=True) as subscription:
        redis_cluster.failover("news")
        client.publish("news", 1, sharded=True)
        event = subscription.next(TIMEOUT_SECONDS)
        if not isinstance(event, Message):
            client.publish("news", 1, sharded=True)
            event = subscription.next(TIMEOUT_SECONDS)
        assert Message("news", "1") == event


def test_sharded_channels_work_on_one_server(redis_server: Server, open_client: OpenClient) -> None:
    """They are channels of their own there, too."""
    client = open_client(redis_server.settings())
    with client.subscribe("a", sharded=True) as subscription, client.subscribe("a") as other:
        assert [1, 1] == [client.publish("a", 1, sharded=True), client.publish("a", 2)]
        expect(subscription, "1")
        expect(other, "2")


# Channels that are not sharded


def test_a_message_is_heard_whichever_node_takes_it(redis_cluster: Cluster, client: Client) -> None:
    """The nodes forward it to each other; it arrives once."""
    with client.subscribe("news", patterns=["n*"]) as subscription:
        with clients_of(redis_cluster.nodes) as nodes:
            for number, node in enumerate(nodes):
                node.publish("news", number)
            assert sorted([*"012345"] * 2) == found_in_any_order(subscription, 12)
            for node in nodes:
                node.publish("news", "the last")
        assert (["the last"] * 12, 1) == (found_in_any_order(subscription, 12), connections(redis_cluster))


def test_subscriptions_spread_over_the_nodes(redis_cluster: Cluster, client: Client) -> None:
    """By their first channel, so that publisher and subscriber meet at one node."""
    subscriptions = [client.subscribe(channel).__enter__() for channel in CHANNELS]
    with clients_of(redis_cluster.primaries()) as nodes:
        assert all(node.client_list(_type="pubsub") for node in nodes)
    assert [1] * 6 == [client.publish(channel, channel) for channel in CHANNELS]
    for channel, subscription in zip(CHANNELS, subscriptions, strict=True):
        expect(subscription, channel)


def test_notifications_come_from_every_primary(redis_cluster: Cluster, client: Client) -> None:
    """Each reports its own keys only; a message of an ordinary channel arrives once."""
    with clients_of(redis_cluster.nodes) as nodes:
        for node in nodes:
            node.config_set("notify-keyspace-events", "K$")
    with client.subscribe("news", patterns=["__keyspace@0__:*"]) as subscription:
        assert 3 == connections(redis_cluster)
        for key in CHANNELS:
            client.set(key, "v")
        events = [subscription.next(TIMEOUT_SECONDS) for _unused in CHANNELS]
        expected = [Message(f"__keyspace@0__:{key}", "set", "__keyspace@0__:*") for key in CHANNELS]
        assert sorted(map(repr, expected)) == sorted(map(repr, events))
        client.publish("news", 1)
        expect(subscription, "1")
        assert 3 == kill_connections(redis_cluster)
        gaps = [reconnection(subscription), reconnection(subscription)]
        assert [(("news",), ()), ((), ("__keyspace@0__:*",))] == [(gap.channels, gap.patterns) for gap in gaps]
        assert 3 == connections(redis_cluster)
        subscription.remove(patterns=["__keyspace@0__:*"])
        wait_until(lambda: connections(redis_cluster) == 1, "the servers to see that the connections were closed")


def test_a_primary_that_joins_is_asked_for_notifications(redis_cluster: Cluster, open_both: OpenBoth) -> None:
    """Although the client makes no call that could reveal it."""
    subscriptions = [
        client.subscribe("__keyspace@0__:a", ping_seconds=0.2).__enter__()
        for client in open_both(redis_cluster.settings(timeout_seconds=5.0))
    ]
    added = redis_cluster.add_node()
    with clients_of([added]) as clients:
        clients[0].config_set("notify-keyspace-events", "K$")
        assert "closed" == list(redis_cluster.move_slots([redis_cluster.slot_of("a")], added))[-1]
        while len(clients[0].client_list(_type="pubsub")) < 2:
            assert [None, None] == [subscription.next(0.1) for subscription in subscriptions]  # they learn of it while they wait
        clients[0].set("a", 1)
    for subscription in subscriptions:
        expect(subscription, "set")


# Primaries that die


def test_another_node_stands_in_for_a_dead_one(redis_factory: RedisFactory, open_both: OpenBoth) -> None:
    """Although its slots have no owner any more: every node delivers channels that are not sharded."""
    cluster = redis_factory.cluster()
    clients = open_both(cluster.settings())
    subscriptions = [client.subscribe("news").__enter__() for client in clients]
    cluster.kill_primary("news")
    for subscription in subscriptions:
        assert ("news",) == reconnection(subscription).channels
    with clients_of(running(cluster)[:1]) as nodes:
        nodes[0].publish("news", 1)
    for subscription in subscriptions:
        expect(subscription, "1")


@pytest.mark.parametrize("sharded", [False, True], ids=["plain", "sharded"])
def test_a_dead_primary_of_a_cluster_costs_one_message(redis_cluster: Cluster, open_both: OpenBoth, sharded: bool) -> None:
    """Whoever publishes waits for the failover, and so does a sharded channel."""
    first, second = open_both(redis_cluster.settings())
    with first.subscribe("news", sharded=sharded) as subscription, second.subscribe("news", sharded=sharded) as other:
        twenty_with_a_break(first, subscription, "news", lambda: redis_cluster.kill_primary("news"), sharded=sharded)
        events = [other.next(TIMEOUT_SECONDS) for _unused in range(11)]
        assert [*map(str, range(10)), ("news",)] == [event.data if isinstance(event, Message) else event.channels for event in events]
        first.publish("news", "both", sharded=sharded)
        expect(subscription, "both")
        expect(other, "both")


def test_a_dead_primary_behind_sentinel_costs_one_message(redis_sentinel: SentinelGroup, open_both: OpenBoth) -> None:
    """The subscription follows to the one that Sentinel names."""
    first, second = open_both(redis_sentinel.settings())
    with first.subscribe("news") as subscription, second.subscribe("news") as other:
        twenty_with_a_break(first, subscription, "news", redis_sentinel.kill_primary)
        expect(other, *map(str, range(10)))
        assert ("news",) == reconnection(other).channels
        first.publish("news", "both")
        expect(subscription, "both")
        expect(other, "both")


def test_a_failover_on_purpose_is_followed(redis_sentinel: SentinelGroup, open_both: OpenBoth) -> None:
    """Sentinel closes the connections to the old primary, which stays as a replica."""
    clients = open_both(redis_sentinel.settings(timeout_seconds=5.0))
    subscriptions = [client.subscribe("news").__enter__() for client in clients]
    redis_sentinel.failover()
    for subscription in subscriptions:
        assert ("news",) == reconnection(subscription).channels
    assert 2 == clients[0].publish("news", 1)
    for subscription in subscriptions:
        expect(subscription, "1")


def test_a_frozen_primary_behind_sentinel_is_left(redis_sentinel: SentinelGroup, open_both: OpenBoth) -> None:
    """Its connections stay open and are silent, while another server takes over."""
    clients = open_both(redis_sentinel.settings(timeout_seconds=1.0))
    subscriptions = [client.subscribe("news", ping_seconds=0.2).__enter__() for client in clients]
    redis_sentinel.primary().pause()
    for subscription in subscriptions:
        assert ("news",) == reconnection(subscription).channels
    assert 2 == clients[0].publish("news", 1)
    for subscription in subscriptions:
        expect(subscription, "1")


def test_a_cluster_that_is_gone_is_unreachable_and_comes_back(redis_cluster: Cluster, open_client: OpenClient) -> None:
    """All of it; the connections of all its nodes are found again."""
    client = open_client(redis_cluster.settings(timeout_seconds=1.0))
    with client.subscribe(*CHANNELS, sharded=True) as subscription:
        for node in running(redis_cluster):
            node.kill()
        assert subscription.next(0.5) is None
        with pytest.raises(UnreachableError):
            subscription.add("g")
        for node in redis_cluster.nodes:
            node.start()
        redis_cluster.wait_until_in_sync()
        channels: list[str] = []
        while len(channels) < len(CHANNELS):
            channels += reconnection(subscription).channels
        assert list(CHANNELS) == sorted(channels)
        assert [1] * 6 == [client.publish(channel, channel, sharded=True) for channel in CHANNELS]
        assert list(CHANNELS) == found_in_any_order(subscription, 6)


def test_a_node_named_as_a_single_server_serves_its_own_sharded_channels_only(redis_cluster: Cluster, open_client: OpenClient) -> None:
    """The error says what to name instead."""
    node = redis_cluster.primary_of("a")
    client = open_client(node.settings())
    with client.subscribe("a", sharded=True):
        pass
    foreign = next(channel for channel in CHANNELS if redis_cluster.primary_of(channel) is not node)
    with pytest.raises(ServerError, match="is one node of a cluster"):
        client.subscribe(foreign, sharded=True).__enter__()
