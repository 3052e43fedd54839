# SPDX-License-Identifier: MIT
"""Locks: one holder at a time, in the order of asking, with numbers that rise."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from keyfleet import AsyncClient, Client, LockLostError, LockTimeoutError, Policy, RefusedError
from keyfleet._capabilities import locks as policy
from keyfleet.core.connect.client import close
from keyfleet.testing._server import wait_until
from keyfleet.testing.servers import Server
from support.clients import OpenClient
from support.locks import KINDS

ON_MANAGED_SERVICES = True

ON_EVERY_SERVER = True


@pytest.fixture
def raw(redis_server: Server) -> Iterator[Any]:
    """redis-py."""
    client = redis_server.client()
    yield client
    close(client)


def fields(raw: Any, key: str = "lock:{a}") -> list[str]:
    """Return who holds the lock, waits for it or gave it up, as h, w and d."""
    return sorted(name.decode()[0] for name in raw.hkeys(key) if b":" in name)


@pytest.mark.parametrize("kind", KINDS)
def test_one_holder_at_a_time(either: Client, kind: str) -> None:
    """Who comes second does not get it; the numbers rise."""
    first, second = KINDS[kind].make(either), KINDS[kind].rival(either)
    assert first.acquire() is True
    assert (True, False) == (first.is_held, second.acquire(timeout_seconds=0))
    before = first.fence
    first.release()
    assert second.acquire(timeout_seconds=0) is True
    assert second.fence > before
    second.release()
    assert (False, False) == (first.is_held, second.is_held)


def test_a_block_releases_and_a_block_that_waits_too_long_raises(either: Client) -> None:
    """With the error of the block, if it has one."""
    with either.lock("a") as lock:
        lock.assert_held()
        with pytest.raises(LockTimeoutError, match=r"the lock 'a' was not free within 0\.1 s"), either.lock("a", timeout_seconds=0.1):
            pytest.fail("held twice")
    with pytest.raises(KeyError), either.lock("a", timeout_seconds=1):
        raise KeyError
    assert either.lock("a").acquire(timeout_seconds=0)


def test_other_names_and_kinds_are_apart(either: Client) -> None:
    """Each has a key of its own."""
    held = [either.lock("a"), either.lock("{a}"), either.lock("b"), either.semaphore("a", 1), either.write_lock("a")]
    assert [True] * 5 == [lock.acquire(timeout_seconds=0) for lock in held]
    for lock in held:
        lock.release()


def test_a_semaphore_has_as_many_holders_as_it_says(either: Client) -> None:
    """The next one waits."""
    held = [either.semaphore("a", 3) for _unused in range(4)]
    assert [True, True, True, False] == [lock.acquire(timeout_seconds=0) for lock in held]
    assert len({lock.fence for lock in held[:3]}) == 3
    held[1].release()
    assert held[3].acquire(timeout_seconds=0)


def test_readers_share_and_a_writer_is_alone(either: Client) -> None:
    """In both directions."""
    readers, writer = [either.read_lock("a") for _unused in range(3)], either.write_lock("a")
    assert [True, True] == [reader.acquire(timeout_seconds=0) for reader in readers[:2]]
    assert not writer.acquire(timeout_seconds=0)
    for reader in readers[:2]:
        reader.release()
    assert writer.acquire(timeout_seconds=0)
    assert not readers[2].acquire(timeout_seconds=0)
    writer.release()
    assert readers[2].acquire(timeout_seconds=0)


def test_an_object_is_not_reentrant(either: Client) -> None:
    """Acquiring twice would wait for itself; releasing twice, or never having acquired, is no success."""
    lock = either.lock("a")
    with pytest.raises(LockLostError):
        lock.release()
    lock.acquire()
    with pytest.raises(RefusedError, match="not reentrant"):
        lock.acquire()
    lock.release()
    with pytest.raises(LockLostError):
        lock.release()
    assert lock.acquire(), "it may be used again"


def test_threads_and_tasks_together_never_overlap(redis_server: Server, count: Callable[[int, int], int]) -> None:
    """8 contenders of 25 turns, half of them tasks: 200 turns, one inside at a time, numbers in order, everyone gets in."""
    for _run in range(count(1, 100)):
        _contend(redis_server)


def _contend(redis_server: Server) -> None:
    inside: list[int] = []
    numbers: list[int] = []
    overlaps: list[int] = []
    settings = redis_server.settings(timeout_seconds=30)

    def enter(number: int) -> None:
        overlaps.extend(inside)
        inside.append(number)
        numbers.append(number)

    async def tasks() -> None:
        async with AsyncClient.from_settings(settings) as client:

            async def work() -> None:
                for _unused in range(25):
                    async with client.lock("a") as lock:
                        enter(lock.fence)
                        await asyncio.sleep(0.0005)
                        inside.remove(lock.fence)

            await asyncio.gather(*(work() for _unused in range(4)))

    with Client.from_settings(settings) as client:

        def work() -> None:
            for _unused in range(25):
                with client.lock("a") as lock:
                    enter(lock.fence)
                    time.sleep(0.0005)
                    inside.remove(lock.fence)

        threads = [threading.Thread(target=work) for _unused in range(4)]
        for thread in threads:
            thread.start()
        asyncio.run(tasks())
        for thread in threads:
            thread.join()
    assert [] == overlaps
    assert 200 == len(numbers)
    assert sorted(numbers) == numbers


def test_a_semaphore_is_never_overbooked(redis_server: Server) -> None:
    """20 tasks, 3 places: at most 3 inside, and 3 at some time."""
    inside = [0]
    most = [0]

    async def main() -> None:
        async with AsyncClient.from_settings(redis_server.settings(timeout_seconds=30)) as client:

            async def work() -> None:
                for _unused in range(3):
                    async with client.semaphore("a", 3):
                        inside[0] += 1
                        most[0] = max(most[0], inside[0])
                        await asyncio.sleep(0.002)
                        inside[0] -= 1

            await asyncio.gather(*(work() for _unused in range(20)))

    asyncio.run(main())
    assert (3, 0) == (most[0], inside[0])


def test_who_asked_first_is_first(redis_server: Server, raw: Any, open_client: OpenClient) -> None:
    """The releaser does not get in between, nor does one who comes later."""
    client = open_client(redis_server.settings())
    holder, order = client.lock("a"), []
    holder.acquire()

    def work(number: int) -> None:
        with client.lock("a"):
            order.append(number)

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        wait_until(lambda: fields(raw).count("w") > number, "the thread is in the queue")  # noqa: B023
    holder.release()
    again = client.lock("a")
    again.acquire()
    order.append("releaser")
    again.release()
    for thread in threads:
        thread.join(30)
    assert [0, 1, 2, 3, 4, "releaser"] == order


def test_a_reader_behind_a_writer_waits(redis_server: Server, raw: Any, open_client: OpenClient) -> None:
    """So that readers do not starve writers."""
    client = open_client(redis_server.settings())
    reader, order = client.read_lock("a"), []
    reader.acquire()

    def write() -> None:
        with client.write_lock("a"):
            order.append("writer")

    thread = threading.Thread(target=write)
    thread.start()
    wait_until(lambda: fields(raw, "lock:{a}:readers") == ["h", "w"], "the writer is in the queue")
    assert not client.read_lock("a").acquire(timeout_seconds=0)
    reader.release()
    with client.read_lock("a"):
        order.append("reader")
    thread.join(30)
    assert ["writer", "reader"] == order


def ask(raw: Any, token: str, ttl: float = 30.0, waits: bool = True) -> Any:
    """Acquire as a process that dies afterwards."""
    return raw.execute_command(*policy.acquire("", policy.lock_shape("a"), token, ttl, waits).with_source().arguments)  # type: ignore[attr-defined]


def test_a_dead_waiter_is_skipped(redis_server: Server, raw: Any, open_client: OpenClient) -> None:
    """It is in the queue before the living one, and never takes the lock; also when the lock was just given to it."""
    client = open_client(redis_server.settings())
    holder, got = client.lock("a"), []
    holder.acquire()
    ask(raw, "dead")

    def work() -> None:
        got.append(client.lock("a").acquire(timeout_seconds=20))

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: fields(raw) == ["h", "w", "w"], "both are in the queue")
    holder.release()
    assert b"h:dead" in raw.hkeys("lock:{a}")
    thread.join(30)
    assert [True] == got


def test_a_dead_holder_is_followed_when_its_lease_ends(redis_server: Server, raw: Any, open_client: OpenClient) -> None:
    """Who waits does not need to be woken."""
    ask(raw, "dead", ttl=0.5)
    client = open_client(redis_server.settings())
    assert not client.lock("a").acquire(timeout_seconds=0)
    assert client.lock("a").acquire(timeout_seconds=20)
    assert ["h"] == fields(raw)


def test_who_waited_long_enough_leaves_the_line(redis_server: Server, raw: Any, open_client: OpenClient) -> None:
    """Nothing of it stays, not even a list to wake it."""
    client = open_client(redis_server.settings())
    client.lock("a").acquire()
    assert not client.lock("a").acquire(timeout_seconds=0.2)
    assert ["h"] == fields(raw)
    assert [b"lock:{a}"] == raw.keys("*")
    assert 0 < raw.pttl("lock:{a}") <= 3_640_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_lease_is_renewed_while_its_holder_runs(redis_server: Server, open_client: OpenClient, kind: str) -> None:
    """It lasts many times its TTL, and no longer than that when it is not renewed."""
    client, other = open_client(redis_server.settings()), open_client(redis_server.settings())
    brief = KINDS[kind].make(client, ttl_seconds=0.3, renewed=False)
    assert brief.acquire(timeout_seconds=0)
    rival = KINDS[kind].rival(other, ttl_seconds=0.3)
    assert (False, True) == (rival.acquire(timeout_seconds=0), rival.acquire(timeout_seconds=20))
    rival.release()
    held = KINDS[kind].make(client, ttl_seconds=0.3)
    assert held.acquire(timeout_seconds=0)
    time.sleep(1.0)
    assert (True, False) == (held.is_held, rival.acquire(timeout_seconds=0))
    assert brief.lost
    with pytest.raises(LockLostError):
        brief.release()
    held.release()


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_is_killed_renews_no_more(redis_server: Server, kind: str) -> None:
    """Its lease ends with its TTL, and a rival gets in: the child held it for more than twice that."""
    ready, written = os.pipe()
    child = os.fork()
    if not child:
        with Client.from_settings(redis_server.settings()) as client:
            lock = KINDS[kind].make(client, ttl_seconds=0.5)
            lock.acquire()
            time.sleep(1.1)
            os.write(written, b"1" if lock.is_held else b"0")
            time.sleep(600)
        os._exit(1)
    os.close(written)
    assert b"1" == os.read(ready, 1)
    os.close(ready)
    with Client.from_settings(redis_server.settings()) as client:
        rival = KINDS[kind].rival(client)
        assert not rival.acquire(timeout_seconds=0)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert rival.acquire(timeout_seconds=20)


def test_renewing_ends_with_its_owner(redis_server: Server) -> None:
    """A thread or task that ends without releasing holds nothing for longer than the TTL."""
    with Client.from_settings(redis_server.settings()) as client:
        thread = threading.Thread(target=lambda: client.lock("a", 0.5).acquire())
        thread.start()
        thread.join()
        assert client.lock("a").acquire(timeout_seconds=20)

    async def main() -> bool:
        async with AsyncClient.from_settings(redis_server.settings()) as client:
            await asyncio.create_task(client.lock("b", 0.5).acquire())
            return await client.lock("b").acquire(timeout_seconds=20)

    assert asyncio.run(main())


@pytest.mark.parametrize("loss", ["deleted", "taken"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_lease_is_reported(redis_server: Server, raw: Any, open_client: OpenClient, kind: str, loss: str) -> None:
    """By the callback, by `lost`, by assert_held and by release, which releases nothing of the next holder's."""
    lost: list[str] = []
    client = open_client(redis_server.settings())
    lock = KINDS[kind].make(client, ttl_seconds=0.6, on_lost=lambda it: lost.append(it.name))
    lock.acquire()
    raw.delete(KINDS[kind].key)
    if loss == "taken":
        assert KINDS[kind].rival(client, renewed=False).acquire(timeout_seconds=0)
    wait_until(lambda: lost == ["a"], "the callback")
    assert (True, False) == (lock.lost, lock.is_held)
    with pytest.raises(LockLostError, match="the lock 'a' is not held any more"):
        lock.assert_held()
    with pytest.raises(LockLostError):
        lock.release()
    assert (1 if loss == "taken" else 0) == len(KINDS[kind].tokens(raw))
    assert ["a"] == lost


