# SPDX-License-Identifier: MIT
"""Health of Client and AsyncClient: one budget whatever the server does, and what only the client knows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from keyfleet import Client, ClosedError, HealthReport, Policy, Prefix, UnreachableError
from keyfleet._protocol.health import CLIENT_CHECKS
from keyfleet.core.health.model import Check
from keyfleet.core.health.report import CHECKS, DEPLOYMENT_CHECKS, wait_for_health
from keyfleet.testing._server import wait_until
from keyfleet.testing.plugin import RedisFactory
from keyfleet.testing.servers import Server
from support.clients import OpenClient
from support.managed import Managed
from support.targets import Target

ON_MANAGED_SERVICES = True

pytestmark = pytest.mark.slow

BUDGET_SECONDS = 0.4
SLACK_SECONDS = 1.0  # of a busy machine; several budgets would be more
QUICK = {"timeout_seconds": BUDGET_SECONDS, "retry_delay_ms": 10}
OF_THE_WHOLE = (*DEPLOYMENT_CHECKS, "discovery", "counters")
LACKING = ("failed", "without_replica")


def check(report: HealthReport, name: str, node: str = "") -> Check:
    """Return the one result of the named check, of one node if there are several."""
    (found,) = [entry for entry in report.checks if entry.name == name and node in ("", entry.node)]
    return found


@contextmanager
def in_one_budget() -> Iterator[None]:
    """Assert that what is done takes about one budget at most."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < BUDGET_SECONDS + SLACK_SECONDS


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """A server that accepts connections and answers nothing."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


# What it reports


def test_every_kind_of_deployment_is_reported_whole(either: Client, target: Target) -> None:
    """
    Each check once for each primary, those of the whole once.

    What is not ok: a certificate that the tests made for days only, and the policy of managed services, which evicts sessions.
    """
    report = either.health(write_probe=True, keeps=[Prefix.SESSION])
    nodes = set(either.info())
    assert {(name, node) for name in (*CHECKS, *CLIENT_CHECKS) if name not in OF_THE_WHOLE for node in nodes} == {
        (entry.name, entry.node) for entry in report.checks if entry.name not in OF_THE_WHOLE
    }
    assert [target.settings().address] * len(OF_THE_WHOLE) == [check(report, name).node for name in OF_THE_WHOLE]
    evicts = isinstance(target, Managed)
    expected = {"certificate", "eviction"} if evicts else {"certificate"}
    assert expected >= {entry.name for entry in report.checks if entry.status not in ("ok", "skipped")}
    for name in ("ping", "round_trip", "replication", "memory", "eviction", "pool"):
        status = "degraded" if evicts and name == "eviction" else "ok"
        assert {status} == {entry.status for entry in report.checks if entry.name == name}, name
    assert not report.refused
    assert [] == list(either.scan())


def test_a_cluster_counts_its_slots(either: Client, target: Target) -> None:
    """Where there is a cluster; elsewhere the check is skipped."""
    found = [entry for entry in either.health().checks if entry.name == "cluster"]
    if target.settings().cluster_nodes:
        assert [("ok", 16384)] * len(either.info()) == [(entry.status, entry.found["slots_ok"]) for entry in found]
    else:
        assert ["skipped"] == [entry.status for entry in found]


def test_a_certificate_is_judged(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """That of the server, in the connection that the check makes."""
    found = check(open_client(redis_factory.server(tls=True).settings()).health(), "certificate")
    assert 0 < found.found["left_days"]
    assert "Z" == found.found["not_after"][-1]


def test_without_a_probe_nothing_is_written(redis_server: Server, redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Not even for a moment; one connection is made and closed."""
    proxy = redis_factory.proxy(redis_server)
    client = open_client(proxy.settings())
    assert "skipped" == check(client.health(), "round_trip").status
    assert {"PING": 3, "INFO": 1} == {name: count for name, count in proxy.commands.items() if name != "CLIENT"}
    wait_until(lambda: proxy.open_connections == 0, "the connection to be closed")
    assert 1 == proxy.total_connections


