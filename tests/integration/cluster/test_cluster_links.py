# SPDX-License-Identifier: MIT
"""The links between the nodes of a cluster get TLS and lose it again, while clients of both kinds write."""

from __future__ import annotations

from pathlib import Path

import pytest
from keyfleet import Client
from keyfleet.core.cluster.converge import converge
from keyfleet.core.cluster.model import Limits
from keyfleet.core.cluster.validation import parse_desired
from keyfleet.core.connect.settings import Settings
from keyfleet.core.connect.values import split_address
from keyfleet.core.errors import RefusedError
from keyfleet.testing._replication import clients_of
from support.formations import PASSWORD, Formation, Start, address, is_whole
from support.load import Load
from support.secured import Ports, open_ports

ON_EVERY_SERVER = True
TIMEOUT_MS = {"cluster-node-timeout": 5000}


class SecuredFormation:
    """A cluster whose nodes listen in both ways, and whose links are without TLS."""

    def __init__(self, formation: Formation) -> None:
        formation.form()
        self.formation = formation
        self.ports: Ports = open_ports(formation.folder, formation.nodes)

    def plain(self) -> list[str]:
        """Return the addresses without TLS."""
        return [address(node) for node in self.formation.nodes]

    def link(self, *, secure: bool, through_tls: bool, check: bool = False) -> list[str]:
        """Do what the module does; return its steps."""
        settings = self.ports.settings(PASSWORD) if through_tls else self.formation.settings()
        desired = parse_desired([{"address": one} for one in (self.ports.addresses() if through_tls else self.plain())])
        return converge(settings, desired, Limits(wait_seconds=30), secure_links=secure, check=check).steps

    def client(self, *, tls: bool) -> Client:
        """Return an application's client, of either kind."""
        addresses = tuple(map(split_address, self.ports.addresses() if tls else self.plain()))
        common = {"cluster_nodes": addresses, "timeout_seconds": 10.0}
        return Client.from_settings(self.ports.settings(PASSWORD, **common) if tls else Settings(password=PASSWORD, **common))

    def directives(self) -> set[str]:
        """Return what the nodes say of their links."""
        with clients_of(self.formation.nodes) as clients:
            return {client.config_get("tls-cluster")["tls-cluster"] for client in clients}


@pytest.fixture
def secured(start_nodes: Start) -> SecuredFormation:
    """Three shards with a replica each, whose bus stays where it is when a port opens."""
    return SecuredFormation(start_nodes(directives=TIMEOUT_MS))


def test_links_change_under_load(secured: SecuredFormation) -> None:
    """No call of a client with TLS or without it fails, no node is called failed, and a second time there is nothing to do."""
    with secured.client(tls=False) as plain:
        writes = Load([lambda number: plain.set(f"p:{number}", str(number))])
        with writes:
            writes.go_on()
            (foreseen,) = secured.link(secure=True, through_tls=True, check=True)
            assert {"no"} == secured.directives()
            assert [foreseen] == secured.link(secure=True, through_tls=True)
            assert {"yes"} == secured.directives()
            with secured.client(tls=True) as moved:
                others = Load([lambda number: moved.set(f"s:{number}", str(number))])
                with others:
                    others.go_on()
                    assert [] == secured.link(secure=True, through_tls=True)
                    assert [] == secured.link(secure=True, through_tls=False)
                    assert 1 == len(secured.link(secure=False, through_tls=False))
                    others.go_on()
                    writes.go_on()
                assert [] == others.errors
        assert [] == writes.errors
        assert [] == [number for number in writes.workers[0].done if plain.get(f"p:{number}") != str(number)]
    assert {"no"} == secured.directives()
    is_whole(secured.formation, secured.formation.nodes, 3, 1)


@pytest.mark.parametrize("change", [1, 2, 4, 6])
def test_killed_between_two_nodes(secured: SecuredFormation, change: int) -> None:
    """The bus is split then; the next run joins it, and no node keeps what it had."""
    assert secured.formation.killed_before(change, lambda: secured.link(secure=True, through_tls=True))
    secured.link(secure=True, through_tls=True)
    assert {"yes"} == secured.directives()
    for node in secured.formation.nodes:
        assert "tls-cluster yes" in Path(secured.formation.run_on(node, "INFO", "server")["config_file"]).read_text(encoding="utf-8")


def test_nodes_that_would_be_cut_off_are_named(start_nodes: Start) -> None:
    """One that the inventory does not list, and one without a port for TLS; nothing is changed."""
    secured = SecuredFormation(start_nodes(directives=TIMEOUT_MS))
    last = secured.formation.nodes[-1]
    secured.formation.run_on(last, "CONFIG", "SET", "tls-port", "0")
    desired = parse_desired([{"address": one} for one in secured.ports.addresses()[:-1]])
    with pytest.raises(RefusedError, match="would cut off"):
        converge(secured.ports.settings(PASSWORD), desired, Limits(wait_seconds=5), secure_links=True)
    with pytest.raises(RefusedError, match="have no port for it"):
        secured.link(secure=True, through_tls=False)
    assert {"no"} == secured.directives()
