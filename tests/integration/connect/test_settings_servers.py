# SPDX-License-Identifier: MIT
"""What settings from the environment say is what a connection does: cluster, Sentinel and TLS against real servers."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from keyfleet import Client
from keyfleet.core.connect.client import close, connect
from keyfleet.core.connect.primaries import primaries
from keyfleet.core.connect.redis_py import translated
from keyfleet.core.connect.settings import Settings, SettingsWarning
from keyfleet.core.connect.values import format_nodes
from keyfleet.core.errors import CertificateError, CredentialsError, UnreachableError
from keyfleet.testing._server import wait_until
from keyfleet.testing.servers import SentinelGroup, start_cluster, start_sentinel, start_server

PASSWORD = "p@ss/w:rd,%"
ENCODED = "p%40ss%2Fw%3Ard%2C%25"
SENTINEL_PASSWORD = "watch, word"


def written(environ: dict[str, str]) -> int:
    """Write a key as the environment says, and return on how many primaries it found itself."""
    settings = Settings.from_env({**environ, "REDIS_RETRY_ATTEMPTS": "0"})
    client = connect(settings)
    try:
        with translated(settings):
            assert client.set("k", "v")
            assert b"v" == client.get("k")
            return len(primaries(client))
    finally:
        close(client)


def test_each_way_to_name_a_cluster(tmp_path: Path) -> None:
    """As a URL of either engine, and as a list or JSON with the password apart."""
    with start_cluster(tmp_path, password=PASSWORD) as cluster:
        nodes = format_nodes(cluster.settings().cluster_nodes)
        first, *_others = cluster.settings().cluster_nodes
        ways = [
            {"REDIS_URL": f"redis+cluster://:{ENCODED}@{nodes}"},
            {"REDIS_URL": f"valkey+cluster://:{ENCODED}@{format_nodes([first])}/0"},
            {"REDIS_CLUSTER_NODES": nodes, "REDIS_PASSWORD": PASSWORD},
            {"REDIS_CLUSTER_NODES": f'[{{"host": "{first[0]}", "port": {first[1]}}}]', "REDIS_PASSWORD": PASSWORD},
        ]
        assert [3] * len(ways) == [written(way) for way in ways]


@pytest.fixture(scope="module")
def sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelGroup]:
    """A primary with a password."""
    with start_sentinel(tmp_path_factory.mktemp("s"), replicas=0, sentinels=1, password=PASSWORD) as group:
        yield group


def test_each_way_to_name_a_service(sentinel: SentinelGroup) -> None:
    """As a URL of either engine, with the service there or apart, and as a list; the password is the server's."""
    nodes = format_nodes(sentinel.settings().sentinels)
    ways = [
        {"REDIS_URL": f"redis+sentinel://:{ENCODED}@{nodes}/{sentinel.service}/0"},
        {"REDIS_URL": f"valkey+sentinel://:{ENCODED}@{nodes}", "REDIS_SENTINEL_SERVICE": sentinel.service},
        {"REDIS_SENTINELS": nodes, "REDIS_SENTINEL_SERVICE": sentinel.service, "REDIS_PASSWORD": PASSWORD},
    ]
    assert [1] * len(ways) == [written(way) for way in ways]


@pytest.mark.client
def test_sentinels_have_credentials_of_their_own(sentinel: SentinelGroup) -> None:
    """Neither kind of server gets the password of the other; a wrong one is not shown."""
    (watcher,) = sentinel.sentinels
    environ = {"REDIS_URL": f"redis+sentinel://:{ENCODED}@{watcher.host}:{watcher.port}/{sentinel.service}"}
    admin = watcher.client()
    admin.execute_command("ACL", "SETUSER", "app", "on", f">{SENTINEL_PASSWORD}", "+@all")
    admin.execute_command("ACL", "SETUSER", "default", f">{SENTINEL_PASSWORD}")
    try:
        right = {"REDIS_SENTINEL_PASSWORD": SENTINEL_PASSWORD}
        for number, credentials in enumerate((right, {**right, "REDIS_SENTINEL_USERNAME": "app"})):
            with Client.from_env({**environ, **credentials}) as client:
                assert number + 1 == client.incr("n")
        for wrong in ({}, {"REDIS_SENTINEL_PASSWORD": "wrong-watch-word"}):
            with Client.from_env({**environ, **wrong}) as client, pytest.raises(CredentialsError) as caught:
                client.incr("n")
            assert "wrong-watch-word" not in "".join(traceback.format_exception(caught.value))
    finally:
        admin.execute_command("ACL", "SETUSER", "default", "nopass")
        close(admin)


def test_a_url_checks_the_name_of_its_host(tmp_path: Path) -> None:
    """The certificate names localhost and 127.0.0.1; another address of the same server is refused, unless the check of names is off."""
    with start_server(tmp_path, tls=True, directives={"bind": "127.0.0.1 127.0.0.3"}) as server:
        ca = {"REDIS_TLS_CA_FILE": str(server.tls_ca_file)}
        for scheme in ("rediss", "valkeys"):
            assert 1 == written({"REDIS_URL": f"{scheme}://localhost:{server.port}", **ca})
        other = {"REDIS_URL": f"rediss://127.0.0.3:{server.port}", **ca}
        with pytest.raises(CertificateError, match=r"IP address mismatch, certificate is not valid for '127.0.0.3'"):
            written(other)
        with pytest.warns(SettingsWarning, match="^REDIS_TLS_VERIFY is off"):
            assert 1 == written({**other, "REDIS_TLS_VERIFY": "false"})


def test_a_server_that_wants_a_certificate_gets_it(tmp_path: Path) -> None:
    """REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE; without them the server refuses."""
    with start_server(tmp_path, tls=True) as server:
        client = server.client()
        client.config_set("tls-auth-clients", "yes")
        close(client)
        files = {"REDIS_TLS_CERT_FILE": str(tmp_path / "server.crt"), "REDIS_TLS_KEY_FILE": str(tmp_path / "server.key")}
        environ = {"REDIS_URL": f"rediss://localhost:{server.port}", "REDIS_TLS_CA_FILE": str(server.tls_ca_file)}
        assert 1 == written({**environ, **files})
        # TLS 1.3 refuses after the handshake: the alert may be lost with the connection.
        with pytest.raises((UnreachableError, CertificateError)):
            written(environ)


def test_a_cluster_with_tls(tmp_path: Path) -> None:
    """rediss+cluster:// asks every node over TLS; redis+cluster:// gets no answer from it."""
    with start_server(tmp_path, tls=True, directives={"cluster-enabled": "yes", "tls-cluster": "yes", "tls-replication": "yes"}) as server:
        client = server.client()
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: "ok" == client.cluster("INFO")["cluster_state"], "the cluster to be formed")
        close(client)
        rest = {"REDIS_TLS_CA_FILE": str(server.tls_ca_file)}
        assert 1 == written({"REDIS_URL": f"rediss+cluster://localhost:{server.port}", **rest})
        with pytest.raises(UnreachableError):
            written({"REDIS_URL": f"redis+cluster://localhost:{server.port}", "REDIS_TIMEOUT_SECONDS": "0.5"})
