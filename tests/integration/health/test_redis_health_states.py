# SPDX-License-Identifier: MIT
"""redis_health on servers in trouble: full, loading, alone, with an old certificate, or not there yet."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from keyfleet.core.connect.client import close
from keyfleet.core.connect.redis_py import AnyClient
from keyfleet.core.health.model import Check, Expect, Thresholds
from keyfleet.core.health.report import HealthReport, wait_for_health
from keyfleet.testing._server import free_port, wait_until
from keyfleet.testing.servers import Server, start_cluster, start_server
from support.modules import run_module
from support.targets import Target

pytestmark = pytest.mark.slow


def check(report: HealthReport, name: str) -> Check:
    """Return the one result of the named check."""
    (found,) = [entry for entry in report.checks if entry.name == name]
    return found


@contextlib.contextmanager
def client_of(server: Server) -> Iterator[AnyClient]:
    """Give a client and close it."""
    client = server.client()
    try:
        yield client
    finally:
        close(client)


def fill(server: Server, megabytes: int) -> None:
    """Write so many megabytes."""
    with client_of(server) as client:
        for number in range(10 * megabytes):
            client.set(f"filler:{number}", "x" * 100_000)


@contextlib.contextmanager
def soon(start: Callable[[], Any], seconds: float = 0.5) -> Iterator[None]:
    """Start something in the background, a little later; wait for it at the end."""
    timer = threading.Timer(seconds, start)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def test_every_kind_of_deployment_is_well_and_takes_a_write(target: Target) -> None:
    """Also behind a socket, TLS, a password, Sentinel, and on each primary of a cluster."""
    report = wait_for_health(target.settings(), thresholds=Thresholds(certificate_days=1), write_probe=True)
    assert ("ok", []) == (report.verdict, report.reasons)
    assert {"ok"} == {entry.status for entry in report.checks if entry.name == "round_trip"}


def test_full_memory_that_refuses_writes_fails(tmp_path: Path) -> None:
    """Memory and the write probe both say so."""
    with start_server(tmp_path) as server:
        fill(server, 6)
        with client_of(server) as client:
            client.config_set("maxmemory", "5mb")
        report = wait_for_health(server.settings(), write_probe=True)
    assert "failed" == report.verdict
    assert ("failed", True) == (check(report, "memory").status, check(report, "memory").found["used_percent"] >= 100)
    assert ("failed", True) == (check(report, "round_trip").status, "maxmemory" in check(report, "round_trip").reason)


def test_full_cache_that_evicts_is_well(tmp_path: Path) -> None:
    """Evictions are reported; they count only where a threshold says so."""
    with start_server(tmp_path, directives={"maxmemory": "5mb", "maxmemory-policy": "allkeys-lru"}) as server:
        fill(server, 8)
        report = wait_for_health(server.settings(), write_probe=True)
        strict = wait_for_health(server.settings(), thresholds=Thresholds(evicted_keys=0))
    assert "ok" == report.verdict
    assert check(report, "evicted_keys").found["count"] > 0
    assert ("degraded", "degraded") == (strict.verdict, check(strict, "evicted_keys").status)


def test_rejected_connections_are_counted_and_a_full_server_is_named(tmp_path: Path) -> None:
    """While all places are taken the server cannot be reached and says why; afterwards the count remains."""
    with start_server(tmp_path, directives={"maxclients": 3}) as server:
        clients = [server.client() for _place in range(3)]
        for client in clients:
            client.ping()
        full = wait_for_health(server.settings(retry_attempts=0))
        for client in clients:
            close(client)
        report = wait_for_health(server.settings(), timeout_seconds=10)
    assert ("failed", True) == (full.verdict, "max number of clients reached" in full.reasons[0])
    assert ("degraded", "degraded") == (report.verdict, check(report, "rejected_connections").status)


def test_many_clients_are_degraded(tmp_path: Path) -> None:
    """Nine of ten places and ours make ten."""
    with start_server(tmp_path, directives={"maxclients": 10}) as server:
        clients = [server.client() for _place in range(9)]
        for client in clients:
            client.ping()
        report = wait_for_health(server.settings())
        for client in clients:
            close(client)
    assert ("degraded", 10, 100.0) == (
        check(report, "clients").status,
        check(report, "clients").found["connected"],
        check(report, "clients").found["used_percent"],
    )


def test_failed_snapshot_fails(tmp_path: Path) -> None:
    """The folder for the snapshot is gone, so writes are refused after the next one."""
    gone = tmp_path / "gone"
    gone.mkdir()
    with start_server(tmp_path / "server", directives={"dir": str(gone), "save": "3600 1"}) as server, client_of(server) as client:
        shutil.rmtree(gone)
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot to fail")
        report = wait_for_health(server.settings(), write_probe=True)
        server.kill()  # asked to stop, it would try to save
    assert ("failed", "failed") == (check(report, "persistence").status, check(report, "round_trip").status)
    assert "MISCONF" in check(report, "round_trip").reason


def test_append_only_file_is_reported(tmp_path: Path) -> None:
    """Its last write went well."""
    with start_server(tmp_path, directives={"appendonly": "yes"}) as server:
        report = wait_for_health(server.settings())
    expected = {"aof_enabled": True, "aof_last_write_status": "ok", "aof_last_rewrite_status": "ok"}
    assert expected.items() <= check(report, "persistence").found.items()


def test_replication_in_sync_and_after_the_primary_died(tmp_path: Path) -> None:
    """Both ends see each other; then the replica says since when its primary is gone, and takes no write probe."""
    with start_server(tmp_path / "primary") as primary:
        directives = {"replicaof": f"{primary.host} {primary.port}", "repl-diskless-sync-delay": 0}
        with start_server(tmp_path / "replica", directives=directives) as replica:
            above = wait_for_health(primary.settings(), expect=Expect(role="primary", replicas=1), timeout_seconds=20)
            below = wait_for_health(replica.settings(), expect=Expect(role="replica"), write_probe=True, timeout_seconds=20)
            primary.kill()
            lost = wait_for_health(replica.settings(), fail_on="never")
            with client_of(replica) as client:
                wait_until(lambda: client.info("replication")["master_link_status"] == "down", "the link to break")
            lost = wait_for_health(replica.settings())
    assert ("ok", "ok") == (above.verdict, below.verdict)
    (row,) = check(above, "replication").found["replicas"]
    assert (f"{replica.host}:{replica.port}", "online", True) == (row["address"], row["state"], row["lag_bytes"] >= 0)
    assert {"primary": f"{primary.host}:{primary.port}", "link": "up"}.items() <= check(below, "replication").found.items()
    assert ("skipped", "a replica takes no writes") == (check(below, "round_trip").status, check(below, "round_trip").reason)
    assert ("failed", True) == (lost.verdict, f"the replication link to {primary.host}:{primary.port} is down" in lost.reasons[0])
    assert check(lost, "replication").found["down_seconds"] >= 0


def test_replica_that_refuses_to_serve_old_data_says_so(tmp_path: Path) -> None:
    """PING is answered with an error, which is not the same as no answer."""
    directives = {"replicaof": f"127.0.0.1 {free_port('127.0.0.1')}"}
    with start_server(tmp_path, directives=directives) as server, client_of(server) as client:
        client.config_set("replica-serve-stale-data", "no")
        report = wait_for_health(server.settings())
    assert ("failed", True) == (check(report, "ping").status, "Link with MASTER is down" in check(report, "ping").reason)
    assert "failed" == check(report, "replication").status


def test_days_left_of_the_certificate(tmp_path: Path) -> None:
    """They are read in a handshake, also where the certificate is not verified."""
    with start_server(tmp_path, tls=True) as server:
        report = wait_for_health(server.settings(), write_probe=True)
        easy = wait_for_health(server.settings(), thresholds=Thresholds(certificate_days=1))
        blind = wait_for_health(server.settings(tls_verify=False, tls_ca_file=None), thresholds=Thresholds(certificate_days=1))
        options = {"login_host": server.host, "login_port": server.port, "tls": True, "ca_certs": server.tls_ca_file}
        module = run_module("redis_health", {**options, "thresholds": {"certificate_days": 1}})
        stranger = run_module("redis_health", {**options, "ca_certs": None})
    assert ("degraded", "degraded") == (report.verdict, check(report, "certificate").status)
    assert 1.9 < check(report, "certificate").found["left_days"] <= 2.0
    assert ("ok", "ok", "ok") == (easy.verdict, blind.verdict, module["verdict"])
    assert ("failed", True) == (stranger["verdict"], "certificate" in stranger["reasons"][0])


def test_wait_succeeds_when_the_server_appears(tmp_path: Path) -> None:
    """Nothing listens at first; the module waits and ends well."""
    port, servers = free_port("127.0.0.1"), []
    with soon(lambda: servers.append(start_server(tmp_path, port=port))):
        result = run_module("redis_health", {"login_host": "127.0.0.1", "login_port": port, "wait_timeout_seconds": 20})
    servers[0].stop()
    assert (False, "ok") == (result.failed, result["verdict"])


def test_wait_ends_in_time_with_the_last_verdict() -> None:
    """Nothing ever listens."""
    options = {"login_host": "127.0.0.1", "login_port": free_port("127.0.0.1"), "wait_timeout_seconds": 0.6}
    result = run_module("redis_health", options)
    assert (True, "failed", True) == (result.failed, result["verdict"], "Connection refused" in result["reasons"][0])


def test_wait_lasts_until_an_expectation_holds(tmp_path: Path) -> None:
    """A replica that is promoted meanwhile becomes what was expected."""
    with start_server(tmp_path) as server, client_of(server) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", free_port("127.0.0.1"))
        with soon(lambda: client.execute_command("REPLICAOF", "NO", "ONE")):
            report = wait_for_health(server.settings(), expect=Expect(role="primary"), timeout_seconds=20)
    assert "ok" == report.verdict


def test_loading_server_is_named_and_waited_for(tmp_path: Path) -> None:
    """While it reads its data it is failed with the progress; the wait ends when it serves."""
    with start_server(tmp_path, directives={"save": "3600 1"}) as server:
        with client_of(server) as client:
            client.mset({f"key:{number}": "x" * 1_000 for number in range(300)})
            client.save()
        server.stop()
        slowly = "\nkey-load-delay 10000\nloading-process-events-interval-bytes 1024\n"  # 10 ms for each of the 300 keys
        server.config_file.write_text(server.config_file.read_text() + slowly)
        with soon(server.start, seconds=0):
            seen: list[HealthReport] = []
            wait_until(lambda: _sees_loading(server, seen), "the server to say that it loads")
            report = wait_for_health(server.settings(), timeout_seconds=20, write_probe=True)
        with client_of(server) as client:
            client.config_set("save", "")
    assert ("failed", "failed") == (seen[-1].verdict, check(seen[-1], "ping").status)
    assert "the server is loading its data" in check(seen[-1], "loading").reason
    assert "ok" == report.verdict


def _sees_loading(server: Server, seen: list[HealthReport]) -> bool:
    seen.append(wait_for_health(server.settings(retry_attempts=0)))
    return check(seen[-1], "loading").status == "failed"


def test_cluster_with_a_dead_primary_fails_on_every_node(tmp_path: Path) -> None:
    """The dead node is named, and the others say which slots are gone."""
    with start_cluster(tmp_path) as cluster:
        nodes = [f"{node.host}:{node.port}" for node in cluster.nodes]
        cluster.nodes[2].kill()
        settings = cluster.settings(retry_attempts=0)
        wait_until(lambda: str(wait_for_health(settings).reasons).count("state is 'fail'") == 2, "the nodes to notice", 20.0)
        report = wait_for_health(settings)
    by_node = dict(reason.split(": ", 1) for reason in report.reasons)
    assert {*nodes, settings.address} == set(by_node)
    assert f"node {nodes[2]} has failed, say 2 of the 2 primaries that were asked" in by_node[settings.address]
    assert "the server cannot be reached" in by_node[nodes[2]]
    assert "the cluster's state is 'fail'" in by_node[nodes[0]]


@pytest.mark.parametrize("denied", ["-cluster|slots", "-cluster|info"])
def test_denied_cluster_commands_are_named(tmp_path: Path, denied: str) -> None:
    """Without CLUSTER SLOTS the cluster cannot be found; without CLUSTER INFO only that check is skipped."""
    with start_cluster(tmp_path, directives={"user": [f"app on >app-secret ~* &* +@all {denied}"]}) as cluster:
        report = wait_for_health(cluster.settings(username="app", password="app-secret"))
    if denied == "-cluster|info":
        assert ("ok", {"skipped"}) == (report.verdict, {entry.status for entry in report.checks if entry.name == "cluster"})
    else:
        assert ("failed", True) == (report.verdict, "'cluster slots' is not available" in report.reasons[0])
