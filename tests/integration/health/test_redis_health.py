# SPDX-License-Identifier: MIT
"""The module redis_health: its options and results, on servers that are well or out of reach."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.keyfleet.redis.plugins.modules import redis_health
from keyfleet.core.connect.client import close
from keyfleet.core.health.report import CHECKS, DEPLOYMENT_CHECKS
from keyfleet.testing.servers import Cluster, Server, start_server
from support.modules import DEBIAN_PYTHON, Result, run_module

PYTHONS = pytest.mark.parametrize("python", [sys.executable, DEBIAN_PYTHON], ids=["current redis-py", "redis-py 4.3.4"])


def at(server: Server, **options: Any) -> dict[str, Any]:
    """Return the options that reach *server*."""
    return {"login_host": server.host, "login_port": server.port, **options}


def check(result: Result, name: str) -> dict[str, Any]:
    """Return the one result of the named check."""
    (found,) = [entry for entry in result["checks"] if entry["name"] == name]
    return found


def keys(server: Server, **changes: Any) -> list[bytes]:
    """Return all keys."""
    client = server.client(**changes)
    try:
        return list(client.keys())
    finally:
        close(client)


@PYTHONS
def test_fresh_server_is_ok(redis_server: Server, python: str) -> None:
    """Every check is there once, in order, and none complains."""
    result = run_module("redis_health", at(redis_server), python=python)
    assert (False, False, "ok", []) == (result.failed, result.changed, result["verdict"], result["reasons"])
    assert [*CHECKS, *DEPLOYMENT_CHECKS] == [entry["name"] for entry in result["checks"]]
    skipped = {entry["name"]: entry["reason"] for entry in result["checks"] if entry["status"] == "skipped"}
    expected = {"cluster": "cluster mode is off", "members": "cluster mode is off", "sentinels": "no Sentinel is configured"}
    expected = {**expected, "certificate": "TLS is off", "round_trip": "no write probe was made"}
    assert {**expected, "pause": "the server does not report paused_actions"} == skipped
    assert {f"{redis_server.host}:{redis_server.port}"} == {entry["node"] for entry in result["checks"]}


def test_documentation_lists_every_check() -> None:
    """The names in the RETURN block are those of the library."""
    documented = yaml.safe_load(redis_health.RETURN)["checks"]["contains"]["name"]["description"][0]
    assert [*CHECKS, *DEPLOYMENT_CHECKS] == [part.split(")")[0] for part in documented.split("V(")[1:]]


def test_values_have_their_unit(redis_server: Server) -> None:
    """Names of numbers end in what they count."""
    result = run_module("redis_health", at(redis_server))
    assert 0 < check(result, "ping")["found"]["latency_ms"] < 1_000
    assert 0 < check(result, "memory")["found"]["used_bytes"]
    assert {"engine": "redis"}.items() <= check(result, "engine")["found"].items()


def test_second_run_is_the_same(redis_server: Server) -> None:
    """Asking changes nothing, so asking again finds the same."""
    first, second = (run_module("redis_health", at(redis_server)) for _run in range(2))
    statuses = [{entry["name"]: entry["status"] for entry in result["checks"]} for result in (first, second)]
    assert statuses[0] == statuses[1]
    assert not second.changed


def test_diff_is_empty(redis_server: Server) -> None:
    """Nothing changes, so there is nothing to show."""
    assert "diff" not in run_module("redis_health", at(redis_server), diff=True)


@PYTHONS
def test_write_probe_proves_a_round_trip_and_leaves_nothing_behind(redis_server: Server, python: str) -> None:
    """The key is written, read back and gone."""
    result = run_module("redis_health", at(redis_server, write_probe=True), python=python)
    assert ("ok", "") == (check(result, "round_trip")["status"], check(result, "round_trip")["reason"])
    assert 0 < check(result, "round_trip")["found"]["latency_ms"]
    assert [] == keys(redis_server)
    assert not result.changed


def test_write_probe_writes_below_the_prefix_of_the_environment(tmp_path: Path) -> None:
    """A user who may touch only the application's keys can still give the proof."""
    with start_server(tmp_path, directives={"user": ["app on >app-secret ~app:* +@all"]}) as server:
        environ = {"REDIS_URL": f"redis://app:app-secret@{server.host}:{server.port}"}
        denied = run_module("redis_health", {"write_probe": True}, environ=environ)
        allowed = run_module("redis_health", {"write_probe": True}, environ={**environ, "REDIS_KEY_PREFIX": "app:"})
    assert ("failed", "ok") == (denied["verdict"], allowed["verdict"])


