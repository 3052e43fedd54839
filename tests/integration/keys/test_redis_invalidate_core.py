# SPDX-License-Identifier: MIT
"""What `invalidate` does while something goes wrong or changes: a server that dies, keys that come, slots that move, a bound rate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from keyfleet.core.connect.client import close
from keyfleet.core.connect.primaries import primaries
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.core.errors import InvalidationError, RefusedError, UnreachableError
from keyfleet.core.keys.invalidate import invalidate, select
from keyfleet.testing._server import free_port
from keyfleet.testing.servers import Server, start_cluster, start_server
from support.targets import Target

ON_MANAGED_SERVICES = True


class Clock:
    """A time that moves only by sleeping, and does something then."""

    def __init__(self, event: Callable[[int], None] = lambda number: None) -> None:
        self.now, self.sleeps, self._event = 0.0, 0, event

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass, then let the event happen."""
        self.now += seconds
        self.sleeps += 1
        self._event(self.sleeps)


@pytest.fixture
def client(redis_server: Server) -> Iterator[AnyClient]:
    """A client of the shared server."""
    client = redis_server.client()
    yield client
    close(client)


def put(client: AnyClient, prefix: str, count: int) -> None:
    """Create string keys."""
    with client.pipeline(transaction=False) as pipe:
        for number in range(count):
            pipe.set(f"{prefix}{number}", "x")
        pipe.execute()


def test_every_kind_of_deployment_is_emptied_exactly(target: Target) -> None:
    """Also behind a socket, TLS, a password, Sentinel, and on each primary of a cluster."""
    with closing(target.client()) as (client,):
        put(client, "a:", 300)
        put(client, "b:", 7)
        outcome = invalidate(client, target.settings(), select(prefix="a:"))
        left = sum(node.client.dbsize() for node in primaries(client))
    assert (300, 300, 0, 7) == (outcome.matched, outcome.deleted, outcome.unconfirmed, left)


def test_rate_is_bounded(redis_server: Server, client: AnyClient) -> None:
    """1,000 keys at 200 per second take 4.9 seconds: the last twenty need no wait after them."""
    put(client, "a:", 1_000)
    clock = Clock()
    outcome = invalidate(client, redis_server.settings(), select(prefix="a:"), keys_per_second=200, clock=clock, sleep=clock.sleep)
    assert 1_000 == outcome.deleted
    assert clock.now == pytest.approx(4.9)


def test_server_that_dies_half_way_leaves_a_true_account(tmp_path: Path) -> None:
    """What was confirmed is counted; what was sent without a reply is reported separately."""
    with start_server(tmp_path) as server, closing(server.client()) as (client,):
        put(client, "a:", 1_000)
        clock = Clock(lambda number: server.kill() if number == 3 else None)
        with pytest.raises(InvalidationError) as raised:
            invalidate(client, server.settings(), select(prefix="a:"), keys_per_second=1_000, clock=clock, sleep=clock.sleep)
    assert isinstance(raised.value.cause, UnreachableError)
    # 100 in a part; after the third sleep the server is gone, three parts are confirmed, and the fourth was asked for in vain
    assert (300, 100) == (raised.value.deleted, raised.value.unconfirmed)
    assert [1_000] == [node["matched"] for node in raised.value.nodes]
    assert "until then 300 keys were deleted, and 100 more may be" in str(raised.value)


def test_keys_that_come_meanwhile_do_not_lift_the_limit(redis_server: Server, client: AnyClient) -> None:
    """Counted as few enough, then many more appear: never more than the limit are deleted."""
    put(client, "a:", 100)
    clock = Clock(lambda number: put(client, f"a:{number}:", 200))
    with pytest.raises(InvalidationError, match="more than 150 match now") as raised:
        options = {"max_keys": 150, "keys_per_second": 500}
        invalidate(client, redis_server.settings(), select(patterns=["a:*", "a*"]), clock=clock, sleep=clock.sleep, **options)
    assert raised.value.deleted <= 150
    assert client.dbsize() >= 50


def test_replica_is_refused(tmp_path: Path) -> None:
    """It would fail at the first key, and check mode should say so too."""
    directives = {"replicaof": f"127.0.0.1 {free_port('127.0.0.1')}"}
    with start_server(tmp_path, directives=directives) as replica, closing(replica.client()) as (client,):
        for dry_run in (True, False):
            with pytest.raises(RefusedError, match="is a replica"):
                invalidate(client, replica.settings(), select(prefix="a:"), dry_run=dry_run)


def test_writer_that_keeps_creating_keys_does_not_keep_the_scan_going(redis_server: Server, client: AnyClient) -> None:
    """The scan never restarts, so it ends; each deletion is counted once."""
    put(client, "a:", 5_000)
    stop, writer = threading.Event(), redis_server.client()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            writer.set(f"a:new:{number}", "x")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        outcome = invalidate(client, redis_server.settings(), select(prefix="a:"))
    finally:
        stop.set()
        thread.join()
        close(writer)
    assert outcome.deleted >= 5_000
    assert outcome.deleted == outcome.matched
    assert set() == {name for name in client.scan_iter(count=1_000) if not name.startswith(b"a:new:")}


def test_counting_predicts_the_deletion_exactly(redis_server: Server, client: AnyClient) -> None:
    """20,000 keys found by two overlapping patterns are 20,000."""
    put(client, "a:", 20_000)
    selection = select(patterns=["a:*", "a:1*"], keys=["a:5"])
    counted = invalidate(client, redis_server.settings(), selection, dry_run=True)
    assert (20_000, 0) == (counted.matched, counted.deleted)
    assert 20_000 == invalidate(client, redis_server.settings(), selection, max_keys=20_000).deleted


def test_keys_of_a_slot_that_moves_are_deleted_where_they_went(tmp_path: Path) -> None:
    """A key found on the first node and handed to the second before it is deleted is followed there."""
    with start_cluster(tmp_path, shards=2) as cluster, closing(cluster.client(), cluster.nodes[0].client()) as (client, old):
        tag = next(f"{{{letter}}}:" for letter in "abcdefgh" if client.get_node_from_key(f"{{{letter}}}:0").host == cluster.nodes[0].host)
        put(client, tag, 10)
        put(client, "x:", 100)
        clock = Clock(lambda number: _move(client.keyslot(f"{tag}0"), *cluster.nodes) if number == 1 else None)
        options = {"keys_per_second": 20, "clock": clock, "sleep": clock.sleep}
        outcome = invalidate(client, cluster.settings(), select(patterns=[f"{tag}*", "x:*"]), **options)
        assert [] == old.execute_command("CLUSTER", "GETKEYSINSLOT", client.keyslot(f"{tag}0"), 10)
        assert 0 == sum(client.dbsize(target_nodes=node) for node in client.get_primaries())
    assert (110, 0) == (outcome.deleted, outcome.unconfirmed)


@contextmanager
def closing(*clients: AnyClient) -> Iterator[tuple[AnyClient, ...]]:
    """Close all clients at the end."""
    try:
        yield clients
    finally:
        for client in clients:
            close(client)


def _move(slot: int, source: Server, target: Server) -> None:
    """Move a slot with its keys from one node to the other."""
    with closing(source.client(), target.client()) as (old, new):
        old_id, new_id = (end.execute_command("CLUSTER", "MYID") for end in (old, new))
        new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", old_id)
        old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", new_id)
        keys = old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100)
        old.execute_command("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", *keys)
        for end in (new, old):
            end.execute_command("CLUSTER", "SETSLOT", slot, "NODE", new_id)
