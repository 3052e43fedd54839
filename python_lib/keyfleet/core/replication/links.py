# SPDX-License-Identifier: MIT
"""
With or without TLS: how replicas reach their primary.

Source:
    ``tls-replication`` says how a server that replicates connects, so it changes together with the port that it connects to (REPLICAOF).
    A replica that reconnects continues where it was; docs/decisions/tls_of_topologies.md has what was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..connect.node import reach_step
from ..errors import RefusedError
from .node import ReplicationNode
from .observe import Observed

LINKS, _ANNOUNCED = "tls-replication", "replica-announce-port"
_PORTS = ("port", "tls-port")

Wait = Callable[[Callable[[], str]], None]


@dataclass(frozen=True)
class Moving:
    """
    A server that reaches others in the undesired way, or would after a failover.

    Attributes:
        primary: The member that it replicates; None for a primary, and for a replica of a server that is none of these.
        directives: As the server has them.
    """

    node: ReplicationNode
    primary: Optional[ReplicationNode]
    directives: Mapping[str, str]


def moving(observed: Observed, is_secure: bool) -> list[Moving]:
    """
    Return the servers whose links are not as desired, replicas first.

    Every server is known afterwards by each of its ports.

    Raises:
        RefusedError: if one has no port for the links of the others.
    """
    directives = {address: _directives(node) for address, node in observed.nodes.items()}
    for address, node in observed.nodes.items():
        ports = {int(directives[address][name]) for name in _PORTS} - {0}
        node.places |= {(host, port) for host, _port in node.places for port in ports}
    wanted = "yes" if is_secure else "no"
    found = []
    for address, node in observed.nodes.items():
        primary = observed.nodes.get(observed.address_of(node.report.follows, {})) if node.report.follows is not None else None
        is_elsewhere = primary is not None and node.report.follows is not None and node.report.follows[1] != primary.settings.port
        if directives[address][LINKS] != wanted or is_elsewhere:
            found.append(Moving(node, primary, directives[address]))
    without = [one.node.address for one in found if is_secure and one.directives["tls-port"] == "0"]
    if without:
        raise RefusedError(
            f"replicas shall reach their primary with TLS, and {', '.join(without)} have no port for it (tls-port). Remove servers that "
            "leave in a run of its own before"
        )
    return sorted(found, key=lambda one: one.node.report.follows is None)


def _directives(node: ReplicationNode) -> dict[str, str]:
    """Return what the links of a server follow from; one that was built without TLS has no ``tls-…``."""
    given = {LINKS: "no", "tls-port": "0"}
    return {**given, **node.directives(LINKS, _ANNOUNCED, *_PORTS)}


def move(one: Moving, is_secure: bool, wait: Wait) -> None:
    """
    Let a server reach its primary with TLS, or without it, and wait until a replica is in sync again.

    Killed in between, the next run does it: until then the replica keeps its connection, or opens none.
    """
    node, own = one.node, one.node.settings.port
    values: list[Any] = [LINKS, "yes" if is_secure else "no"]
    if one.directives[_ANNOUNCED] in {one.directives[name] for name in _PORTS} - {"0"}:
        values += [_ANNOUNCED, own]
    commands: list[tuple[Any, ...]] = [("CONFIG", "SET", *values)]
    if one.primary is not None:
        commands.append(("REPLICAOF", one.primary.settings.host, one.primary.settings.port))
    reach_step("links")
    node.change_together(*commands, ("CONFIG", "REWRITE"), problem=f"cannot reach its primary {'with' if is_secure else 'without'} TLS")
    if one.primary is not None:
        wait(lambda: "" if node.read().is_linked else f"{node.address} is not in sync with its primary; its log says why")