def test_check_mode_reads_and_writes_nothing(redis_server: Server) -> None:
    """All else is the same."""
    client = redis_server.client()
    before = client.info("commandstats").get("cmdstat_set", {}).get("calls", 0)
    result = run_module("redis_health", at(redis_server, write_probe=True), check=True)
    after = client.info("commandstats").get("cmdstat_set", {}).get("calls", 0)
    close(client)
    assert ("ok", "skipped") == (result["verdict"], check(result, "round_trip")["status"])
    assert before == after


def test_missing_and_wrong_options_are_refused(redis_server: Server) -> None:
    """The message names the option and what is allowed."""
    missing = run_module("redis_health", {"sentinels": ["127.0.0.1:26379"]})
    assert missing.failed
    assert "service_name" in missing["msg"]
    wrong = run_module("redis_health", at(redis_server, fail_on="always"))
    assert "failed, degraded, never" in wrong["msg"]
    port = run_module("redis_health", {"login_port": 70_000})
    assert ("SettingsError", True) == (port["error"], "1 to 65535" in port["msg"])
    unknown = run_module("redis_health", at(redis_server, thresholds={"latency": 1}))
    assert "latency" in unknown["msg"]


def test_unix_socket(tmp_path: Path) -> None:
    """A server without a port is asked through its socket."""
    with start_server(tmp_path, unix_socket=True) as server:
        result = run_module("redis_health", {"login_unix_socket": server.unix_socket, "write_probe": True})
    assert "ok" == result["verdict"]
    assert f"unix:{server.unix_socket}" == check(result, "ping")["node"]


@PYTHONS
def test_server_down_is_a_verdict(tmp_path: Path, python: str) -> None:
    """Verdict, reason and checks are returned although the task fails; with never it does not."""
    with start_server(tmp_path) as server:
        options = at(server)
    result = run_module("redis_health", options, python=python)
    assert (True, "failed") == (result.failed, result["verdict"])
    assert "Connection refused" in result["reasons"][0]
    assert f"the verdict is failed: {result['reasons'][0]}" == result["msg"]
    assert [*CHECKS, *DEPLOYMENT_CHECKS] == [entry["name"] for entry in result["checks"]]
    never = run_module("redis_health", {**options, "fail_on": "never"}, python=python)
    assert (False, False, "failed") == (never.failed, never.changed, never["verdict"])


def test_hung_server_is_a_verdict(tmp_path: Path) -> None:
    """A server that accepts and never answers is reported within the timeout, and is healthy again when it continues."""
    with start_server(tmp_path) as server:
        os.kill(server.pid, signal.SIGSTOP)
        result = run_module("redis_health", at(server, timeout_seconds=0.3))
        os.kill(server.pid, signal.SIGCONT)
        assert (True, "failed") == (result.failed, result["verdict"])
        assert "imeout" in result["reasons"][0] or "imed out" in result["reasons"][0]
        assert "ok" == run_module("redis_health", at(server))["verdict"]


