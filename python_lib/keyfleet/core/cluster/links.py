# SPDX-License-Identifier: MIT
"""
With or without TLS: how the nodes of a cluster reach each other, on the bus and for replication.

Source:
    ``tls-cluster`` and ``tls-replication`` change live. A node whose setting differs from the others' keeps no link to them, so all change
    within half of the node timeout, after which the first would be called failed; docs/decisions/tls_of_topologies.md has what was tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..errors import RefusedError
from .node import Node
from .observe import Observed

LINKS, REPLICATION = "tls-cluster", "tls-replication"
_ANNOUNCED = "cluster-announce-tls-port"


def differing(observed: Observed, is_secure: bool) -> dict[str, Mapping[str, str]]:
    """
    Return the directives of every node whose links are not as desired, by id.

    Raises:
        RefusedError: if nodes would be cut off: those that did not answer, and those without a port for TLS.
    """
    wanted = "yes" if is_secure else "no"
    directives: dict[str, Mapping[str, str]] = {name: _directives(node) for name, node in observed.nodes.items()}
    found = {name: values for name, values in directives.items() if {values[LINKS], values[REPLICATION]} != {wanted}}
    if found:
        _refuse_cut_off(observed, directives, is_secure)
    return found


def _directives(node: Node) -> dict[str, str]:
    """Return what the links of a node follow from; a server that was built without TLS has none of it."""
    (flat,) = node.ask(("CONFIG", "GET", "*tls-*"), problem="cannot be asked for its directives of TLS")
    pairs = flat.items() if isinstance(flat, Mapping) else zip(flat[::2], flat[1::2])
    return {LINKS: "no", REPLICATION: "no", **{_text(name): _text(value) for name, value in pairs}}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _refuse_cut_off(observed: Observed, directives: Mapping[str, Mapping[str, str]], is_secure: bool) -> None:
    gone = {"fail", "noaddr"}
    entries = {entry.id: entry for node in observed.nodes.values() for entry in node.report.table.values() if not entry.flags & gone}
    # A node names others to a client with TLS at the port 0 where they have none.
    names = {name: entry.address if entry.port else f"the node {name} at {entry.host}" for name, entry in entries.items()}
    silent = [address for name, address in names.items() if name not in observed.nodes]
    without = [observed.nodes[name].address for name, values in directives.items() if values.get("tls-port", "0") == "0"]
    kind = "with TLS" if is_secure else "without TLS"
    if silent:
        raise RefusedError(
            f"the nodes shall reach each other {kind}, which would cut off {', '.join(silent)}: the inventory does not list them, or they "
            "do not answer. List or remove them in a run of its own before"
        )
    if is_secure and without:
        raise RefusedError(f"the nodes shall reach each other {kind}, and {', '.join(without)} have no port for it (tls-port)")


def switch_links(observed: Observed, changing: Mapping[str, Mapping[str, str]], is_secure: bool) -> None:
    """
    Let all nodes reach each other with TLS, or without it.

    A run that is killed in between has split the bus, and the next one changes the rest.

    Args:
        changing: From `differing`.
    """
    nodes = [observed.nodes[name] for name in changing]
    for node in nodes:
        node.ask(("PING",), problem="does not answer")
    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(lambda node: _switch(node, changing[node.id], is_secure), nodes))


def _switch(node: Node, directives: Mapping[str, str], is_secure: bool) -> None:
    """A node announces the port of the other kind only when something that it announces is set; what it says meanwhile is right, too."""
    value, given, port = "yes" if is_secure else "no", directives[_ANNOUNCED], directives["tls-port"]
    touched = port if given != port else "0"
    node.change_together(
        ("CONFIG", "SET", LINKS, value, REPLICATION, value, _ANNOUNCED, touched),
        ("CONFIG", "SET", _ANNOUNCED, given),
        ("CONFIG", "REWRITE"),
        problem=f"cannot reach the others {'with' if is_secure else 'without'} TLS",
    )


def parted(nodes: Sequence[Node]) -> str:
    """Return which node has no link to another that it knows, or the wrong port of it; empty if all are linked."""
    reports = {node.id: node.read() for node in nodes}
    for node in nodes:
        for other in nodes:
            entry = reports[node.id].table.get(other.id)
            if entry is None or other is node:
                continue
            if not entry.is_connected or entry.flags & {"fail", "fail?"} or entry.port != reports[other.id].own.port:
                return f"{node.address} has no link to {other.address} yet"
        if not reports[node.id].is_linked:
            return f"{node.address} has no connection to its primary"
    return ""
