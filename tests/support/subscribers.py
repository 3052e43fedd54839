# SPDX-License-Identifier: MIT
"""What tests of subscriptions do to servers, and how they count what arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Union

from keyfleet import Client, Message, Reconnected, Subscription
from keyfleet.testing._replication import clients_of
from keyfleet.testing.servers import Cluster, SentinelGroup, Server

TIMEOUT_SECONDS = 20.0  # what does not come until then never does

Target = Union[Server, Cluster, SentinelGroup]


def running(target: Target) -> list[Server]:
    """Return the servers of *target* that run, without Sentinels."""
    servers = [target] if isinstance(target, Server) else target.nodes if isinstance(target, Cluster) else target.servers
    return [server for server in servers if server.is_running()]


def connections(target: Target) -> int:
    """Return how many subscribers the servers know, without the Sentinels, which are subscribers, too."""
    with clients_of(running(target)) as clients:
        known = [subscriber for client in clients for subscriber in client.client_list(_type="pubsub")]
    return sum(not subscriber["name"].startswith("sentinel-") for subscriber in known)


def kill_connections(target: Target) -> int:
    """Let the servers close the connection of every subscriber; return how many that were."""
    with clients_of(running(target)) as clients:
        return sum(client.client_kill_filter(_type="pubsub") for client in clients)


def expect(subscription: Subscription[Any], *data: str) -> None:
    """Take as many messages as *data* are, and compare."""
    found = [subscription.next(TIMEOUT_SECONDS) for _unused in data]
    assert list(data) == [event.data if isinstance(event, Message) else event for event in found]


def expect_no_more(client: Client, subscription: Subscription[Any], *channels: str, **how: Any) -> None:
    """Publish a last message to each channel and show that these come next: what was sent before would come before them."""
    for channel in channels:
        client.publish(channel, "the last", **how)
    expect(subscription, *["the last"] * len(channels))


def reconnection(subscription: Subscription[Any]) -> Reconnected:
    """Take the event of its reconnection."""
    event = subscription.next(TIMEOUT_SECONDS)
    assert isinstance(event, Reconnected), event
    return event


def twenty_with_a_break(client: Client, subscription: Subscription[str], channel: str, break_it: Callable[[], object], **how: Any) -> None:
    """Publish 20 messages one by one, break something before the eleventh, and show that this is the only one that may be missing."""
    events = []
    for number in range(20):
        if number == 10:
            break_it()
        client.within(TIMEOUT_SECONDS).publish(channel, number, **how)
        events.append(subscription.next(TIMEOUT_SECONDS))
    texts = [event.data for event in events if isinstance(event, Message)]
    gaps = [event for event in events if isinstance(event, Reconnected)]
    assert [str(number) for number in range(20) if number != 10] == texts
    assert [(channel,)] == [gap.channels for gap in gaps]
    expect_no_more(client.within(TIMEOUT_SECONDS), subscription, channel, **how)
