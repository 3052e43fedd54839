# SPDX-License-Identifier: MIT
"""Publish and subscribe on every kind of deployment, with both clients."""

from __future__ import annotations

import math
import os
import threading
from contextlib import closing
from typing import Any

import pytest
from keyfleet import Client, ClosedError, DecodeError, DeniedError, Message, OutcomeUnknown, Policy
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.servers import Server
from support.clients import OpenClient
from support.subscribers import connections, expect, expect_no_more, kill_connections, reconnection, twenty_with_a_break
from support.targets import Target

pytestmark = pytest.mark.floor


@pytest.fixture
def client(redis_server: Server, open_client: OpenClient) -> Client:
    """Client, then AsyncClient, of one server."""
    return open_client(redis_server.settings(key_prefix="app:"))


# On every deployment


def test_messages_arrive_with_channel_and_pattern(either: Client) -> None:
    """Channels by name, patterns, numbers and any text; a name has no key prefix."""
    with either.subscribe("news", "grün", patterns=["user.*", "n?ne"]) as subscription:
        sent: list[tuple[str, Any]] = [("news", "hello"), ("user.7", "ü"), ("other", "lost"), ("grün", 1.5), ("none", "")]
        for channel, data in sent:
            either.publish(channel, data)
        expected = [Message("news", "hello"), Message("user.7", "ü", "user.*"), Message("grün", "1.5"), Message("none", "", "n?ne")]
        found = [subscription.next(10) for _unused in expected]
        assert sorted(map(repr, expected)) == sorted(map(repr, found))  # on a cluster they come over different servers
        expect_no_more(either, subscription, "news", "user.7", "grün", "none")


def test_a_killed_connection_costs_one_message_and_says_so(target: Target, either: Client) -> None:
    """The one that was published while it was away."""
    with either.subscribe("news") as subscription:
        twenty_with_a_break(either, subscription, "news", lambda: kill_connections(target))
        assert 1 == connections(target)


def test_close_ends_iteration_and_leaves_no_connection(target: Target, either: Client) -> None:
    """While another task waits; closing twice is harmless."""
    with either.subscribe("news") as subscription:
        seen: list[Any] = []
        reader = threading.Thread(target=lambda: seen.extend(subscription))
        reader.start()
        either.publish("news", "last")
        wait_until(lambda: bool(seen), "the message to arrive")
        subscription.close()
        reader.join(10)
        assert (False, [Message("news", "last")]) == (reader.is_alive(), seen)
        wait_until(lambda: connections(target) == 0, "the server to see that the connection was closed")
        subscription.close()
        with pytest.raises(ClosedError, match=r"^the subscription was closed$"):
            subscription.next()


def test_two_subscriptions_are_two(target: Target, either: Client) -> None:
    """Each has its own connection and gets every message; ending one leaves the other."""
    with either.subscribe("a", "b") as first:
        with either.subscribe("b") as second:
            assert 2 == connections(target)
            either.publish("b", 1)
            expect(first, "1")
            expect(second, "1")
        wait_until(lambda: connections(target) == 1, "the server to see that the connection was closed")
        either.publish("a", 2)
        expect(first, "2")


# What is subscribed


def test_names_come_and_go_while_a_caller_waits(client: Client) -> None:
    """When add and remove return, the server has confirmed it."""
    with client.subscribe("a") as subscription:
        seen: list[Any] = []
        reader = threading.Thread(target=lambda: seen.extend(subscription))
        reader.start()
        for number in range(20):
            subscription.add("b", patterns=["p*"])
            assert [1, 1, 1] == [client.publish("a", 1), client.publish("b", 2), client.publish("pq", 3)]
            wait_until(lambda: len(seen) == 4 * number + 3, "the messages to arrive")  # noqa: B023 - it ends in this turn
            subscription.remove("b", "never", patterns=["p*"])
            assert [1, 0, 0] == [client.publish("a", 4), client.publish("b", 5), client.publish("pq", 6)]
        wait_until(lambda: len(seen) == 80, "all messages to arrive")
        subscription.close()
        reader.join(10)
    assert ["1", "2", "3", "4"] * 20 == [event.data for event in seen]


def test_several_may_wait_while_several_others_change(client: Client) -> None:
    """Each message goes to one waiting caller, and no caller is held up."""
    seen: list[Any] = []
    with client.subscribe("a") as subscription:
        readers = [threading.Thread(target=lambda: seen.extend(event.data for event in subscription)) for _unused in range(3)]

        def change(name: str) -> None:
            for number in range(30):
                subscription.add(name)
                client.publish("a", f"{name}{number}")
                subscription.remove(name)

        changers = [threading.Thread(target=change, args=(name,)) for name in "xyz"]
        for thread in [*readers, *changers]:
            thread.start()
        for thread in changers:
            thread.join(20)
        expected = sorted(f"{name}{number}" for name in "xyz" for number in range(30))
        wait_until(lambda: sorted(seen) == expected, "all messages to arrive, each once")
        subscription.close()
        for thread in readers:
            thread.join(10)
    assert [False] * 6 == [thread.is_alive() for thread in [*readers, *changers]]


