# SPDX-License-Identifier: MIT
"""The module redis_key over every kind of connection, with its secrets kept."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keyfleet.testing.servers import Cluster, SentinelGroup, Server, start_cluster, start_sentinel, start_server
from support.modules import DEBIAN_PYTHON, Result, run_module

PASSWORD = "correct-horse-battery"


@pytest.fixture(params=[sys.executable, DEBIAN_PYTHON], ids=["current", "distribution"])
def python(request: pytest.FixtureRequest) -> str:
    """The interpreter of the test environment, and the distribution's with its redis-py."""
    return str(request.param)


def written(python: str, args: dict[str, Any], environ: dict[str, str] | None = None) -> Result:
    """Write one key, check that a second run finds it, and return the first result."""
    task = {"key": "k", "value": "v", **args}
    first = run_module("redis_key", task, python=python, environ=environ)
    assert (False, True) == (first.failed, first.changed), first.data
    second = run_module("redis_key", task, python=python, environ=environ)
    assert (False, False) == (second.failed, second.changed), second.data
    assert PASSWORD not in first.stdout + first.stderr
    return first


def test_unix_socket(tmp_path: Path, python: str) -> None:
    """A server that listens on a socket alone, by option and by URL."""
    with start_server(tmp_path, unix_socket=True) as server:
        written(python, {"login_unix_socket": server.unix_socket})
        assert b"v" == server.client().get("k")
        assert not run_module("redis_key", {"url": f"unix://{server.unix_socket}", "key": "k", "value": "v"}, python=python).changed


def test_url(password_server: Server, python: str) -> None:
    """Password and database come from the URL, and are not printed."""
    written(python, {"url": f"redis://:{PASSWORD}@127.0.0.1:{password_server.port}/3"})
    assert b"v" == password_server.client(db=3).get("k")
    assert 0 == password_server.client().dbsize()


def test_database(redis_server: Server, python: str) -> None:
    """The key goes to the database named, and to no other."""
    written(python, {"login_port": redis_server.port, "db": 2})
    assert (1, 0) == (redis_server.client(db=2).dbsize(), redis_server.client().dbsize())


def test_environment(password_server: Server, python: str) -> None:
    """Without connection options the library's variables count, the prefix too."""
    environ = {
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(password_server.port),
        "REDIS_PASSWORD": PASSWORD,
        "REDIS_KEY_PREFIX": "app:",
        "REDIS_DB": "1",
    }
    assert ["app:k"] == [entry["key"] for entry in written(python, {}, environ)["entries"]]
    assert b"v" == password_server.client(db=1).get("app:k")


def test_option_that_names_a_server_sets_the_environment_aside(redis_server: Server, python: str) -> None:
    """Neither the password nor the prefix of the environment goes to another server."""
    environ = {"REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:1/5", "REDIS_KEY_PREFIX": "app:"}
    written(python, {"login_host": "127.0.0.1", "login_port": redis_server.port}, environ)
    assert b"v" == redis_server.client().get("k")


