# SPDX-License-Identifier: MIT
"""The proxy that fails on purpose: what it passes on is untouched, and a fault meets the command it names and no other."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
import redis
from keyfleet.core.connect.settings import Settings
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server

pytestmark = pytest.mark.slow

LONG_SECONDS = 20.0
DELAY_SECONDS = 0.4
# redis-py before 5 speaks RESP2 and has no such option.
PROTOCOLS = pytest.mark.parametrize("protocol", [{}] if redis.VERSION[0] < 5 else [{"protocol": 2}, {"protocol": 3}], ids=str)


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[FaultProxy]:
    """A proxy in front of the session's server."""
    with FaultProxy(redis_server) as proxy:
        yield proxy


@pytest.fixture
def direct(redis_server: Server) -> Iterator[redis.Redis]:
    """A client that does not go through the proxy."""
    with closing(plain(redis_server)) as client:
        yield client


def plain(target: Server | FaultProxy, **options: Any) -> redis.Redis:
    """Return redis-py's own client, without retries."""
    return redis.Redis(host=target.host, port=target.port, **{"retry": None, "socket_timeout": LONG_SECONDS, **options})


class Wire:
    """A bare connection: what is sent and what comes back, byte for byte."""

    def __init__(self, target: Server | FaultProxy) -> None:
        self.socket = socket.create_connection((target.host, target.port), LONG_SECONDS)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.socket.close()

    def send(self, *commands: str) -> None:
        """Send all *commands* in one write."""
        self.socket.sendall(b"".join(encode(command) for command in commands))

    def read(self, count: int) -> bytes:
        """Return the next *count* bytes, fewer if the connection ends before."""
        data = b""
        while len(data) < count and (more := self.socket.recv(count - len(data))):
            data += more
        return data

    def expect(self, reply: bytes) -> None:
        """Read as many bytes as *reply* has and assert that they are it."""
        assert reply == self.read(len(reply))

    def read_all(self) -> bytes:
        """Return what comes until the connection ends."""
        return self.read(1 << 30)

    def expect_nothing_more(self, proxy: FaultProxy) -> None:
        """Let the proxy end its connections, and assert that this one was open and brought nothing until then."""
        assert proxy.open_connections > 0
        proxy.close_connections()
        assert b"" == self.read_all()


def encode(command: str) -> bytes:
    """Return the command as a client sends it."""
    words = command.encode().split()
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


# What is passed on


@PROTOCOLS
def test_replies_of_all_kinds_pass_unchanged(proxy: FaultProxy, direct: redis.Redis, protocol: dict[str, int]) -> None:
    """Nested, empty, missing, large, errors and sets; one by one and in a pipeline."""
    large = bytes(range(256)) * 20_000
    with closing(plain(proxy, **protocol)) as client:
        client.mset({"text": "a\r\nb", "empty": "", "large": large})
        client.hset("hash", mapping={str(number): number for number in range(1000)})
        client.xadd("stream", {"field": "value"})
        client.sadd("set", "one")
        client.zadd("sorted", {"member": 1.5})
        assert [b"a\r\nb", b"", large, None] == client.mget("text", "empty", "large", "missing")
        assert direct.hgetall("hash") == client.hgetall("hash")
        assert len(client.xread({"stream": 0})) == 1
        assert {b"one"} == set(client.smembers("set"))
        assert 1.5 == client.zscore("sorted", "member")
        assert [[b"a\r\nb", [1, None, []]]] == client.eval("return {{redis.call('GET', KEYS[1]), {1, false, {}}}}", 1, "text")
        pipeline = client.pipeline(transaction=True)
        for number in range(500):
            pipeline.get("large" if number % 100 == 0 else "text").incr("text")
        replies = pipeline.execute(raise_on_error=False)
        assert (1000, 500) == (len(replies), sum(isinstance(reply, redis.ResponseError) for reply in replies))
        assert [large, b"a\r\nb"] == [replies[0], replies[2]]


