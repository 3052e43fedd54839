# SPDX-License-Identifier: MIT
"""The connection profile: what an application needs to know, where it is kept, and as an env file for shells; pure."""

from __future__ import annotations

import hashlib
import ipaddress
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

PASSWORD = "REDIS_PASSWORD"  # noqa: S105 - the name of a variable
SENTINEL_PASSWORD = "REDIS_SENTINEL_PASSWORD"  # noqa: S105 - the name of a variable
SECRETS = (SENTINEL_PASSWORD, PASSWORD)


def client_address(bind: Sequence[str], public_address: Optional[str] = None) -> str:
    """
    Return the address that clients use for a server bound to *bind*.

    Args:
        public_address: Address of the host as other hosts know it, used if the server listens on all addresses; without it the
            answer is an address for a client on the host itself.
    """
    plain = [address.lstrip("-") for address in bind]
    if any(address in ("*", "0.0.0.0", "::*", "::") for address in plain):  # noqa: S104 - nothing is bound here
        return public_address or ("127.0.0.1" if any(address in ("*", "0.0.0.0") for address in plain) else "::1")  # noqa: S104
    public = [address for address in plain if not ipaddress.ip_address(address).is_loopback]
    return next(iter(public if public and public_address else plain))


def own_address(bind: Sequence[str]) -> str:
    """Return the address at which the host itself uses TLS: where there is one, the same that other hosts use, for one certificate."""
    return client_address(bind, client_address(bind))


def at_address(endpoint: Mapping[str, Any], address: str) -> dict[str, Any]:
    """Return an endpoint that applications reach by a name of its own; an empty one, or that of a socket, changes nothing."""
    if not address or endpoint.get("unix_socket"):
        return dict(endpoint)
    nodes = {"cluster_nodes": [f"{address}:{endpoint['port']}"]} if endpoint.get("cluster_nodes") else {}
    return {**endpoint, "host": address, "sentinels": [], "sentinel_password": "", **nodes}


def profile_values(endpoint: Mapping[str, Any], key_prefix: str = "") -> dict[str, str]:
    """
    Return the variables that ``Settings.from_env`` reads; passwords last.

    Args:
        endpoint: ``host`` and ``port``, ``unix_socket``, or ``cluster_nodes``, a list of ``host:port``; or ``sentinels``, such a list,
            with ``service`` and ``sentinel_password``; ``username``, empty for ``default``; ``password``, empty for none; ``tls``, with
            which the port is one of TLS unless it is ``off``; ``ca_file``, where the application reads the certificates that it trusts; and
            ``tls_server_name``, the name that the server's certificate has in place of the host.
    """
    values = {"REDIS_URL": f"unix://{endpoint['unix_socket']}"} if endpoint.get("unix_socket") else {}
    if endpoint.get("cluster_nodes"):
        values = {"REDIS_CLUSTER_NODES": ",".join(endpoint["cluster_nodes"])}
    if endpoint.get("sentinels"):
        values = {"REDIS_SENTINELS": ",".join(endpoint["sentinels"]), "REDIS_SENTINEL_SERVICE": str(endpoint["service"])}
    if not values:
        values = {"REDIS_HOST": str(endpoint["host"]), "REDIS_PORT": str(endpoint["port"])}
    if "REDIS_URL" not in values and endpoint.get("tls", "off") != "off":
        values["REDIS_TLS_ENABLED"] = "true"
        values.update({"REDIS_TLS_CA_FILE": str(endpoint["ca_file"])} if endpoint.get("ca_file") else {})
        values.update({"REDIS_TLS_SERVER_NAME": str(endpoint["tls_server_name"])} if endpoint.get("tls_server_name") else {})
    further = {
        "REDIS_USERNAME": endpoint.get("username"),
        "REDIS_KEY_PREFIX": key_prefix,
        SENTINEL_PASSWORD: endpoint.get("sentinel_password"),
        PASSWORD: endpoint.get("password"),
    }
    return {**values, **{name: str(value) for name, value in further.items() if value}}


def profile_variable(name: str) -> dict[str, str]:
    """
    Return the variable by which a profile says its name; each profile has another variable, so that two in one environment are both seen.

    Args:
        name: Of the profile, such as ``redis@node1``.
    """
    return {f"REDIS_PROFILE_{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}": name}


def profile_text(title: str, values: Mapping[str, str], quote: Callable[[str], str] = shlex.quote) -> str:
    """
    Return an env file.

    Args:
        title: First line, a comment.
        values: From `profile_values`.
        quote: How its reader wants a value; a shell by default.
    """
    return "\n".join([f"# {title}", *(f"{name}={quote(value)}" for name, value in values.items()), ""])
