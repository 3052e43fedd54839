# SPDX-License-Identifier: MIT
"""How a Client comes to be, and what it says when the server is not there."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from keyfleet import Client, CredentialsError, DecodeError, Settings, SettingsError, UnreachableError
from keyfleet.testing.servers import Cluster, Server, start_server

PASSWORD = "p@ss/w:rd %"
ENCODED = "p%40ss%2Fw%3Ard%20%25"


def test_from_env_takes_each_way_to_say_it(tmp_path: Path) -> None:
    """Parts, URL, password file: all reach the same server."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n", encoding="utf-8")
    with start_server(tmp_path / "s", password=PASSWORD) as server:
        environments = [
            {"REDIS_HOST": server.host, "REDIS_PORT": str(server.port), "REDIS_PASSWORD": PASSWORD},
            {"REDIS_URL": f"redis://:{ENCODED}@{server.host}:{server.port}/0"},
            {"REDIS_URL": f"redis://{server.host}:{server.port}", "REDIS_PASSWORD_FILE": str(file)},
        ]
        for number, environ in enumerate(environments):
            with Client.from_env({**environ, "REDIS_KEY_PREFIX": "p:"}) as client:
                assert number + 1 == client.incr("n")


def test_from_env_reads_the_process_environment(redis_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application passes nothing."""
    monkeypatch.setenv("REDIS_URL", f"redis://{redis_server.host}:{redis_server.port}")
    with Client.from_env() as client:
        assert client.ping()


def test_from_env_reaches_a_cluster(redis_cluster: Cluster) -> None:
    """REDIS_CLUSTER_NODES is enough."""
    nodes = ",".join(f"{node.host}:{node.port}" for node in redis_cluster.nodes)
    with Client.from_env({"REDIS_CLUSTER_NODES": nodes}) as client:
        assert client.set("k", "v")
        assert 3 == len(client.info())


def test_from_env_reaches_tls(tmp_path: Path) -> None:
    """rediss:// turns it on, REDIS_TLS_CA_FILE says whom to trust."""
    with start_server(tmp_path, tls=True) as server:
        ca_file = str(server.tls_ca_file)
        with Client.from_env({"REDIS_URL": f"rediss://localhost:{server.port}", "REDIS_TLS_CA_FILE": ca_file}) as client:
            assert client.ping()
        parts = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(server.port), "REDIS_TLS_ENABLED": "true", "REDIS_TLS_CA_FILE": ca_file}
        with Client.from_env(parts) as client:
            assert client.ping()


def test_from_url_reaches_a_socket(tmp_path: Path) -> None:
    """unix:// with a database."""
    with start_server(tmp_path, unix_socket=True) as server, Client.from_url(f"unix://{server.unix_socket}?db=1") as client:
        assert client.set("k", "v")
        assert 1 == client.settings.db


def test_nothing_set_is_said_at_once() -> None:
    """Before any connection."""
    with pytest.raises(SettingsError, match=r"^REDIS_URL is not defined"):
        Client.from_env({})


def test_a_server_that_is_down_is_unreachable_not_a_redis_py_error(tmp_path: Path) -> None:
    """Users catch one tree of errors."""
    with start_server(tmp_path) as server:
        settings = server.settings(retry_attempts=0)
    with Client.from_settings(settings) as client:
        for call in (client.ping, lambda: client.get("k"), lambda: client.incr("k"), lambda: list(client.scan()), client.info):
            with pytest.raises(UnreachableError, match=f"^cannot reach 127.0.0.1:{server.port}: "):
                call()
        assert "failed" == client.health().verdict


def test_no_secret_in_repr_errors_and_tracebacks(password_server: Server) -> None:
    """Whatever is printed about a client whose password was refused."""
    secret = "hunter2-s3cret"
    with Client.from_settings(password_server.settings(password=secret)) as client:
        with pytest.raises(CredentialsError) as caught:
            client.set("k", "v")
        shown = [repr(client), repr(client.settings), str(client.health()), *traceback.format_exception(caught.value)]
    assert [] == [text for text in shown if secret in text]
    assert f"<Client 127.0.0.1:{password_server.port}>" == repr(client)


@pytest.mark.parametrize("hidden", ["orjson", "hiredis"])
def test_the_client_works_without_the_extras(hidden: str, redis_server: Server) -> None:
    """orjson and hiredis make it faster and are not needed."""
    program = f"""
import sys
sys.modules[{hidden!r}] = None
from keyfleet import Client
with Client.from_url("redis://{redis_server.host}:{redis_server.port}") as client:
    client.set_json("k", {{"a": [1, None, "ü"], "b": 2.5}})
    print(client.raw.get("k").decode(), client.get_json("k"))
    try:
        client.set_json("k", float("nan"))
    except ValueError:
        print("refused")
"""
    environ = {"PYTHONPATH": str(Path(__file__).parents[3] / "python_lib"), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, env=environ, timeout=60, check=False
    )
    assert "" == done.stderr
    assert ['{"a":[1,null,"ü"],"b":2.5} ' + str({"a": [1, None, "ü"], "b": 2.5}), "refused"] == done.stdout.splitlines()


def test_broken_json_is_the_same_error_without_orjson(redis_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers' errors are ours."""
    with Client.from_settings(redis_server.settings()) as client:
        client.set("k", b"\xff{")
        with pytest.raises(DecodeError):
            client.get_json("k")
        monkeypatch.setattr("keyfleet._protocol.json.orjson", None)
        with pytest.raises(DecodeError):
            client.get_json("k")


def test_settings_are_what_the_client_was_made_from() -> None:
    """A single server is not asked before the first command."""
    settings = Settings(host="no-such-host.invalid", password="x")
    assert settings is Client.from_settings(settings).settings