@PYTHONS
def test_wrong_password_is_a_verdict_without_the_password(password_server: Server, python: str) -> None:
    """Refused and missing passwords are not reported as a server that is down, no wait delays the verdict, and nothing leaks."""
    wrong = run_module("redis_health", at(password_server, login_password="not-the-secret", wait_timeout_seconds=30), python=python)
    assert (True, "failed") == (wrong.failed, wrong["verdict"])
    assert "refused the credentials" in wrong["reasons"][0]
    assert "not-the-secret" not in wrong.stdout + wrong.stderr
    missing = run_module("redis_health", at(password_server), python=python)
    assert "refused the credentials" in missing["reasons"][0]
    right = run_module("redis_health", at(password_server, login_password=password_server.password), python=python)
    assert "ok" == right["verdict"]
    assert str(password_server.password) not in right.stdout + right.stderr


def test_denied_info_skips_its_checks(tmp_path: Path) -> None:
    """What the user may not ask is skipped with the reason; PING still answers."""
    with start_server(tmp_path, directives={"user": ["probe on >probe-secret ~* +ping"]}) as server:
        result = run_module("redis_health", at(server, login_user="probe", login_password="probe-secret"))
    assert (False, "ok") == (result.failed, result["verdict"])
    assert {"ping"} == {entry["name"] for entry in result["checks"] if entry["status"] == "ok"}
    assert "'info'" in check(result, "memory")["reason"]
    assert "cluster info" in check(result, "cluster")["reason"]


def test_denied_ping_skips_its_check(tmp_path: Path) -> None:
    """INFO answers all the same."""
    with start_server(tmp_path, directives={"user": ["probe on >probe-secret ~* +info"]}) as server:
        result = run_module("redis_health", at(server, login_user="probe", login_password="probe-secret"))
    assert ("ok", "skipped", "ok") == (result["verdict"], check(result, "ping")["status"], check(result, "memory")["status"])


def test_denied_write_fails_because_it_was_asked_for(tmp_path: Path) -> None:
    """A proof that was not given is no proof."""
    with start_server(tmp_path, directives={"user": ["probe on >probe-secret ~* +info +ping +get"]}) as server:
        result = run_module("redis_health", at(server, login_user="probe", login_password="probe-secret", write_probe=True))
    assert (True, "failed") == (result.failed, check(result, "round_trip")["status"])
    assert "'set'" in check(result, "round_trip")["reason"]


def test_denied_delete_is_reported_and_the_probe_expires(tmp_path: Path) -> None:
    """The round trip is proven; the key has a TTL."""
    with start_server(tmp_path, directives={"user": ["probe on >probe-secret ~* +info +ping +get +set"]}) as server:
        result = run_module("redis_health", at(server, login_user="probe", login_password="probe-secret", write_probe=True))
        (left,) = keys(server)
        client = server.client()
        ttl = client.ttl(left)
        close(client)
    assert "ok" == check(result, "round_trip")["status"]
    assert "expires after 10 s" in check(result, "round_trip")["reason"]
    assert 0 < ttl <= 10


def test_renamed_commands_are_like_denied_ones(tmp_path: Path) -> None:
    """Managed services remove CONFIG and others; no check needs CONFIG, and INFO is skipped where it is unknown."""
    with start_server(tmp_path / "config", directives={"rename-command": ['CONFIG ""', 'DEBUG ""', 'BGSAVE ""', 'SHUTDOWN ""']}) as server:
        assert "ok" == run_module("redis_health", at(server, write_probe=True))["verdict"]
    with start_server(tmp_path / "info", directives={"rename-command": ['INFO ""']}) as server:
        result = run_module("redis_health", at(server))
        expected = run_module("redis_health", at(server, expect={"role": "primary"}))
    assert ("ok", "skipped") == (result["verdict"], check(result, "memory")["status"])
    assert "which cannot be verified" in expected["reasons"][0]


