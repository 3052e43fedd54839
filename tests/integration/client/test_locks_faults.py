# SPDX-License-Identifier: MIT
"""Locks when servers fail: every holder is known, and learns that it holds the lock no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from keyfleet import Client, LockLostError, OutcomeUnknown, Policy, ServerError, UnreachableError
from keyfleet.core.connect.client import close
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Server
from support.capabilities import full, modest_user, replicated
from support.clients import OpenBoth, OpenClient
from support.locks import KINDS
from support.targets import Target

ON_EVERY_SERVER = True
FOR_EVER = 1_000_000


@pytest.fixture
def raw(redis_server: Server) -> Iterator[Any]:
    """redis-py, past the proxy."""
    client = redis_server.client()
    yield client
    close(client)


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[FaultProxy]:
    """A proxy in front of the session's server."""
    with FaultProxy(redis_server) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy, open_client: OpenClient) -> Client:
    """A client through the proxy whose connection stands, and whose scripts the server knows."""
    client = open_client(proxy.settings(timeout_seconds=1.0, retry_delay_ms=10), Policy(breaker_failures=0))
    with client.lock("warm") as lock:
        lock.renew()
    return client


def holders(raw: Any) -> list[str]:
    """Return the tokens that hold the lock."""
    return KINDS["lock"].tokens(raw)