def test_what_was_removed_is_not_returned_any_more(client: Client) -> None:
    """Although its message had arrived; and where no channel is left, the wait continues until one is added."""
    with client.subscribe("a", "b") as subscription:
        for channel in "abab":
            client.publish(channel, channel)
        expect(subscription, "a")
        subscription.add("c")  # what comes before its confirmation is taken from the connection
        client.publish("b", "b")
        subscription.remove("b")
        expect(subscription, "a")
        subscription.remove("a", "c")
        assert (None, 0) == (subscription.next(0), client.publish("a", 1))
        subscription.add("c")
        client.publish("c", 2)
        expect(subscription, "2")


def test_names_are_added_once(client: Client) -> None:
    """A channel that is there already stays one."""
    with client.subscribe("a", "a") as subscription:
        subscription.add("a")
        assert 1 == client.publish("a", 1)
        expect(subscription, "1")
        expect_no_more(client, subscription, "a")


def test_notifications_of_keys_can_be_subscribed(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """The server names their channels, so that the key in the name has its prefix."""
    client = open_client(redis_factory.server(directives={"notify-keyspace-events": "KEA"}).settings(key_prefix="app:"))
    with client.subscribe("__keyspace@0__:app:k", patterns=["__keyevent@0__:*"]) as subscription:
        client.set("k", "v")
        found = [subscription.next(10), subscription.next(10)]
        assert [Message("__keyspace@0__:app:k", "set"), Message("__keyevent@0__:set", "app:k", "__keyevent@0__:*")] == found


# Data


def test_bytes_are_returned_as_they_are(client: Client) -> None:
    """Where that is asked for."""
    with client.subscribe("a", as_bytes=True) as subscription:
        client.publish("a", b"\xff\r\n")
        assert Message("a", b"\xff\r\n") == subscription.next(10)


def test_what_is_no_text_is_an_error_and_the_next_one_follows(client: Client) -> None:
    """The error names the channel and not the data."""
    with client.subscribe("a") as subscription:
        client.publish("a", b"\xff")
        client.publish("a", "text")
        with pytest.raises(DecodeError, match=r"^channel 'a' holds a value that is not UTF-8 text$"):
            subscription.next(10)
        expect(subscription, "text")


def test_what_is_no_text_can_be_left_out(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Logged and counted."""
    with client.subscribe("a", undecodable="miss") as subscription:
        client.publish("a", b"\xff")
        client.publish("a", "text")
        expect(subscription, "text")
    assert (1, 1) == (client.stats.undecodable, len([line for line in caplog.messages if "channel 'a'" in line]))


def test_a_large_message_and_many_small_ones(client: Client) -> None:
    """In order and whole."""
    with client.subscribe("a") as subscription:
        client.publish("a", "x" * 3_000_000)
        for number in range(2000):
            client.publish("a", number)
        expect(subscription, "x" * 3_000_000, *map(str, range(2000)))


# Publishing


def test_publish_counts_who_hears_it(client: Client) -> None:
    """A message without receivers is no error."""
    assert 0 == client.publish("a", "x")
    with client.subscribe("a"), client.subscribe(patterns=["a*"]):
        assert 2 == client.publish("a", "x")


def test_a_message_is_not_published_twice(redis_server: Server, redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """A lost reply is reported to the caller."""
    proxy = redis_factory.proxy(redis_server)
    client = open_client(proxy.settings())
    direct = open_client(redis_server.settings())
    with direct.subscribe("a") as subscription:
        fault = proxy.lose_reply("PUBLISH")
        with pytest.raises(OutcomeUnknown):
            client.publish("a", "once")
        expect(subscription, "once")
        expect_no_more(direct, subscription, "a")
        assert 1 == fault.hits


# Waiting


def test_next_takes_what_is_there_and_does_not_wait(client: Client) -> None:
    """With a time of 0."""
    with client.subscribe("a") as subscription:
        assert subscription.next(0) is None
        client.publish("a", 1)
        found: list[Any] = []
        wait_until(lambda: found.append(subscription.next(0)) or found[-1] is not None, "the message to arrive")
        assert Message("a", "1") == found[-1]


def test_without_a_block_it_connects_with_the_first_call(redis_server: Server, client: Client) -> None:
    """And close is up to the caller."""
    with closing(client.subscribe("a")) as subscription:
        assert 0 == connections(redis_server)
        assert (None, 1) == (subscription.next(0), connections(redis_server))
        client.publish("a", 1)
        expect(subscription, "1")
    wait_until(lambda: connections(redis_server) == 0, "the server to see that the connection was closed")


def test_the_client_ends_its_subscriptions(redis_server: Server, open_client: OpenClient) -> None:
    """Those that wait come to the end."""
    client = open_client(redis_server.settings())
    subscription = client.subscribe("a").__enter__()
    seen: list[Any] = []
    reader = threading.Thread(target=lambda: seen.extend(subscription))
    reader.start()
    client.close()
    reader.join(10)
    assert (False, []) == (reader.is_alive(), seen)
    wait_until(lambda: connections(redis_server) == 0, "the server to see that the connection was closed")
    with pytest.raises(ClosedError):
        client.subscribe("a")


def test_it_needs_no_connection_of_the_pool(redis_server: Server, open_client: OpenClient) -> None:
    """Thirty subscriptions, and calls keep their one connection."""
    client = open_client(redis_server.settings(), Policy(max_connections=1))
    subscriptions = [client.subscribe("a").__enter__() for _unused in range(30)]
    assert (30, True, 30) == (client.publish("a", 1), client.set("k", "v"), connections(redis_server))
    for subscription in subscriptions:
        expect(subscription, "1")
        subscription.close()
    assert 1 == client.stats.connections


def test_a_fork_cannot_use_it(redis_server: Server) -> None:
    """The child gets the error that says so, and the parent's connection is unaffected."""
    with Client.from_settings(redis_server.settings()) as client, client.subscribe("a") as subscription:
        child = os.fork()
        if child == 0:
            try:
                subscription.next(0)
            except ClosedError:
                subscription.close()
                os._exit(7)
            os._exit(1)
        assert 7 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        client.publish("a", 1)
        expect(subscription, "1")


# What is refused


@pytest.mark.parametrize(
    ("channels", "options", "error", "text"),
    [
        ((), {}, ValueError, "there is neither a channel nor a pattern; give at least one"),
        (("",), {}, ValueError, "channel is empty; it must have at least one character"),
        ((["a", "b"],), {}, TypeError, r"channel is \['a', 'b'\]; it must be a text"),
        ((), {"patterns": "a*"}, TypeError, r"patterns is 'a\*'; give a list of texts"),
        (("a",), {"patterns": ["b"], "sharded": True}, ValueError, "patterns and sharded exclude each other; .*"),
        (("a",), {"ping_seconds": 0}, ValueError, "ping_seconds is 0; allowed are numbers above 0"),
        (("a",), {"ping_seconds": math.nan}, ValueError, "ping_seconds is nan; allowed are numbers above 0"),
        (("a",), {"give_up_seconds": -1}, ValueError, "give_up_seconds is -1; allowed are numbers above 0"),
        (("a",), {"undecodable": "skip"}, ValueError, "undecodable is 'skip'; allowed: raise, miss"),
    ],
)
def test_wrong_arguments_are_refused(client: Client, channels: Any, options: Any, error: type[Exception], text: str) -> None:
    """Before anything is connected."""
    with pytest.raises(error, match=f"^{text}$"):
        client.subscribe(*channels, **options)
    assert 0 == client.stats.connections_opened


def test_wrong_arguments_of_calls_are_refused(client: Client) -> None:
    """The subscription stays what it was."""
    with client.subscribe("a") as subscription:
        with pytest.raises(ValueError, match=r"^timeout_seconds is -1; allowed are 0 and above$"):
            subscription.next(-1)
        with pytest.raises(ValueError, match=r"^there is neither"):
            subscription.add()
        with pytest.raises(TypeError, match=r"^channel is 5"):
            subscription.remove(5)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"^channel is empty"):
            client.publish("", "x")
        client.publish("a", 1)
        expect(subscription, "1")


def test_a_channel_that_is_not_allowed_is_reported(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """At the beginning, when it is added, and when the permission is removed later; the others stay."""
    server = redis_factory.server(directives={"user": ["alice on >pw ~* +@all resetchannels &a &b"]})
    client = open_client(server.settings(username="alice", password="pw"))
    with pytest.raises(DeniedError, match="channel"):
        client.subscribe("a", "secret").__enter__()
    with client.subscribe("a") as subscription:
        with pytest.raises(DeniedError, match="channel"):
            subscription.add("b", "secret")
        assert [1, 0] == [client.publish("a", 1), client.publish("b", 2)]
        expect(subscription, "1")
        with closing(server.client()) as admin:
            admin.execute_command("ACL", "SETUSER", "alice", "resetchannels")
            with pytest.raises(DeniedError, match="channel"):
                subscription.next(10)
            admin.execute_command("ACL", "SETUSER", "alice", "allchannels")
        assert ("a",) == reconnection(subscription).channels
        client.publish("a", 3)
        expect(subscription, "3")


def test_a_gap_says_what_when_and_why(redis_server: Server, client: Client) -> None:
    """Everything that was subscribed over the connection, sorted."""
    with client.subscribe("b", "a", patterns=["p*"]) as subscription:
        kill_connections(redis_server)
        gap = reconnection(subscription)
    assert (("a", "b"), ("p*",), "the server closed the connection") == (gap.channels, gap.patterns, gap.reason)