def test_bad_environment_is_named(python: str) -> None:
    """The variable, the value found and what is allowed."""
    result = run_module("redis_key", {"key": "k", "value": 1}, python=python, environ={"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "http"})
    assert (True, "SettingsError") == (result.failed, result["error"])
    assert "REDIS_PORT is 'http'" in result["msg"]


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that speaks TLS only and wants a password."""
    with start_server(tmp_path_factory.mktemp("tls"), tls=True, password=PASSWORD) as server:
        yield server


def test_tls(tls_server: Server, python: str) -> None:
    """The certificate is verified against the CA given, by options and by URL; without it the reason is named."""
    tls_server.client().flushall()
    options = {"login_host": "127.0.0.1", "login_port": tls_server.port, "login_password": PASSWORD, "tls": True}
    written(python, {**options, "ca_certs": tls_server.tls_ca_file})
    url = f"rediss://:{PASSWORD}@127.0.0.1:{tls_server.port}"
    for trusted in ({**options, "validate_certs": False}, {"url": url, "ca_certs": tls_server.tls_ca_file}):
        assert not run_module("redis_key", {**trusted, "key": "k", "value": "v"}, python=python).failed
    refused = run_module("redis_key", {**options, "key": "k", "value": "v"}, python=python)
    assert (True, "CertificateError") == (refused.failed, refused["error"])
    assert "certificate is not accepted" in refused["msg"]


@pytest.fixture(scope="module")
def sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelGroup]:
    """A primary that Sentinels watch."""
    with start_sentinel(tmp_path_factory.mktemp("sentinel"), password=PASSWORD) as group:
        yield group


def test_sentinel(sentinel: SentinelGroup, python: str) -> None:
    """The Sentinels say where the primary is; the password goes to it."""
    settings = sentinel.settings()
    client = sentinel.client()
    client.flushall()
    sentinels = [f"{host}:{port}" for host, port in settings.sentinels]
    written(python, {"sentinels": sentinels, "service_name": settings.sentinel_service, "login_password": PASSWORD})
    assert b"v" == client.get("k")


def test_sentinels_with_a_password_of_their_own(tmp_path: Path) -> None:
    """It is another one than the servers'; without it the refusal is one of credentials."""
    with start_sentinel(tmp_path, password=PASSWORD) as group:
        settings = group.settings()
        for sentinel in group.sentinels:
            with sentinel.client() as client:
                client.execute_command("ACL", "SETUSER", "asker", "on", ">of-the-sentinels", "+@all", "allchannels")
                client.execute_command("ACL", "SETUSER", "default", "resetpass", ">of-default")
        options = {
            "sentinels": [f"{host}:{port}" for host, port in settings.sentinels],
            "service_name": settings.sentinel_service,
            "login_password": PASSWORD,
            "key": "asked",
            "value": "1",
        }
        for login in ({"sentinel_password": "of-default"}, {"sentinel_user": "asker", "sentinel_password": "of-the-sentinels"}):
            assert not run_module("redis_key", {**options, **login}).failed
        refused = run_module("redis_key", options)
        assert (True, "CredentialsError") == (refused.failed, refused["error"])


@pytest.fixture(scope="module")
def password_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that wants a password."""
    with start_cluster(tmp_path_factory.mktemp("password_cluster"), password=PASSWORD) as cluster:
        yield cluster


def test_cluster_with_a_password(password_cluster: Cluster, python: str) -> None:
    """One node is enough to find the rest; a wrong password is reported as one."""
    host, port = password_cluster.settings().cluster_nodes[0]
    nodes = {"startup_nodes": [f"{host}:{port}"]}
    for node in password_cluster.nodes:
        node.client().flushall()
    entries = [{"key": f"k{number}", "value": number} for number in range(50)]
    result = run_module("redis_key", {**nodes, "login_password": PASSWORD, "entries": entries}, python=python)
    assert 50 == result["counts"]["created"]
    assert PASSWORD not in result.stdout + result.stderr
    refused = run_module("redis_key", {**nodes, "login_password": "wrong-horse", "entries": entries}, python=python)
    assert (True, "CredentialsError") == (refused.failed, refused["error"])
    assert "wrong-horse" not in refused.stdout + refused.stderr


def test_one_node_of_a_cluster_is_not_a_server(redis_cluster: Cluster, python: str) -> None:
    """Keys of other nodes fail with the advice to name the cluster; the node's own are done, and reported so."""
    host, port = redis_cluster.settings().cluster_nodes[0]
    entries = [{"key": f"k{number}", "value": number} for number in range(50)]
    result = run_module("redis_key", {"login_host": host, "login_port": port, "entries": entries}, python=python)
    assert (True, True) == (result.failed, result.changed)
    assert 0 < result["counts"]["created"] < 50
    assert result["counts"]["created"] == sum(node.client().dbsize() for node in redis_cluster.primaries())
    assert "name the cluster's nodes instead" in result["msg"]


@pytest.mark.parametrize(
    "args",
    [
        {"url": f"redis://:{PASSWORD}@127.0.0.1:1"},
        {"url": f"redis://:{PASSWORD}@127.0.0.1:http"},
        {"url": f"redis://:{PASSWORD}"},
        {"url": PASSWORD},
        {"login_port": 1, "login_password": PASSWORD},
        {"login_port": 99999, "login_password": PASSWORD},
        {"startup_nodes": ["127.0.0.1:1"], "login_password": PASSWORD},
        {"sentinels": ["127.0.0.1:1"], "service_name": "main", "login_password": PASSWORD},
    ],
)
def test_failures_do_not_print_the_password(args: dict[str, Any]) -> None:
    """Whatever is wrong with the connection, its password stays out of the output."""
    result = run_module("redis_key", {"key": "k", "value": 1, **args}, diff=True)
    assert result.failed
    assert PASSWORD not in result.stdout + result.stderr


def test_password_of_the_environment_is_not_printed(redis_server: Server) -> None:
    """Even where it is part of a key or a value that the result would show."""
    environ = {"REDIS_PASSWORD": PASSWORD, "REDIS_PORT": str(redis_server.port)}
    redis_server.client().execute_command("ACL", "SETUSER", "default", f">{PASSWORD}")
    try:
        result = run_module("redis_key", {"key": PASSWORD, "value": PASSWORD}, diff=True, environ=environ)
    finally:
        redis_server.client(password=PASSWORD).execute_command("ACL", "SETUSER", "default", "nopass")
    assert result.changed
    assert PASSWORD not in str(result["entries"]) + str(result["diff"])