@PROTOCOLS
def test_a_subscription_passes(proxy: FaultProxy, direct: redis.Redis, protocol: dict[str, int]) -> None:
    """What the server sends without being asked arrives, and the connection serves on."""
    with closing(plain(proxy, **protocol)) as client, client.pubsub(ignore_subscribe_messages=True) as messages:
        messages.subscribe("news")
        messages.get_message(timeout=LONG_SECONDS)
        for number in range(3):
            direct.publish("news", number)
        found: list[bytes] = []
        while len(found) < 3:
            message = messages.get_message(timeout=LONG_SECONDS)
            if message is not None:
                found.append(message["data"])
        assert [b"0", b"1", b"2"] == found


def test_tls_passes_unread(redis_factory: RedisFactory) -> None:
    """The certificate is the server's; commands are not seen, bytes can be cut."""
    proxy = redis_factory.proxy(redis_factory.server(tls=True, password="pw"))
    with closing(proxy.client()) as client:
        assert client.set("k", "v")
        assert b"v" == client.get("k")
    assert {} == proxy.commands
    proxy.cut_connections(after_bytes=100)
    with closing(plain(proxy, ssl=True, ssl_cert_reqs="none")) as client, pytest.raises(redis.ConnectionError):
        client.ping()
    proxy.heal()
    with closing(proxy.client()) as client:
        assert b"v" == client.get("k")


def test_what_is_no_command_reaches_the_server(proxy: FaultProxy) -> None:
    """Its complaint comes back, and so does the reply of an inline command."""
    with Wire(proxy) as wire:
        wire.socket.sendall(b"PING\r\n*x\r\n")
        assert b"+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n" == wire.read_all()


def test_a_reply_is_whole_when_the_server_closes_after_it(proxy: FaultProxy, direct: redis.Redis) -> None:
    """However slowly the client reads."""
    direct.set("large", b"x" * 20_000_000)
    with Wire(proxy) as wire:
        wire.send("GET large", "QUIT")
        wait_until(lambda: len(direct.client_list()) == 1, "the server to close the connection", timeout_seconds=60)
        assert 20_000_000 + len(b"$20000000\r\n\r\n+OK\r\n") == len(wire.read_all())


