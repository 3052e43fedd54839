# SPDX-License-Identifier: GPL-3.0-or-later
"""What an application and a playbook find, with nothing but the profile, the names and a task's options."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from keyfleet import CertificateError, Client, CredentialsError, Settings
from support.managed import assert_denied
from support.modules import run_module

if TYPE_CHECKING:
    from conftest import Service


def test_the_client_writes_and_reads_on_every_primary(service: Service) -> None:
    """A hundred keys, read back; the health of the whole is ok, by the one name of the service."""
    settings = service.settings
    (host,) = {settings.host} if service.shape == "disabled" else {host for host, _port in settings.cluster_nodes}
    assert host.split(".")[0] in ("clustercfg", "master", "carts-abc123")
    entries = {f"molecule:{number}": str(number) for number in range(100)}
    with Client.from_settings(settings) as client:
        client.set_many(entries)
        assert entries == client.get_many(entries)
        report = client.health(write_probe=True)
        assert ("ok", []) == (report.verdict, report.reasons)
        assert 100 == client.delete(*entries)


def test_denied_commands_are_named(service: Service) -> None:
    """By NOPERM, and where the server does not know them as unknown; keyfleet itself keeps CONFIG."""
    assert_denied(service.settings, service.administrator, service.shape, service.unknown)
    with Client.from_settings(service.administrator) as client:
        assert [b"port", b"0"] == [*_pairs(client.execute("CONFIG", "GET", "port"))]


def _pairs(reply: object) -> list[object]:
    return [word for pair in reply.items() for word in pair] if isinstance(reply, dict) else list(reply)  # type: ignore[call-overload]


def test_modules_need_nothing_that_is_denied(service: Service, environ: dict[str, str]) -> None:
    """Health with a value written, keys, and their invalidation."""
    health = run_module("redis_health", service.module_options(write_probe=True), environ=environ)
    assert (False, "ok") == (health.failed, health.get("verdict")), health.data
    entries = [{"key": f"app:{number}", "value": str(number)} for number in range(50)]
    for expected in (True, False):
        done = run_module("redis_key", service.module_options(entries=entries), environ=environ)
        assert (False, expected) == (done.failed, done.changed), done.data
    gone = run_module("redis_invalidate", service.module_options(prefix="app:"), environ=environ)
    assert (True, 50) == (gone.changed, gone["deleted"])


def test_a_wrong_token_and_a_wrong_name_are_refused(service: Service) -> None:
    """Each with its own error."""
    for change, expected in (
        ({"password": "This-is-another-token"}, CredentialsError),
        ({"tls_server_name": "master.other.example.test"}, CertificateError),
        ({"tls_ca_file": None}, CertificateError),
    ):
        with pytest.raises(expected), Client.from_settings(_changed(service, change)) as client:
            client.get("k")


def _changed(service: Service, change: dict[str, Any]) -> Settings:
    return replace(service.settings, **change)