def test_counters_and_breaker_are_reported(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """A server that came back is well, and yet calls are refused until the pause is over."""
    server = redis_factory.server()
    client = open_client(server.settings(**QUICK), Policy(breaker_failures=1, breaker_seconds=2.0, while_disconnected="fail"))
    server.stop()
    with pytest.raises(UnreachableError):
        client.get("k")
    server.start()
    report = client.health()
    assert ("degraded", "ok") == (report.verdict, check(report, "ping").status)
    assert ("degraded", {"failures_in_a_row": 1, "opened": 1}) == (check(report, "breaker").status, check(report, "breaker").found)
    counters = check(report, "counters").found
    assert (2, 1, 1, 1) == tuple(counters[name] for name in ("calls", "failures", "breaker_opens", "open_breakers"))


def test_a_pool_in_use_is_degraded_and_the_server_is_well(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Health does not wait for a connection of the pool."""
    client = open_client(redis_factory.server().settings(), Policy(max_blocking_connections=1))
    waiting = threading.Thread(target=lambda: client.blpop("queue", timeout_seconds=60))
    waiting.start()
    try:
        wait_until(lambda: check(client.health(), "pool").status == "degraded", "the pool to be in use")
        report = client.health()
        assert ("ok", "degraded") == (check(report, "ping").status, report.verdict)
        assert 10 == check(report, "pool").found["max_connections"]
        assert any("all connections are in use" in reason for reason in report.reasons)
    finally:
        with Client.from_settings(client.settings) as other:
            other.rpush("queue", "v")
        waiting.join()
    assert "ok" == check(client.health(), "pool").status


@pytest.mark.parametrize(
    ("policy", "status", "reason"),
    [
        ("noeviction", "ok", ""),
        ("allkeys-lru", "degraded", "allkeys-lru evicts any key when memory is full, and session:, lock: must stay"),
        ("volatile-ttl", "degraded", "volatile-ttl evicts any key with a TTL when memory is full"),
    ],
)
def test_eviction_of_what_must_stay_is_degraded(
    redis_factory: RedisFactory, open_client: OpenClient, policy: str, status: str, reason: str
) -> None:
    """A cache may be evicted, sessions and locks may not."""
    client = open_client(redis_factory.server(directives={"maxmemory": "100mb", "maxmemory-policy": policy}).settings())
    report = client.health(keeps=(Prefix.SESSION, Prefix.LOCK))
    assert (status, status) == (check(report, "eviction").status, report.verdict)
    assert reason in check(report, "eviction").reason
    assert "ok" == client.health().verdict


def test_eviction_that_cannot_happen_yet_says_so(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Maxmemory can be set at any time, without a restart."""
    client = open_client(redis_factory.server(directives={"maxmemory-policy": "allkeys-lfu"}).settings())
    assert "once it has a maxmemory, which is 0 now" in check(client.health(keeps=Prefix.SESSION), "eviction").reason


# Trouble


def test_a_dead_server_is_a_verdict(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Not an exception; it is live all the same, and well again when the server is back."""
    server = redis_factory.server()
    client = open_client(server.settings(**QUICK))
    assert "ok" == client.health().verdict
    server.stop()
    with in_one_budget():
        report = client.health(write_probe=True)
    assert ("failed", True) == (report.verdict, "cannot be reached" in report.reasons[0])
    assert client.is_live
    server.start()
    assert "ok" == client.health(write_probe=True).verdict


def test_an_unresponsive_server_costs_one_budget_and_one_connection(
    redis_server: Server, redis_factory: RedisFactory, open_client: OpenClient
) -> None:
    """It is not asked a second question, nor is connecting tried again."""
    proxy = redis_factory.proxy(redis_server)
    client = open_client(proxy.settings(**QUICK))
    proxy.black_hole()
    with in_one_budget():
        report = client.health(write_probe=True)
    assert ("failed", 1) == (report.verdict, proxy.total_connections)
    assert {"skipped"} == {entry.status for entry in report.checks if entry.name in CHECKS and entry.name != "ping"}


@pytest.mark.parametrize("fault", ["slow", "byte by byte"])
def test_a_server_that_answers_a_little_costs_one_budget(
    redis_server: Server, redis_factory: RedisFactory, open_client: OpenClient, fault: str
) -> None:
    """Each reply comes before the time is over, and together they would take many budgets."""
    proxy = redis_factory.proxy(redis_server)
    client = open_client(proxy.settings(**QUICK))
    client.ping()
    if fault == "slow":
        proxy.delay_replies(BUDGET_SECONDS / 3)
    else:
        proxy.dribble_replies(BUDGET_SECONDS / 100)
    with in_one_budget():
        report = client.health(write_probe=True)
    assert ("failed", "failed") == (report.verdict, check(report, "ping").status)


def test_one_unresponsive_primary_does_not_hide_the_others(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """All of them are asked within one budget, and the two others are well."""
    cluster = redis_factory.cluster(directives={"cluster-node-timeout": 60000})
    client = open_client(cluster.settings(timeout_seconds=1.0))
    client.ping()
    with frozen(cluster.nodes[0]):
        begun = time.monotonic()
        report = client.health(write_probe=True)
        assert time.monotonic() - begun < 1.0 + SLACK_SECONDS
    unresponsive = f"{cluster.nodes[0].host}:{cluster.nodes[0].port}"
    assert {node: "failed" if node == unresponsive else "ok" for node in client.info()} == {
        entry.node: entry.status for entry in report.checks if entry.name == "ping"
    }
    assert ["ok", "ok"] == [entry.status for entry in report.checks if entry.name == "round_trip" and entry.node != unresponsive]


def test_a_cluster_that_is_gone_is_a_verdict(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Whether it was known before or not."""
    cluster = redis_factory.cluster()
    known, new = (open_client(cluster.settings(**QUICK)) for _unused in range(2))
    known.ping()
    cluster.stop()
    for client, count in ((known, 3), (new, 1)):
        with in_one_budget():
            report = client.health()
        assert ["failed"] * count == [entry.status for entry in report.checks if entry.name == "ping"]
        assert "failed" == report.verdict


def test_a_shard_that_lost_its_replica_is_named(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """The module and the client say the same, and no key is in danger yet."""
    cluster = redis_factory.cluster(replicas=1)
    cluster.wait_until_in_sync()
    client = open_client(cluster.settings())
    assert ("ok", 3) == ((whole := check(client.health(), "members")).status, whole.found["replicas"])
    primary = cluster.primaries()[0]
    (replica,) = cluster.replicas_of(primary)
    replica.stop()
    shard, lost = (f"{node.host}:{node.port}" for node in (primary, replica))
    wait_until(lambda: f"the shard of {shard} has no replica" in check(client.health(), "members").reason, "the replica to fail")
    reports = [client.health(), wait_for_health(cluster.settings())]
    for report in reports:
        found = check(report, "members")
        assert ("degraded", "degraded", [lost], [shard]) == (report.verdict, found.status, *(found.found[name] for name in LACKING))
        assert f"node {lost} has failed, say 3 of the 3 primaries that were asked" in found.reason


def test_sentinels_without_a_majority_are_named(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """The primary serves, and no failover is possible; the module and the client say the same."""
    group = redis_factory.sentinel()
    client = open_client(group.settings())
    whole = check(client.health(), "sentinels")
    assert ("ok", 3, 3) == (whole.status, whole.found["sentinels"], whole.found["answering"])
    last, *others = group.sentinels
    for sentinel in others:
        sentinel.stop()
    wait_until(lambda: "could not fail over" in check(client.health(), "sentinels").reason, "the Sentinels to be missed")
    for report in (client.health(), wait_for_health(group.settings())):
        found = check(report, "sentinels")
        assert ("degraded", 1) == (found.status, found.found["answering"])
        assert f"Sentinel {last.host}:{last.port} could not fail over: NOQUORUM" in found.reason
        assert [] == [one for one in others if f"Sentinel {one.host}:{one.port} gives no answer" not in found.reason]


def test_a_primary_without_sentinels_is_degraded(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """It serves, but no Sentinel would name a new primary after a failure."""
    group = redis_factory.sentinel()
    client = open_client(group.settings(**QUICK))
    assert "ok" == client.health().verdict
    for sentinel in group.sentinels:
        sentinel.stop()
    report = client.health(write_probe=True)
    assert ("degraded", "ok", "ok") == (report.verdict, check(report, "ping").status, check(report, "round_trip").status)
    assert "no source names the servers" in check(report, "discovery").reason


def test_health_sees_a_failover_that_no_call_has_met(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """The new primary is asked, not the one that was known."""
    group = redis_factory.sentinel()
    client = open_client(group.settings())
    old = check(client.health(), "role").node
    group.failover()
    report = client.health(write_probe=True)
    assert old != check(report, "role").node
    assert ("primary", "ok") == (check(report, "role").found["role"], check(report, "round_trip").status)


def test_a_replica_takes_no_probe(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """That is what it is, and no failure."""
    primary = redis_factory.server()
    replica = redis_factory.server(directives={"replicaof": f"{primary.host} {primary.port}", "repl-diskless-sync-delay": 0})
    client = open_client(replica.settings())
    wait_until(lambda: client.health().verdict == "ok", "the replica to be in sync")
    report = client.health(write_probe=True)
    assert ("replica", "skipped") == (check(report, "role").found["role"], check(report, "round_trip").status)


@pytest.mark.parametrize("password", [None, "wrong"])
def test_refused_credentials_are_a_verdict(
    password_server: Server, redis_factory: RedisFactory, open_client: OpenClient, password: Any
) -> None:
    """Tried once, and reported differently from a server that is down."""
    proxy = redis_factory.proxy(password_server)
    report = open_client(proxy.settings(password=password)).health(write_probe=True)
    assert ("failed", True, 1) == (report.verdict, report.refused, proxy.total_connections)
    assert "refused the credentials" in report.reasons[0]


def test_a_full_server_fails_its_probe(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """The check of memory says why."""
    server = redis_factory.server(directives={"maxmemory": "1mb"})
    with Client.from_settings(server.settings()) as filler, pytest.raises(Exception, match="maxmemory"):
        for number in range(1000):
            filler.set(f"k{number}", "v" * 10_000)
    report = open_client(server.settings()).health(write_probe=True)
    assert ("failed", "failed") == (check(report, "round_trip").status, check(report, "memory").status)
    assert "maxmemory" in check(report, "round_trip").reason


# Live


def test_live_is_not_closed(redis_factory: RedisFactory, open_client: OpenClient) -> None:
    """Whatever the server does; a closed client has no health."""
    server = redis_factory.server()
    client = open_client(server.settings(**QUICK))
    assert client.is_live
    server.stop()
    with pytest.raises(UnreachableError):
        client.ping()
    assert client.is_live
    client.close()
    assert not client.is_live
    with pytest.raises(ClosedError):
        client.health()
    server.start()
    client.connect()
    assert client.is_live
