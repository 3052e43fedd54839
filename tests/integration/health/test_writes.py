# SPDX-License-Identifier: MIT
"""Servers that refuse or hold up writes, and denied probes, as redis_health, Client.health and AsyncClient.health report them."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from keyfleet.testing._server import wait_until
from keyfleet.testing.servers import Server, start_server
from support.clients import OpenBoth
from support.modules import DEBIAN_PYTHON, run_module

ON_EVERY_SERVER = True
pytestmark = pytest.mark.client

Checks = dict[str, dict[str, Any]]
Reports = Callable[..., dict[str, Checks]]
TIMEOUT_SECONDS = 0.5
NO_CONFIG = "app on >battery-staple ~* &* +@all -config"
OTHER_KEYS = "app on >battery-staple ~app:* &* +@all"
LOGIN = {"username": "app", "password": "battery-staple"}


@pytest.fixture
def reports(open_both: OpenBoth) -> Reports:
    """Return the checks of all that report health, by name; no reason repeats the address that stands before it."""

    def ask(server: Server, **login: str) -> dict[str, Checks]:
        settings = server.settings(timeout_seconds=TIMEOUT_SECONDS, retry_attempts=0, **login)
        options: dict[str, Any] = {"login_host": server.host, "login_port": server.port, "timeout_seconds": TIMEOUT_SECONDS}
        names = {"username": "login_user", "password": "login_password"}
        options.update({names[name]: value for name, value in login.items()}, write_probe=True, fail_on="never")
        found: dict[str, Any] = {}
        for name, python in {"module": sys.executable, "module with redis-py 4.3.4": DEBIAN_PYTHON}.items():
            found[name] = run_module("redis_health", options, python=python).data
        for name, client in zip(("Client", "AsyncClient"), open_both(settings), strict=True):
            found[name] = client.health(write_probe=True).as_dict()
        address = f"{server.host}:{server.port}"
        for name, report in found.items():
            assert [] == [reason for reason in report["reasons"] if reason.count(address) != 1], name
            assert f"{server.host}:0" not in json.dumps(report), name
        return {name: {check["name"]: check for check in report["checks"]} for name, report in found.items()}

    return ask


def assert_all(found: dict[str, Checks], check: str, status: str, *parts: str) -> None:
    """Assert that each report has *status* for the check, and every one of *parts* in its reason."""
    for name, checks in found.items():
        assert (name, check, status) == (name, check, checks[check]["status"]), checks[check]
        for part in parts:
            assert part in checks[check]["reason"], (name, checks[check])


@contextmanager
def replica_of(primary: Server, engine: str, folder: Path) -> Iterator[Server]:
    """Give a replica that is in sync."""
    directives = {"replicaof": f"{primary.host} {primary.port}"}
    with start_server(folder, engine=engine, directives=directives) as replica, primary.client() as client:
        wait_until(lambda: client.info("replication").get("slave0", {}).get("state") == "online", "the replica to be in sync")
        yield replica


def test_without_a_replica_that_is_required(tmp_path: Path, redis_engine: str, reports: Reports) -> None:
    """No CONFIG is needed to know that none is fewer than required."""
    directives = {"min-replicas-to-write": 1, "user": [NO_CONFIG]}
    with start_server(tmp_path, engine=redis_engine, directives=directives) as server:
        found = reports(server, **LOGIN)
    assert_all(found, "replication", "failed", "refuses writes with NOREPLICAS", "min-replicas-to-write is set, and 0 replicas")
    assert_all(found, "round_trip", "failed", "NOREPLICAS")
    assert_all(found, "ping", "ok")


def test_with_fewer_replicas_than_required(tmp_path: Path, redis_engine: str, reports: Reports) -> None:
    """How many are required is known where CONFIG may be asked; elsewhere only the probe shows it."""
    directives = {"min-replicas-to-write": 2, "repl-diskless-sync-delay": 0, "user": [NO_CONFIG]}
    with (
        start_server(tmp_path / "primary", engine=redis_engine, directives=directives) as server,
        replica_of(server, redis_engine, tmp_path / "replica"),
        server.client() as client,
    ):
        known, unknown = reports(server), reports(server, **LOGIN)
        client.config_set("min-replicas-to-write", 1)
        enough = reports(server)
    assert_all(known, "replication", "failed", "min-replicas-to-write is 2, and 1 replicas")
    assert_all(known, "round_trip", "failed", "NOREPLICAS")
    assert_all(unknown, "replication", "ok")
    assert_all(unknown, "round_trip", "failed", "NOREPLICAS")
    assert_all(enough, "replication", "ok")
    assert_all(enough, "round_trip", "ok")


@pytest.mark.parametrize("stop_writes", ["yes", "no"])
def test_after_a_failed_snapshot(tmp_path: Path, redis_engine: str, reports: Reports, stop_writes: str) -> None:
    """Writes are refused with MISCONF, PING as well; or they are accepted and no snapshot holds them."""
    gone = tmp_path / "gone"
    gone.mkdir()
    directives = {"dir": str(gone), "save": "3600 1", "stop-writes-on-bgsave-error": stop_writes, "user": [NO_CONFIG]}
    with start_server(tmp_path / "server", engine=redis_engine, directives=directives) as server, server.client() as client:
        shutil.rmtree(gone)
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot to fail")
        found, unknown = reports(server), reports(server, **LOGIN)
        server.kill()  # asked to stop, it would try to save
    assert_all(unknown, "persistence", "failed", "by default the server then refuses writes with MISCONF")
    if stop_writes == "yes":
        assert_all(found, "persistence", "failed", "the server refuses writes with MISCONF")
        assert_all(found, "ping", "failed", "MISCONF")
        assert_all(found, "round_trip", "failed", "MISCONF")
    else:
        assert_all(found, "persistence", "degraded", "still takes writes (stop-writes-on-bgsave-error is no)", "no snapshot holds them")
        assert_all(found, "ping", "ok")
        assert_all(found, "round_trip", "ok")


def test_without_snapshots_a_failed_one_stops_nothing(tmp_path: Path, redis_engine: str, reports: Reports) -> None:
    """The server refuses writes only if it is to make snapshots."""
    gone = tmp_path / "gone"
    gone.mkdir()
    directives = {"dir": str(gone), "save": ""}
    with start_server(tmp_path / "server", engine=redis_engine, directives=directives) as server, server.client() as client:
        shutil.rmtree(gone)
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "the snapshot to fail")
        found = reports(server)
        server.kill()
    assert_all(found, "persistence", "degraded", "save is empty")
    assert_all(found, "round_trip", "ok")


def test_while_writes_are_paused(tmp_path: Path, redis_engine: str, reports: Reports) -> None:
    """The probe gets no reply although PING does; Valkey says so in INFO, too."""
    with start_server(tmp_path, engine=redis_engine) as server, server.client() as client:
        client.execute_command("CLIENT", "PAUSE", 600_000, "WRITE")
        found = reports(server)
        client.execute_command("CLIENT", "UNPAUSE")
        after = reports(server)
    assert_all(found, "ping", "ok")
    assert_all(found, "round_trip", "failed", "writes may be paused")
    assert_all(after, "round_trip", "ok")
    if redis_engine.startswith("valkey"):
        assert_all(found, "pause", "degraded", "writes are paused for another", "client_pause")
        assert_all(after, "pause", "ok")
    else:
        assert_all(found, "pause", "skipped", "does not report paused_actions")


def test_a_replica_without_an_address(tmp_path: Path, redis_engine: str, reports: Reports) -> None:
    """It asked for the data and has not announced its port, which INFO shows as 0; it is never called by that."""
    with (
        start_server(tmp_path, engine=redis_engine, directives={"repl-diskless-sync-delay": 60}) as server,
        server.client() as client,
        socket.create_connection((server.host, server.port)) as connection,
    ):
        connection.sendall(b"SYNC\r\n")
        wait_until(lambda: client.info("replication")["connected_slaves"] == 1, "the server to list it")
        found = reports(server)
    assert {""} == {row["address"] for checks in found.values() for row in checks["replication"]["found"]["replicas"]}


def test_a_denied_key(tmp_path: Path, redis_engine: str, reports: Reports) -> None:
    """The probe's name is none of the user's; the command is not said to be missing."""
    with start_server(tmp_path, engine=redis_engine, directives={"user": [OTHER_KEYS]}) as server:
        found = reports(server, **LOGIN)
    assert_all(found, "round_trip", "failed", "key")
    assert [] == [name for name, checks in found.items() if "is not available" in checks["round_trip"]["reason"]]


@pytest.mark.parametrize("trouble", ["nothing listens", "no reply", "wrong password"])
def test_a_server_that_cannot_be_used(tmp_path: Path, redis_engine: str, reports: Reports, trouble: str) -> None:
    """One reason, which names the address once."""
    with start_server(tmp_path, engine=redis_engine, directives={"user": [NO_CONFIG]}) as server:
        if trouble == "nothing listens":
            server.kill()
        elif trouble == "no reply":
            server.pause()
        found = reports(server, **({"username": "app", "password": "wrong"} if trouble == "wrong password" else {}))
        if trouble == "no reply":
            server.resume()
    expected = "the server refused the credentials" if trouble == "wrong password" else "the server cannot be reached"
    assert_all(found, "ping", "failed", expected)