def test_elasticache_like_user_gets_every_check(tmp_path: Path) -> None:
    """The commands that ElastiCache removes are not needed."""
    taken = (
        "-config -debug -migrate -save -bgsave -bgrewriteaof -replicaof -slaveof -shutdown -sync -psync -acl|setuser -acl|load -acl|save"
    )
    with start_server(tmp_path, directives={"user": [f"app on >app-secret ~* &* +@all {taken}"]}) as server:
        result = run_module("redis_health", at(server, login_user="app", login_password="app-secret", write_probe=True))
    assert "ok" == result["verdict"]
    assert {"cluster", "certificate", "pause", *DEPLOYMENT_CHECKS} == {
        entry["name"] for entry in result["checks"] if entry["status"] == "skipped"
    }


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        ({"role": "replica"}, "the role is primary, expected: replica"),
        ({"engine": "valkey"}, "the engine is redis, expected: valkey"),
        ({"version": "99.1"}, ", expected: 99.1"),
        ({"replicas": 1}, "0 replicas are in sync, expected: 1"),
    ],
    ids=["role", "engine", "version", "replicas"],
)
def test_mismatch_fails_with_what_was_found(redis_server: Server, expect: dict[str, Any], reason: str) -> None:
    """Each expectation that does not hold is named."""
    result = run_module("redis_health", at(redis_server, expect=expect))
    assert (True, "failed", 1) == (result.failed, result["verdict"], len(result["reasons"]))
    assert reason in result["msg"]


def test_expectations_that_hold_change_nothing(redis_server: Server) -> None:
    """A version may be given by its first part."""
    client = redis_server.client()
    version = client.info("server")["redis_version"].split(".")[0]
    close(client)
    expectations = {"role": "primary", "engine": "redis", "version": version, "replicas": 0}
    assert "ok" == run_module("redis_health", at(redis_server, expect=expectations))["verdict"]


def test_threshold_decides_and_fail_on_names_the_mildest_failure(redis_server: Server) -> None:
    """A PING slower than nothing is degraded; that fails only with fail_on degraded."""
    thresholds = {"latency_ms": 0}
    degraded = run_module("redis_health", at(redis_server, thresholds=thresholds))
    assert (False, "degraded") == (degraded.failed, degraded["verdict"])
    failed = run_module("redis_health", at(redis_server, thresholds=thresholds, fail_on="degraded"))
    assert (True, "degraded") == (failed.failed, failed["verdict"])


@PYTHONS
def test_cluster_asks_every_primary(redis_cluster: Cluster, python: str) -> None:
    """Each primary is named, well, and takes a write of its own."""
    nodes = [f"{node.host}:{node.port}" for node in redis_cluster.primaries()]
    result = run_module("redis_health", {"startup_nodes": nodes[:1], "write_probe": True, "expect": {"role": "primary"}}, python=python)
    assert "ok" == result["verdict"]
    for name in ("ping", "cluster", "round_trip"):
        assert [(node, "ok") for node in nodes] == [(entry["node"], entry["status"]) for entry in result["checks"] if entry["name"] == name]
    slots = [entry["found"]["slots_ok"] for entry in result["checks"] if entry["name"] == "cluster"]
    assert [16384] * 3 == slots
    assert [[]] * 3 == [keys(node) for node in redis_cluster.primaries()]


@PYTHONS
def test_cluster_that_is_down_is_a_verdict(tmp_path: Path, python: str) -> None:
    """No node answers: the cluster as a whole is named."""
    with start_server(tmp_path) as server:
        address = f"{server.host}:{server.port}"
    result = run_module("redis_health", {"startup_nodes": [address]}, python=python)
    assert (True, "failed") == (result.failed, result["verdict"])
    assert result["reasons"][0].startswith(f"cluster {address}: the server cannot be reached")


def test_cluster_option_for_a_single_server_is_named(redis_server: Server) -> None:
    """The reason says what is wrong, not that something raised."""
    result = run_module("redis_health", {"startup_nodes": [f"{redis_server.host}:{redis_server.port}"]})
    assert (True, "failed") == (result.failed, result["verdict"])
    assert "does not run in cluster mode" in result["reasons"][0]
