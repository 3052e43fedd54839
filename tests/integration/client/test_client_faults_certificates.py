# SPDX-License-Identifier: MIT
"""Certificates that are not accepted end a call immediately, with an error of their own; one SSLContext serves all connections."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keyfleet import CertificateError, Client, Policy, Settings, SettingsError, UnreachableError
from keyfleet.core.connect.client import close
from keyfleet.core.connect.tls import make_context
from keyfleet.testing._server import free_port
from keyfleet.testing.servers import Server, start_server
from support.clients import OpenClient

BUDGET_SECONDS = 20.0
SLACK_SECONDS = 5.0
EAGER = Policy(breaker_failures=1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with TLS whose certificate names 127.0.0.1 and localhost, and which answers at 127.0.0.3 as well."""
    with start_server(tmp_path_factory.mktemp("tls"), tls=True, directives={"bind": "127.0.0.1 127.0.0.3"}) as it:
        yield it


def check_refused(client: Client, match: str) -> None:
    """Assert that a call fails immediately, and is counted neither as an attempt to repeat nor by the breaker."""
    begun = time.monotonic()
    for _unused in range(2):
        with pytest.raises(CertificateError, match=match) as caught:
            client.get("k")
        assert not isinstance(caught.value, UnreachableError)
    assert time.monotonic() - begun < SLACK_SECONDS
    assert (0, 0) == (client.stats.retries, client.stats.open_breakers)


def test_another_host_name(server: Server, open_client: OpenClient) -> None:
    """The error says which name was expected."""
    client = open_client(server.settings(host="127.0.0.3", timeout_seconds=BUDGET_SECONDS), EAGER)
    check_refused(client, "not valid for '127.0.0.3'")


def test_an_authority_that_is_not_known(server: Server, open_client: OpenClient) -> None:
    """Without the CA file the system's authorities count."""
    client = open_client(server.settings(tls_ca_file=None, timeout_seconds=BUDGET_SECONDS), EAGER)
    check_refused(client, "the server's certificate is not accepted: .*certificate")


def test_a_server_that_wants_a_certificate(server: Server, open_client: OpenClient) -> None:
    """With TLS 1.3 it says so only after the handshake."""
    admin = server.client()
    admin.config_set("tls-auth-clients", "yes")
    try:
        client = open_client(server.settings(timeout_seconds=BUDGET_SECONDS), EAGER)
        check_refused(client, "the server does not accept the client's certificate: .*certificate required")
    finally:
        admin.config_set("tls-auth-clients", "no")
        close(admin)


@pytest.mark.parametrize("field", ["tls_ca_file", "tls_cert_file"])
def test_a_file_that_holds_no_certificate(server: Server, open_client: OpenClient, tmp_path: Path, field: str) -> None:
    """Said when the client is made, and what is wrong with which file."""
    file = tmp_path / "no.crt"
    file.write_text("no certificate", encoding="utf-8")
    options: dict[str, Any] = {field: str(file)}
    with pytest.raises(SettingsError, match=f"^{field} is '{file}', which "):
        open_client(server.settings(**options))


def test_a_key_of_another_certificate(server: Server, open_client: OpenClient, tmp_path: Path) -> None:
    """Both are readable, and do not belong together."""
    with start_server(tmp_path, tls=True) as other:
        folder = Path(str(other.tls_ca_file)).parent
        settings = server.settings(
            tls_cert_file=str(Path(str(server.tls_ca_file)).parent / "server.crt"), tls_key_file=str(folder / "server.key")
        )
    with pytest.raises(SettingsError, match="cannot be used with the key"):
        open_client(settings)


def test_one_context_for_all_connections(server: Server, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Making one costs as much as forty connections; a file that was replaced is loaded with the next connection."""
    made: list[ssl.SSLContext] = []

    def count(settings: Settings) -> ssl.SSLContext:
        made.append(make_context(settings))
        return made[-1]

    monkeypatch.setattr("keyfleet._transport.tls.make_context", count)
    client = open_client(server.settings())
    admin = server.client()
    for _unused in range(5):
        client.ping()
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert 1 == len(made)
    assert client.stats.connections_opened >= 5
    os.utime(str(server.tls_ca_file))
    client.ping()
    assert 2 == len(made)
    close(admin)


def test_the_first_cause_is_shown(open_client: OpenClient) -> None:
    """Not that the time was over for the last attempt."""
    client = open_client(Settings(port=free_port("127.0.0.1"), timeout_seconds=0.3, retry_delay_ms=10), Policy(breaker_failures=0))
    for _unused in range(5):
        with pytest.raises(UnreachableError, match=r"[Rr]efused|Connect call failed"):
            client.get("k")
