# SPDX-License-Identifier: MIT
"""Replicas reach their primary with TLS and without it again, while a client writes; killed in between, the next run continues."""

from __future__ import annotations

from pathlib import Path

import pytest
from keyfleet.core.connect.settings import Settings
from keyfleet.core.errors import RefusedError
from keyfleet.core.replication.converge import converge
from keyfleet.core.replication.validation import parse_desired
from keyfleet.testing._replication import clients_of
from support.formations import killed_before
from support.replications import PASSWORD, Replication, Start, Writer, address
from support.secured import Ports, open_ports

ON_EVERY_SERVER = True


class SecuredReplication:
    """A primary with two replicas, all of which listen in both ways."""

    def __init__(self, replication: Replication, folder: Path) -> None:
        replication.form()
        self.replication, self.servers = replication, replication.servers
        self.ports: Ports = open_ports(folder, self.servers)

    def link(self, *, secure: bool, check: bool = False, hand_over: bool = False) -> list[str]:
        """Do what the module does, through the ports that the links shall have; return its steps."""
        addresses = self.ports.addresses() if secure else [address(server) for server in self.servers]
        settings = self.ports.settings(PASSWORD) if secure else Settings(password=PASSWORD, timeout_seconds=5.0)
        desired = parse_desired(addresses, hands_over=hand_over)
        return converge(settings, desired, secure_links=secure, check=check, wait_seconds=20).steps

    def directives(self) -> set[str]:
        """Return what the servers say of their links."""
        with clients_of(self.servers) as clients:
            return {client.config_get("tls-replication")["tls-replication"] for client in clients}


@pytest.fixture
def secured(start_servers: Start, tmp_path: Path) -> SecuredReplication:
    """Return a replication whose links are without TLS."""
    return SecuredReplication(start_servers(), tmp_path)


def test_links_change_under_load(secured: SecuredReplication) -> None:
    """No call fails, replicas copy nothing again, a handover keeps what is, and a second time there is nothing to do."""
    first = secured.servers[0]
    full = secured.replication.run_on(first, "INFO", "stats")["sync_full"]
    with Writer(Settings(host=first.host, port=first.port, password=PASSWORD, timeout_seconds=10.0)) as writer:
        foreseen = secured.link(secure=True, check=True)
        assert {"no"} == secured.directives()
        assert foreseen == secured.link(secure=True)
        assert 3 == len(foreseen)
        assert [] == secured.link(secure=True)
        assert ["", *[f"{first.host}:{secured.ports.numbers[first]}"] * 2] == secured.replication.roles()
        assert 3 == len(secured.link(secure=False))
    assert [] == writer.failures
    assert full == secured.replication.run_on(first, "INFO", "stats")["sync_full"]
    assert ["", *[address(first)] * 2] == secured.replication.roles()
    secured.link(secure=True)
    assert any(step.startswith("hand over from ") for step in secured.link(secure=True, hand_over=True))
    assert [] == secured.link(secure=True)
    assert secured.replication.roles()[0] != ""
    secured.link(secure=False)
    assert {"no"} == secured.directives()


@pytest.mark.parametrize("change", [1, 2, 3])
def test_killed_between_two_servers(secured: SecuredReplication, change: int) -> None:
    """What has moved stays, and the next run moves the rest; the files say so."""
    assert killed_before(change, lambda: secured.link(secure=True))
    assert 4 - change == len(secured.link(secure=True))
    assert {"yes"} == secured.directives()
    for server in secured.servers:
        server.stop()
        server.start()
        assert "tls-replication yes" in Path(secured.replication.run_on(server, "INFO", "server")["config_file"]).read_text(
            encoding="utf-8"
        )


def test_a_server_without_a_port_for_it_is_named(secured: SecuredReplication) -> None:
    """Nothing is changed."""
    secured.replication.run_on(secured.servers[2], "CONFIG", "SET", "tls-port", "0")
    desired = parse_desired([address(server) for server in secured.servers])
    with pytest.raises(RefusedError, match="have no port for it"):
        converge(Settings(password=PASSWORD), desired, secure_links=True, wait_seconds=5)
    assert {"no"} == secured.directives()