def test_threads_through_the_proxy_lose_nothing(proxy: FaultProxy, direct: redis.Redis) -> None:
    """Eight threads, 200 increments each."""

    def increment() -> None:
        with closing(plain(proxy)) as client:
            for _unused in range(200):
                client.incr("n")

    threads = [threading.Thread(target=increment) for _unused in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (b"1600", 1600) == (direct.get("n"), proxy.commands["INCRBY"])


# Counts


def test_commands_are_counted_by_name(proxy: FaultProxy) -> None:
    """In pieces, in a pipeline, inline and in any case."""
    with Wire(proxy) as wire:
        for byte in encode("get a"):
            wire.socket.sendall(bytes([byte]))
        wire.send("GET b", "set c 1", "GET c")
        wire.socket.sendall(b"ping\r\n")
        wire.expect(b"$-1\r\n$-1\r\n+OK\r\n$1\r\n1\r\n+PONG\r\n")
        assert {"GET": 3, "SET": 1, "PING": 1} == proxy.commands
        proxy.reset_counts()
        assert ({}, 1, 1) == (proxy.commands, proxy.total_connections, proxy.open_connections)


def test_connections_are_counted(proxy: FaultProxy) -> None:
    """Open now, at most, and ever."""
    with Wire(proxy) as first, Wire(proxy) as second:
        for wire in (first, second):
            wire.send("PING")
            wire.expect(b"+PONG\r\n")
        assert (2, 2, 2) == (proxy.open_connections, proxy.peak_connections, proxy.total_connections)
    wait_until(lambda: proxy.open_connections == 0, "the proxy to see that both are closed")
    with Wire(proxy) as third:
        third.send("PING")
        third.expect(b"+PONG\r\n")
        assert (1, 2, 3) == (proxy.open_connections, proxy.peak_connections, proxy.total_connections)


# Faults of one command


def test_a_lost_reply_of_a_command_that_ran(proxy: FaultProxy, direct: redis.Redis) -> None:
    """The second INCR of a pipeline: what was answered before arrives, all have run, the connection ends."""
    fault = proxy.lose_reply("incr", nth=2)
    with Wire(proxy) as wire:
        wire.send("INCR n", "SET k v", "INCR n", "INCR n")
        assert b":1\r\n+OK\r\n" == wire.read_all()
    wait_until(lambda: direct.get("n") == b"3", "all commands to have run")
    assert 1 == fault.hits
    with Wire(proxy) as wire:
        wire.send("INCR n")
        wire.expect(b":4\r\n")


def test_a_lost_reply_can_leave_the_connection_silent(proxy: FaultProxy, direct: redis.Redis) -> None:
    """Later commands run, and no later reply is taken for the lost one."""
    fault = proxy.lose_reply("INCR", silent=True)
    with Wire(proxy) as wire:
        wire.send("SET k v", "INCR n", "SET k w")
        wire.expect(b"+OK\r\n")
        wait_until(lambda: direct.get("k") == b"w", "the command after it to run")
        wire.send("INCR n")
        wait_until(lambda: direct.get("n") == b"2", "the later command to run")
        assert (1, 1) == (fault.hits, proxy.open_connections)
        wire.expect_nothing_more(proxy)


def test_a_lost_request_does_not_run(proxy: FaultProxy, direct: redis.Redis) -> None:
    """What came before is answered, what comes after is lost as well, the connection ends."""
    fault = proxy.lose_request("INCR n")
    with Wire(proxy) as wire:
        wire.send("INCR other", "INCR n", "SET k v")
        assert b":1\r\n" == wire.read_all()
    with Wire(proxy) as wire:
        wire.send("INCR n", "GET k")
        wire.expect(b":1\r\n$-1\r\n")
    assert (1, b"1") == (fault.hits, direct.get("n"))


def test_a_lost_request_can_leave_the_connection_silent(proxy: FaultProxy, direct: redis.Redis) -> None:
    """Nothing of this connection reaches the server any more."""
    fault = proxy.lose_request("INCR", silent=True)
    with Wire(proxy) as wire:
        wire.send("SET k v", "INCR n", "SET k w")
        wire.expect(b"+OK\r\n")
        wait_until(lambda: fault.hits == 1, "the request to be lost")
        wire.expect_nothing_more(proxy)
    assert (b"v", None) == (direct.get("k"), direct.get("n"))


@pytest.mark.parametrize("keep_bytes", [0, 1, 5, 12])
def test_a_reply_is_cut(proxy: FaultProxy, keep_bytes: int) -> None:
    """After exactly so many of its bytes."""
    proxy.cut_reply("GET", keep_bytes=keep_bytes)
    with Wire(proxy) as wire:
        wire.send("SET k 1234567", "GET k", "GET k")
        assert b"+OK\r\n" + b"$7\r\n1234567\r\n"[:keep_bytes] == wire.read_all()


def test_a_fault_holds_for_several_commands(proxy: FaultProxy, direct: redis.Redis) -> None:
    """The second, third and fourth of all connections together."""
    fault = proxy.lose_reply("INCRBY", nth=2, times=3)
    with closing(plain(proxy)) as client:
        for _unused in range(6):
            with suppress(redis.ConnectionError):
                client.incr("n")
    assert (3, b"6") == (fault.hits, direct.get("n"))


def test_a_fault_without_a_name_meets_any_command(proxy: FaultProxy) -> None:
    """The next one."""
    proxy.lose_reply()
    with Wire(proxy) as wire:
        wire.send("ECHO x")
        assert b"" == wire.read_all()


def test_a_fault_of_two_words_meets_no_other_command(proxy: FaultProxy) -> None:
    """CONFIG RESETSTAT is not CONFIG GET."""
    proxy.lose_request("config get")
    with Wire(proxy) as wire:
        wire.send("CONFIG RESETSTAT", "CONFIG GET port")
        assert b"+OK\r\n" == wire.read_all()


def test_heal_disarms(proxy: FaultProxy) -> None:
    """A fault that no command has met is forgotten."""
    fault = proxy.lose_reply("PING")
    proxy.heal()
    with Wire(proxy) as wire:
        wire.send("PING")
        wire.expect(b"+PONG\r\n")
    assert 0 == fault.hits


# Faults of everything


def test_refused_connections(proxy: FaultProxy) -> None:
    """New ones only, on a port that stays ours."""
    with Wire(proxy) as wire:
        for _unused in range(2):
            proxy.refuse()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((proxy.host, proxy.port), LONG_SECONDS)
            wire.send("PING")
            wire.expect(b"+PONG\r\n")
            proxy.heal()
            assert plain(proxy).ping()


def test_a_black_hole(proxy: FaultProxy, direct: redis.Redis) -> None:
    """Old and new connections stay open and unresponsive; nothing reaches the server."""
    with Wire(proxy) as old:
        old.send("PING")
        old.expect(b"+PONG\r\n")
        proxy.black_hole()
        with Wire(proxy) as new:
            for wire in (old, new):
                wire.send("SET k v")
            wait_until(lambda: proxy.open_connections == 2, "the proxy to take both connections")
            proxy.heal()
            assert plain(proxy).ping()
            new.expect_nothing_more(proxy)
            assert b"" == old.read_all()
    assert direct.get("k") is None
    assert plain(proxy).ping()


def test_delayed_replies_come_late_and_in_order(proxy: FaultProxy, direct: redis.Redis) -> None:
    """The client's timeout ends although the server did the work long ago."""
    proxy.delay_replies(DELAY_SECONDS)
    with Wire(proxy) as wire:
        begun = time.monotonic()
        wire.send("INCR n", "INCR n")
        wait_until(lambda: direct.get("n") == b"2", "the server to do the work")
        wire.expect(b":1\r\n:2\r\n")
        assert time.monotonic() - begun >= DELAY_SECONDS


def test_random_delays_follow_the_seed(redis_server: Server) -> None:
    """The same seed gives the same delays, another one gives others."""

    def draws(seed: int) -> list[float]:
        with FaultProxy(redis_server) as proxy:
            proxy.delay_replies(0.0, 0.002, seed=seed)
            with Wire(proxy) as wire:
                wire.send(*["PING"] * 5)
                assert b"+PONG\r\n" * 5 == wire.read(35)
            return [proxy._conditions.shape.next_delay() for _unused in range(3)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)


def test_dribbled_replies_arrive_in_pieces_and_whole(proxy: FaultProxy) -> None:
    """Byte by byte, and nothing is missing."""
    proxy.dribble_replies(0.002)
    pieces: list[bytes] = []
    with Wire(proxy) as wire:
        wire.send("ECHO abcdefghij")
        while sum(map(len, pieces)) < 17:
            pieces.append(wire.socket.recv(100))
    assert b"$10\r\nabcdefghij\r\n" == b"".join(pieces)
    assert len(pieces) > 3


def test_connections_are_cut_after_some_bytes(proxy: FaultProxy) -> None:
    """Each new one, counted over several replies; those that are open stay."""
    with Wire(proxy) as old:
        old.send("PING")
        old.expect(b"+PONG\r\n")
        proxy.cut_connections(after_bytes=10)
        with Wire(proxy) as new:
            new.send("PING", "PING")
            assert b"+PONG\r\n+PO" == new.read_all()
        old.send("PING", "PING")
        assert b"+PONG\r\n" * 2 == old.read(14)


def test_closed_connections_end_and_new_ones_work(proxy: FaultProxy) -> None:
    """All that are open."""
    with Wire(proxy) as first, Wire(proxy) as second:
        for wire in (first, second):
            wire.send("PING")
            wire.expect(b"+PONG\r\n")
        proxy.close_connections()
        assert [b"", b""] == [first.read_all(), second.read_all()]
        assert 0 == proxy.open_connections
    assert plain(proxy).ping()


def test_another_server_behind_the_same_address(proxy: FaultProxy, redis_factory: RedisFactory) -> None:
    """New connections go there; old ones stay until they are closed."""
    other = redis_factory.server()
    with closing(plain(other)) as client:
        client.set("who", "other")
    with Wire(proxy) as wire:
        wire.send("SET who first")
        wire.expect(b"+OK\r\n")
        proxy.switch_to(other)
        wire.send("GET who")
        wire.expect(b"$5\r\nfirst\r\n")
    with closing(plain(proxy)) as client:
        assert b"other" == client.get("who")


def test_a_dead_server_ends_the_connection(redis_factory: RedisFactory) -> None:
    """Open connections end, and new ones end immediately."""
    server = redis_factory.server()
    proxy = redis_factory.proxy(server)
    with Wire(proxy) as old:
        old.send("PING")
        old.expect(b"+PONG\r\n")
        server.kill()
        assert b"" == old.read_all()
        with Wire(proxy) as new:
            assert b"" == new.read_all()


# The proxy itself


def test_it_leaves_nothing_behind(redis_server: Server) -> None:
    """Not the thread, the port, or a connection, whatever state it was in."""
    before = threading.active_count()
    with FaultProxy(redis_server) as proxy, Wire(proxy) as wire:
        wire.send("PING")
        wire.expect(b"+PONG\r\n")
        proxy.delay_replies(LONG_SECONDS)
        wire.send("PING")
        proxy.stop()
        assert b"" == wire.read_all()
    assert before == threading.active_count()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((proxy.host, proxy.port))
    with pytest.raises(RuntimeError, match=r"^the proxy does not run"):
        proxy.heal()


def test_a_connection_that_comes_at_the_last_moment_is_closed(redis_server: Server) -> None:
    """It is taken in and ended before anything could be relayed."""
    for _round in range(20):
        proxy = FaultProxy(redis_server)
        proxy.start()
        waiting = [socket.create_connection((proxy.host, proxy.port)) for _number in range(5)]
        proxy.stop()
        for connection in waiting:
            with connection, suppress(ConnectionError):
                connection.settimeout(LONG_SECONDS)
                assert connection.recv(1) == b""
    gc.collect()  # a socket that was left open is a ResourceWarning, which fails the test


def test_settings_are_the_servers_with_another_address(redis_factory: RedisFactory) -> None:
    """Password and changes included."""
    proxy = redis_factory.proxy(redis_factory.server(password="pw"))
    settings = proxy.settings(timeout_seconds=1.5)
    assert (proxy.port, "pw", 1.5) == (settings.port, settings.password, settings.timeout_seconds)
    with closing(proxy.client()) as client:
        assert client.ping()


def test_bad_arguments_are_named(proxy: FaultProxy) -> None:
    """Value and what is allowed."""
    with pytest.raises(ValueError, match=r"^nth is 0; allowed are 1 and above$"):
        proxy.lose_reply("GET", nth=0)
    with pytest.raises(ValueError, match=r"^times is 0; allowed are 1 and above$"):
        proxy.lose_request("GET", times=0)
    with pytest.raises(ValueError, match=r"^keep_bytes is -1; allowed are 0 and above$"):
        proxy.cut_reply("GET", keep_bytes=-1)
    with pytest.raises(ValueError, match=r"^after_bytes is 0; allowed are 1 and above$"):
        proxy.cut_connections(after_bytes=0)
    with pytest.raises(ValueError, match="is not one server on TCP"):
        FaultProxy(Settings(unix_socket="/run/redis.sock"))
