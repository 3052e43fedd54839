# SPDX-License-Identifier: MIT
"""Servers that were built without TLS know no directive that begins with ``tls-``: their links stay, and cannot get TLS."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from keyfleet.core.cluster.links import differing
from keyfleet.core.cluster.observe import Observed as ObservedCluster
from keyfleet.core.errors import RefusedError
from keyfleet.core.replication.links import moving
from keyfleet.core.replication.node import ReplicationNode
from keyfleet.core.replication.observe import Observed as ObservedReplication

# CONFIG GET of such a server, whose programs are on no test machine: of these it knows the announcements alone.
KNOWN = {"cluster-announce-tls-port": "0", "replica-announce-port": "0", "port": "7000"}


def ask(*commands: tuple[str, ...], problem: str) -> list[list[bytes]]:
    """Answer CONFIG GET with names and values."""
    assert problem
    found = [[(name, value) for name, value in KNOWN.items() if name == command[2].lstrip("*")] for command in commands]
    if commands[0][2].startswith("*"):
        found = [[(name, value) for name, value in KNOWN.items() if "tls-" in name]]
    return [[text.encode() for pair in pairs for text in pair] for pairs in found]


def cluster() -> ObservedCluster:
    """Return a cluster of one node."""
    node: Any = SimpleNamespace(ask=ask, address="127.0.0.1:7000", report=SimpleNamespace(table={}))
    return ObservedCluster({"a": node}, {})


def replication() -> ObservedReplication:
    """Return a replication of a primary alone."""
    node: Any = ReplicationNode.__new__(ReplicationNode)
    node.ask, node.address = ask, "127.0.0.1:7000"
    node.places, node.report = frozenset({("127.0.0.1", 7000)}), SimpleNamespace(follows=None)
    return ObservedReplication({"127.0.0.1:7000": node})


def test_they_have_no_links_to_move() -> None:
    """A run without TLS finds nothing to do."""
    assert {} == differing(cluster(), is_secure=False)
    assert [] == moving(replication(), is_secure=False)


def test_they_cannot_get_tls() -> None:
    """The run refuses, and names them."""
    with pytest.raises(RefusedError, match=r"127\.0\.0\.1:7000 have no port for it"):
        differing(cluster(), is_secure=True)
    with pytest.raises(RefusedError, match=r"127\.0\.0\.1:7000 have no port for it"):
        moving(replication(), is_secure=True)
