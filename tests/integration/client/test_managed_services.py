# SPDX-License-Identifier: MIT
"""What only endpoints of managed services have: names, denied commands, and roles that move behind a name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keyfleet import AsyncClient, CertificateError, CredentialsError
from keyfleet.core.connect.client import close, connect
from keyfleet.core.connect.redis_py import translated
from keyfleet.core.health.report import wait_for_health
from support.clients import OpenClient
from support.load import Load
from support.managed import RENAMED, TOKEN, KeptManaged, Managed, assert_denied, start_managed
from support.modules import DEBIAN_PYTHON, run_module

ON_EVERY_SERVER = "full"
pytestmark = pytest.mark.slow

KINDS = ["enabled-unknown", "disabled-noperm", "disabled-unknown", "serverless-noperm", "serverless-unknown"]


@pytest.fixture(scope="module", params=KINDS)
def kept_managed(request: pytest.FixtureRequest, redis_engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeptManaged]:
    """An emulation of each shape and style, shared by the tests of this module."""
    shape, style = request.param.split("-")
    kept = KeptManaged(lambda folder: start_managed(folder, shape, style, redis_engine), lambda: tmp_path_factory.mktemp("m"))
    yield kept
    kept.stop()


@pytest.fixture
def managed(kept_managed: KeptManaged) -> Managed:
    """Each emulation in turn, empty."""
    return kept_managed.fresh()


def module_options(managed: Managed, **changes: Any) -> dict[str, Any]:
    """Return the connection options of a task."""
    place: dict[str, Any] = {"login_host": managed.endpoint, "login_port": managed.nodes[0].port}
    if managed.shape != "disabled":
        place = {"startup_nodes": [f"{managed.endpoint}:{managed.nodes[0].port}"]}
    login = {"login_user": managed.user, "login_password": TOKEN} if managed.user else {"login_password": TOKEN}
    return {**place, **login, "tls": True, "ca_certs": str(managed.ca), **changes}


def test_every_denied_command_is_named(managed: Managed) -> None:
    """By the error and its attribute, whether the server says NOPERM or that it does not know the command."""
    unknown = ["debug", *(command.lower() for command in RENAMED if managed.style == "unknown")]
    assert_denied(managed.settings(timeout_seconds=5.0), managed.nodes[0].settings(), managed.shape, unknown)


def test_health_lists_what_it_could_not_check(managed: Managed, tmp_path: Path) -> None:
    """The module, by each redis-py: a write read back, the certificate, and nothing failed for want of a command."""
    for python in (None, DEBIAN_PYTHON):
        more = {} if python is None else {"python": python}
        result = run_module("redis_health", module_options(managed, write_probe=True), environ=managed.in_processes(tmp_path), **more)
        assert (False, "ok") == (result.failed, result.get("verdict")), result.data
        statuses = {(check["name"], check["status"]) for check in result["checks"]}
        assert {("round_trip", "ok"), ("certificate", "ok"), ("role", "ok")} <= statuses
        assert 3 * (managed.shape == "enabled") + (managed.shape != "enabled") == sum(one["name"] == "ping" for one in result["checks"])


def test_modules_change_keys(managed: Managed, tmp_path: Path) -> None:
    """redis_key and redis_invalidate need no command that is denied, in check mode and in a run."""
    environ = managed.in_processes(tmp_path)
    entries = [{"key": f"app:{number}", "value": {"n": number}, "type": "json", "ttl_seconds": 600} for number in range(50)]
    for expected in (True, False):
        predicted = run_module("redis_key", module_options(managed, entries=entries), check=True, environ=environ)
        done = run_module("redis_key", module_options(managed, entries=entries), environ=environ)
        assert (False, expected, expected) == (done.failed, predicted.changed, done.changed), done.data
    for python in (None, DEBIAN_PYTHON):
        more = {} if python is None else {"python": python}
        found = run_module("redis_invalidate", module_options(managed, prefix="app:"), check=True, environ=environ, **more)
        assert 50 == found["matched"], found.data
    gone = run_module("redis_invalidate", module_options(managed, prefix="app:"), environ=environ)
    assert (True, 50) == (gone.changed, gone["deleted"])


def test_a_refused_token_and_a_wrong_name_are_named(managed: Managed, open_client: OpenClient) -> None:
    """The client and the modules' connection, also where redis-py hides the cause behind a cluster's exception."""
    wrong_token = managed.settings(password="this-is-another-token", timeout_seconds=5.0)
    wrong_name = managed.settings(tls_server_name="master.other.example.test", timeout_seconds=5.0)
    for settings, expected in ((wrong_token, CredentialsError), (wrong_name, CertificateError)):
        with pytest.raises(expected):
            open_client(settings).get("k")
        with pytest.raises(expected), translated(settings):
            client = connect(settings)
            client.ping()
    assert wait_for_health(wrong_token).refused


def test_through_a_tunnel(managed: Managed, open_client: OpenClient) -> None:
    """The name of the certificate is a setting where servers are reached by another one; without it they are refused."""
    node = managed.nodes[0]
    by_address: dict[str, Any] = {"host": node.host, "port": node.port, "timeout_seconds": 5.0}
    if managed.shape != "disabled":
        by_address = {"cluster_nodes": ((node.host, node.port),), "timeout_seconds": 5.0}
    with pytest.raises(CertificateError):
        open_client(managed.settings(**by_address)).ping()
    settings = managed.settings(**by_address, tls_server_name=managed.endpoint)
    client = open_client(settings)
    client.set("k", "v")
    assert "v" == client.get("k")
    plain = connect(settings)
    assert b"v" == plain.get("k")
    close(plain)
    report = wait_for_health(settings, write_probe=True)
    assert "ok" == report.verdict, report.reasons


def test_raw_of_asyncio_through_a_tunnel(managed: Managed) -> None:
    """redis-py's own client for asyncio verifies the same name."""
    node = managed.nodes[0]
    by_address: dict[str, Any] = {"host": node.host, "port": node.port}
    if managed.shape != "disabled":
        by_address = {"cluster_nodes": ((node.host, node.port),)}

    async def ask() -> Any:
        async with AsyncClient.from_settings(managed.settings(**by_address, tls_server_name=managed.endpoint)) as client:
            await client.raw.set("k", "v")
            return await client.raw.get("k")

    assert b"v" == asyncio.run(ask())


def test_a_failover_with_no_failed_call(tmp_path: Path, redis_engine: str, open_client: OpenClient) -> None:
    """Cluster mode disabled: the primary's name follows two planned failovers, and no acknowledged write is lost."""
    with start_managed(tmp_path, "disabled", "unknown", redis_engine) as managed:
        client = open_client(managed.settings(timeout_seconds=10.0, retry_delay_ms=10))
        with Load([lambda number, key=f"k{caller}": client.set(key, number) for caller in range(4)]) as load:  # type: ignore[misc]
            for _unused in range(2):
                load.go_on()
                managed.fail_over()
            load.go_on()
        assert [] == load.errors
        assert [worker.done[-1] for worker in load.workers] == [int(client.get(f"k{caller}") or -1) for caller in range(4)]