@pytest.mark.parametrize("silent", [False, True], ids=["closed", "unresponsive"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_acquire_whose_reply_was_lost_finds_its_own_token(client: Client, proxy: FaultProxy, raw: Any, kind: str, silent: bool) -> None:
    """It says True, and there is one holder, who can release."""
    fault = proxy.lose_reply("EVALSHA", silent=silent)
    lock = KINDS[kind].make(client)
    assert lock.acquire(timeout_seconds=0) is True
    assert (1, 1) == (fault.hits, len(KINDS[kind].tokens(raw)))
    lock.release()
    assert [] == KINDS[kind].tokens(raw)


@pytest.mark.parametrize("silent", [False, True], ids=["closed", "unresponsive"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_release_whose_reply_was_lost_is_a_release(client: Client, proxy: FaultProxy, raw: Any, kind: str, silent: bool) -> None:
    """The second attempt finds nothing to release, which is no loss."""
    lock = KINDS[kind].make(client)
    lock.acquire()
    fault = proxy.lose_reply("EVALSHA", silent=silent)
    lock.release()
    assert (1, []) == (fault.hits, KINDS[kind].tokens(raw))


def test_an_acquire_that_never_gets_a_reply_leaves_no_lock(client: Client, proxy: FaultProxy, raw: Any) -> None:
    """The caller gets the error, and what was acquired is given back as soon as that can be said; else it ends with the lease."""
    proxy.lose_reply("EVALSHA", times=2)
    lock = client.within(0.3).lock("a", 1.0)
    proxy.lose_reply("EVALSHA", times=FOR_EVER)
    with pytest.raises(OutcomeUnknown):
        lock.acquire(timeout_seconds=0)
    proxy.heal()
    assert not lock.is_held
    assert client.lock("a").acquire(timeout_seconds=20)


def test_a_waiter_whose_connection_is_cut_gets_the_lock_in_its_turn(client: Client, proxy: FaultProxy, raw: Any) -> None:
    """Also when the word that it has the lock is lost."""
    holder, got = client.lock("a"), []
    holder.acquire()
    fault = proxy.lose_reply("BLPOP")
    thread = threading.Thread(target=lambda: got.append(client.lock("a").acquire(timeout_seconds=20)))
    thread.start()
    wait_until(lambda: proxy.commands["BLPOP"] > 0, "the thread waits")
    holder.release()
    thread.join(30)
    assert ([True], 1) == (got, fault.hits)
    assert 1 == len(holders(raw))


def test_a_releaser_that_dies_before_the_word_holds_up_no_one_for_long(client: Client, raw: Any, proxy: FaultProxy) -> None:
    """The next one has the lock already, and asks."""
    holder, got = client.lock("a"), []
    holder.acquire()
    thread = threading.Thread(target=lambda: got.append(client.lock("a").acquire(timeout_seconds=20)))
    thread.start()
    wait_until(lambda: any(name.startswith(b"w:") for name in raw.hkeys("lock:{a}")), "the thread is in the queue")
    token = holders(raw)[0]
    raw.hdel("lock:{a}", token)  # released, and no word sent
    thread.join(30)
    assert [True] == got


def test_a_server_that_is_down_ends_the_lease_here_first(client: Client, proxy: FaultProxy, raw: Any) -> None:
    """The holder gets an error before another caller can have the lock: the lease counts from before it was asked for."""
    reported: list[list[str]] = []
    lock = client.lock("a", 1.0, on_lost=lambda _lock: reported.append(holders(raw)))
    lock.acquire()
    proxy.refuse()
    proxy.close_connections()
    wait_until(lambda: bool(reported), "the callback")
    with pytest.raises(LockLostError):
        lock.assert_held()
    with pytest.raises(UnreachableError):
        client.within(0.2).lock("b").acquire()
    proxy.heal()


def test_a_short_outage_loses_nothing(client: Client, proxy: FaultProxy) -> None:
    """Renewing is tried again until the lease ends."""
    lock = client.lock("a", 3.0)
    lock.acquire()
    fault = proxy.lose_request("EVALSHA", times=2)
    wait_until(lambda: fault.hits == 2, "the renewal")
    wait_until(lambda: client.stats.retries > 0, "the next attempt")
    lock.renew()
    assert lock.is_held
    lock.release()


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_server_renews_and_releases(redis_server: Server, raw: Any, open_client: OpenClient, kind: str) -> None:
    """What is new is refused with an error; who has a lock keeps it and can give it back."""
    client = open_client(redis_server.settings())
    lock, got = KINDS[kind].make(client, ttl_seconds=0.6), []
    lock.acquire()

    def wait() -> None:
        try:
            got.append(KINDS[kind].rival(client).acquire(timeout_seconds=20))
        except ServerError as error:  # it asked while the server was full
            got.append("OOM" in str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: any(name.startswith(b"w:") for name in raw.hkeys(KINDS[kind].key)), "the thread is in the queue")
    with full(redis_server):
        lock.renew()
        with pytest.raises(ServerError, match="OOM"):
            client.lock("b").acquire(timeout_seconds=0)
        assert lock.is_held
        lock.release()
    thread.join(30)
    assert [True] == got


def test_a_user_with_few_rights_is_enough(target: Target, open_client: OpenClient) -> None:
    """On every topology; waiting, too."""
    with modest_user(target) as rights:
        client = open_client(target.settings(**rights))
        client.wait_until_ready(5.0)
        with client.lock("a") as lock:
            lock.renew()
            assert not client.lock("a").acquire(timeout_seconds=0.1)
        with client.semaphore("a", 2), client.semaphore("a", 2), client.read_lock("a"), client.read_lock("a"):
            assert not client.write_lock("a").acquire(timeout_seconds=0)


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["sentinel", "cluster"])
def test_a_failover_keeps_a_lock_that_was_replicated(redis_factory: RedisFactory, open_both: OpenBoth, topology: Any) -> None:
    """Of each kind: the holder renews at the new primary, the numbers rise further, and waiting callers see no error."""
    target = replicated(redis_factory, topology)
    clients = open_both(target.settings(timeout_seconds=15.0, retry_delay_ms=10))
    held = {kind: it.make(clients[0], ttl_seconds=30.0) for kind, it in KINDS.items() if kind != "write_lock"}
    for lock in held.values():
        lock.acquire()
    before = {kind: lock.fence for kind, lock in held.items()}
    later = {kind: [KINDS[kind].rival(client) for client in clients] for kind in held}
    got: dict[str, list[bool]] = {kind: [] for kind in held}
    threads = [
        [threading.Thread(target=lambda kind=kind, lock=lock: got[kind].append(lock.acquire(timeout_seconds=60))) for lock in locks]
        for kind, locks in later.items()
    ]
    target.wait_until_in_sync()
    for early, _late in threads:
        early.start()
    target.kill_primary(*(["lock:{a}"] if topology == "cluster" else []))
    for _early, late in threads:
        late.start()
    for kind, lock in held.items():
        lock.renew()
        assert lock.is_held, kind
        assert not any(rival.is_held for rival in later[kind]), kind
        lock.release()
        wait_until(lambda kind=kind: len(got[kind]) == 1, "one of those who wait", 60)
        first = next(rival for rival in later[kind] if rival.is_held)
        assert first.fence > before[kind]
        first.release()
    for thread in [it for pair in threads for it in pair]:
        thread.join(60)
    assert {kind: [True, True] for kind in held} == got