def test_a_block_whose_lock_was_lost_says_so(redis_server: Server, raw: Any, open_client: OpenClient) -> None:
    """At its end, unless it has an error of its own."""
    client = open_client(redis_server.settings())
    with pytest.raises(LockLostError), client.lock("a"):
        raw.delete("lock:{a}")
    with pytest.raises(KeyError), client.lock("a"):
        raw.delete("lock:{a}")
        raise KeyError


@pytest.mark.parametrize("is_contended", [False, True])
def test_a_cancellation_leaves_no_lock(redis_server: Server, raw: Any, is_contended: bool) -> None:
    """Cancelled in each turn of the loop while it acquires, holds and releases."""
    turns = 40

    async def use(client: AsyncClient) -> None:
        async with client.lock("a"):
            await asyncio.sleep(0)

    async def main() -> int:
        cancelled = 0
        async with AsyncClient.from_settings(redis_server.settings()) as client:
            await client.ping()
            holder = client.lock("a")
            if is_contended:
                await holder.acquire()
            for turn in range(turns):
                task = asyncio.create_task(use(client))
                for _unused in range(turn if turn < turns // 2 else turn * 10):
                    await asyncio.sleep(0)
                if is_contended and turn % 3 == 0:
                    await holder.release()
                    holder = client.lock("a")
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    cancelled += 1
                if is_contended and turn % 3 == 0:
                    assert await holder.acquire(timeout_seconds=20)
            if is_contended:
                await holder.release()
        return cancelled

    assert asyncio.run(main()) > turns // 4
    assert "h" not in fields(raw)
    assert "w" not in fields(raw)


def test_what_comes_late_for_one_who_left_gets_nothing(redis_server: Server, raw: Any) -> None:
    """An acquisition that was on its way when its caller gave up does not lock everyone out."""
    raw.execute_command(*policy.release("", policy.lock_shape("a"), "late", may_be_pending=True).with_source().arguments)  # type: ignore[attr-defined]
    assert [-1, 0] == ask(raw, "late")
    assert ["d"] == fields(raw)


def test_a_child_does_not_release_what_its_parent_holds(redis_server: Server, raw: Any) -> None:
    """After a fork it has no lock; its own it gets and gives back."""
    with Client.from_settings(redis_server.settings()) as client:
        with client.lock("a") as lock:
            child = os.fork()
            if not child:
                code = 1
                try:
                    with client.lock("b", 0.3):
                        time.sleep(0.6)  # renewed, in a thread of the child
                    code = 2 if lock.is_held else 0
                    try:
                        lock.release()
                        code = 3
                    except LockLostError:
                        pass
                finally:
                    os._exit(code)
            assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert lock.is_held
            assert ["h"] == fields(raw)
        assert [] == fields(raw)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda client: client.lock(""), ValueError, "name is empty"),
        (lambda client: client.lock(None), TypeError, "name is of type NoneType"),
        (lambda client: client.lock("a", 0), ValueError, "ttl_seconds is 0"),
        (lambda client: client.lock("a", float("inf")), ValueError, "ttl_seconds is inf"),
        (lambda client: client.lock("a", timeout_seconds=-1), ValueError, "timeout_seconds is -1"),
        (lambda client: client.semaphore("a", 0), ValueError, "limit is 0"),
    ],
)
def test_what_is_wrong_is_refused(make: Callable[[Any], object], error: type[Exception], message: str) -> None:
    """Before anything is sent; a lock without end is wrong, too."""
    with Client.from_url("redis://127.0.0.1:1", policy=Policy()) as client, pytest.raises(error, match=message):
        make(client)
