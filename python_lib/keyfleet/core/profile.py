# SPDX-License-Identifier: MIT
"""The connection profile: what an application needs to know, as an env file; pure."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Optional


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


def profile_path(path: str, name: str, host: str = "") -> str:
    """
    Return where the profile of an instance is; it depends on names alone, so what a file stands for never changes.

    Args:
        path: File of the instance ``default`` on the only host; another instance and another host have their names put in:
            ``redis.env``, ``redis-sessions.env``, ``redis@node2.env``, ``redis-sessions@node2.env``. No name of an instance has an ``@``.
        host: Name of the host where several share the inventory, empty for the only one.
    """
    place = PurePosixPath(path)
    parts = ("" if name == "default" else f"-{name}", f"@{host}" if host else "")
    return str(place.with_name(place.stem + "".join(parts) + place.suffix))


def profile_text(endpoint: Mapping[str, Any], key_prefix: str = "") -> str:
    """
    Return an env file with the names that ``Settings.from_env`` reads.

    Args:
        endpoint: ``host`` and ``port``, or ``unix_socket``; ``password``, empty for none; ``name`` of the instance.
    """
    values = {"REDIS_URL": f"unix://{endpoint['unix_socket']}"} if endpoint.get("unix_socket") else {}
    if not values:
        values = {"REDIS_HOST": str(endpoint["host"]), "REDIS_PORT": str(endpoint["port"])}
    if endpoint.get("password"):
        values["REDIS_PASSWORD"] = str(endpoint["password"])
    if key_prefix:
        values["REDIS_KEY_PREFIX"] = key_prefix
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    return "\n".join([f"# Ansible managed: how applications reach instance {endpoint['name']}", *lines, ""])
