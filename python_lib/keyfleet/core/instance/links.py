# SPDX-License-Identifier: MIT
"""
Ports that stay open while the servers of a topology still talk to each other through them; pure.

The topology is planned after all instances of all hosts. Until its links have moved to the other kind of port, an instance listens with TLS
and without it, and its file says so for an unplanned start.
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import RefusedError
from ..topology.validation import CLUSTER, REPLICATION
from .model import Instance
from .record import Record
from .state import State

# Says whether a server reaches the others of its topology with TLS. The role of the topology sets it, and the server's own file keeps it.
LINK_DIRECTIVES = {CLUSTER: "tls-cluster", REPLICATION: "tls-replication"}
_ASKED = ("tls-auth-clients", "tls-protocols", "tls-ciphers", "tls-ciphersuites")


def keeping_links(instance: Instance, state: State) -> Instance:
    """
    Return the instance as it listens until the links of its topology have moved; *instance* itself if they have.

    Raises:
        RefusedError: if the two kinds of port would be one.
    """
    active = state.running.active if state.running is not None else state.own
    directive = LINK_DIRECTIVES.get(instance.topology)
    if directive is None or not active:
        return instance
    is_secure = active.get(directive) == "yes"
    if is_secure and instance.tls == "off" and state.record is not None and state.has_tls_files:
        return _listening_twice(_still_secure(instance, state, state.record), "off")
    if not is_secure and instance.tls == "only" and state.running is not None and active.get("port", "0") != "0":
        return _listening_twice(instance, "only")
    return instance


def _still_secure(instance: Instance, state: State, record: Record) -> Instance:
    """Return the instance with the port and the demands of TLS that its server has."""
    written = state.running.active if state.running is not None else state.written or {}
    asked = {name: written[name] for name in _ASKED if name in record.applied and written.get(name)}
    return replace(instance, tls_port=record.as_instance(instance).secure_port, tls_directives=asked)


def _listening_twice(instance: Instance, desired: str) -> Instance:
    secure = instance.tls_port or instance.port
    if 0 in (instance.port, secure) or instance.port == secure:
        raise RefusedError(
            f"tls shall be {desired!r}, and its topology has to move between two ports meanwhile, one without TLS and one with it: set "
            f"port to {instance.port or 'that without TLS'} and tls_port to another one, and run with tls 'both' before"
        )
    return replace(instance, tls="both")
