# SPDX-License-Identifier: MIT
"""Pipelines and transactions whose replies are lost or redirected: no read sees a change that comes after it, and no answer is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from keyfleet import Client, OutcomeUnknown, Policy
from keyfleet.core.connect.client import close
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.testing.proxy import FaultProxy
from keyfleet.testing.servers import Cluster, Server
from support.clients import OpenClient

ON_EVERY_SERVER = True
Build = Callable[[Any], Any]

# What is called, and the command whose reply is lost last: pipelines that read what they change.
READ_AND_CHANGED: dict[str, tuple[Build, str]] = {
    "get, delete": (lambda pipe: pipe.get("job").delete("job"), "DEL"),
    "get, set": (lambda pipe: pipe.get("job").set("job", "taken"), "SET"),
    "get_many, delete": (lambda pipe: pipe.get_many(["other", "job"]).delete("job"), "DEL"),
    "hgetall, delete": (lambda pipe: pipe.hgetall("jobh").delete("jobh"), "DEL"),
    "hgetall, hset": (lambda pipe: pipe.hgetall("jobh").hset("jobh", {"f": "taken"}), "HSET"),
    "exists, set": (lambda pipe: pipe.exists("none").set("none", "x"), "SET"),
    "ttl, expire": (lambda pipe: pipe.ttl("job").expire("job", 100), "PEXPIRE"),
    "delete, set": (lambda pipe: pipe.delete("none").set("none", "x"), "SET"),
    "set, get": (lambda pipe: pipe.set("job", "mine").get("job"), "GET"),
    "lrange, delete": (lambda pipe: pipe.lrange("jobs").delete("jobs"), "DEL"),
}


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[FaultProxy]:
    """A proxy in front of the session's server."""
    with FaultProxy(redis_server) as proxy:
        yield proxy


@pytest.fixture
def raw(redis_server: Server) -> Iterator[AnyClient]:
    """redis-py, past the proxy; there are a text, a hash and a list."""
    client = redis_server.client()
    client.set("job", "the only copy")
    client.hset("jobh", "f", "the only copy")
    client.rpush("jobs", "the only copy")
    yield client
    close(client)


@pytest.fixture
def client(proxy: FaultProxy, raw: AnyClient, open_client: OpenClient) -> Client:
    """A client through the proxy, with connections for pipelines and for transactions."""
    del raw
    client = open_client(proxy.settings(timeout_seconds=5.0, retry_delay_ms=10), Policy(breaker_failures=0))
    client.pipeline().exists("job").execute()
    client.pipeline(transaction=True).exists("job").execute()
    return client


@pytest.mark.parametrize("transaction", [False, True], ids=["pipeline", "transaction"])
@pytest.mark.parametrize("name", READ_AND_CHANGED)
def test_what_reads_and_changes_a_key_is_unknown_behind_a_lost_reply(
    client: Client, proxy: FaultProxy, name: str, transaction: bool
) -> None:
    """It ran once; no call of it answers what the key was after the change."""
    build, _last = READ_AND_CHANGED[name]
    proxy.reset_counts()
    fault = proxy.lose_reply("MULTI" if transaction else "", times=2)
    pipe = client.pipeline(transaction=transaction)
    build(pipe)
    results = pipe.execute(raise_on_error=False)
    assert [OutcomeUnknown, OutcomeUnknown] == [type(result) for result in results]
    assert 0 < fault.hits
    assert 1 == proxy.commands[READ_AND_CHANGED[name][1]]


@pytest.mark.parametrize("transaction", [False, True], ids=["pipeline", "transaction"])
def test_what_only_reads_or_changes_other_keys_is_sent_again(client: Client, proxy: FaultProxy, transaction: bool) -> None:
    """All answers are right, and the caller notices nothing."""
    proxy.lose_reply("MULTI" if transaction else "GET")
    assert ["the only copy", {"f": "the only copy"}] == client.pipeline(transaction=transaction).get("job").hgetall("jobh").execute()
    proxy.lose_reply("MULTI" if transaction else "SET")
    assert [True, "the only copy", True] == client.pipeline(transaction=transaction).set("a", 1).get("job").set("a", 2).execute()
    assert "2" == client.get("a")


def test_a_repeatable_script_among_reads_is_unknown(client: Client, proxy: FaultProxy) -> None:
    """A transaction with a counter that gets a TTL, which is a script, is no exception."""
    proxy.lose_reply("EXEC")
    results = client.pipeline(transaction=True).get("n").incr("n", ttl_seconds=100).execute(raise_on_error=False)
    assert [OutcomeUnknown, OutcomeUnknown] == [type(result) for result in results]
    assert "1" == client.get("n")


def names(cluster: Cluster, client: Client) -> tuple[str, str]:
    """Return two keys of one node and two slots; the first does not exist, the second does."""
    kept = "job:1"
    client.set(kept, "the only copy")
    moving = next(
        name
        for name in (f"a{number}" for number in range(9999))
        if cluster.primary_of(name) is cluster.primary_of(kept) and cluster.slot_of(name) != cluster.slot_of(kept)
    )
    client.delete(moving)
    return moving, kept


@pytest.mark.parametrize("stage", ["moved", "migrating"])
def test_an_answer_is_kept_when_the_slot_of_another_call_has_moved(redis_cluster: Cluster, open_client: OpenClient, stage: str) -> None:
    """`[set A, get B, delete B]`: B is read once, and deleted once."""
    client = open_client(redis_cluster.settings(timeout_seconds=10.0))
    moving, kept = names(redis_cluster, client)
    source = redis_cluster.primary_of(kept)
    target = next(node for node in redis_cluster.primaries() if node is not source)
    steps = redis_cluster.move_slots([redis_cluster.slot_of(moving)], target)
    for _step in steps:
        if stage == "migrating":
            break
    assert [True, "the only copy", 1] == client.pipeline().set(moving, 1).get(kept).delete(kept).execute()
    for _step in steps:
        pass
    assert ("1", None) == (client.get(moving), client.get(kept))
