# SPDX-License-Identifier: MIT
"""An instance that is a node of a cluster: its directives, its users, its bus port, and what it cannot have."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.acl.model import ADMIN, DEFAULT, REPLICATION
from keyfleet.core.instance.acl import rules_by_name
from keyfleet.core.instance.cluster_validation import cluster_problems
from keyfleet.core.instance.model import Instance
from keyfleet.core.instance.validation import _pair_problems
from keyfleet.core.layout import Layout


def node(**options: Any) -> Instance:
    """Return a node."""
    return Instance(**{"name": "a", "port": 7000, "topology": "cluster", "password": "battery-staple", **options})


def test_a_node_has_the_directives_of_a_cluster() -> None:
    """The bus port is written down at creation, so that it stays when TLS takes another port."""
    managed = node(replication_password="derived").managed(Layout("/", "a"), "process")
    assert ("yes", "nodes.conf", "17000") == tuple(managed[f"cluster-{name}"] for name in ("enabled", "config-file", "port"))
    assert (REPLICATION, "derived") == (managed["masteruser"], managed["masterauth"])
    assert "16000" == node(directives={"cluster-port": 16000}).managed(Layout("/", "a"), "process")["cluster-port"]
    single = Instance("a").managed(Layout("/", "a"), "process")
    assert [] == [name for name in single if name.startswith(("cluster", "master"))]


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({}, ("10.0.0.1", 7000)),
        ({"cluster-announce-ip": "192.0.2.1"}, ("192.0.2.1", 7000)),
        ({"cluster-announce-ip": "192.0.2.1", "cluster-announce-port": 7100}, ("192.0.2.1", 7100)),
        ({"cluster-announce-hostname": "a.example.org"}, ("10.0.0.1", 7000)),
        ({"cluster-announce-hostname": "a.example.org", "cluster-preferred-endpoint-type": "hostname"}, ("a.example.org", 7000)),
    ],
)
def test_clients_are_sent_where_it_announces(options: dict[str, object], place: tuple[str, int]) -> None:
    """To a name only where names are preferred, as the server does."""
    assert place == node(directives=options).cluster_place("10.0.0.1")


def test_replicas_have_a_user() -> None:
    """Only where there are replicas."""
    assert {ADMIN, REPLICATION, DEFAULT} == rules_by_name(node(), ["of the administrator"]).keys()
    assert {ADMIN, DEFAULT} == rules_by_name(node(topology="single"), ["of the administrator"]).keys()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"directives": {"databases": 4}}, "databases"),
        ({"directives": {"masterauth": "secret of mine"}}, "masterauth"),
        ({"directives": {"cluster-replica-no-failover": True}}, "cluster-replica-no-failover"),
        ({"directives": {"rename-command": ["CLUSTER hidden"]}}, "CLUSTER"),
        ({"directives": {"rename-command": ["CONFIG hidden"]}}, "CONFIG"),
        ({"port": 0, "unix_socket": True}, "port is 0"),
        ({"port": 60000}, "70000"),
        ({"state": "absent"}, "redis_retired"),
    ],
)
def test_what_a_node_cannot_have(options: dict[str, Any], words: str) -> None:
    """It names the option, and never the value of a secret; the same is fine for a single node, or refused elsewhere."""
    (problem,) = cluster_problems(node(**options))
    assert words in problem
    assert "secret of mine" not in problem
    assert [] == list(cluster_problems(node(**{**options, "topology": "single"})))


def test_a_bus_port_is_a_port() -> None:
    """Two instances of a host cannot share one, be it another's port or bus port."""
    (problem,) = _pair_problems([node(), node(name="b", port=17000, directives={"cluster-port": 27000})])
    assert "b].port is 17000, which instance 'a' has too" in problem
    (problem,) = _pair_problems([node(), node(name="b", port=7001, directives={"cluster-port": 17000})])
    assert "bus port" in problem
    assert [] == list(_pair_problems([node(), node(name="b", port=7001)]))
