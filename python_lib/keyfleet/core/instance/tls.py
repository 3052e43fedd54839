# SPDX-License-Identifier: MIT
"""How this host reaches an instance with TLS, and whether its server must load certificates again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..layout import Layout
from ..profile.values import own_address
from ..tls.certificates import digest, leaf_fingerprint, shown_fingerprint
from .model import Instance

_PORTS = ("port", "tls-port")


def in_order(live: Mapping[str, str], active: Mapping[str, str]) -> dict[str, str]:
    """
    Return directives in the order in which a server can apply them: a number is given up before the other kind of port takes it.

    The server applies those of one CONFIG SET in the order in which they stand there, and none if one fails.
    """
    secure_first = live.get("port", "0") != "0" and live.get("port") == active.get("tls-port")
    ports = sorted((name for name in _PORTS if name in live), reverse=secure_first)
    return {name: live[name] for name in [*(name for name in live if name not in _PORTS), *ports]}


def own_settings(instance: Instance, layout: Layout) -> dict[str, Any]:
    """Return how this host itself connects with TLS: verified against the CA, with a certificate of its own where clients need one."""
    found: dict[str, Any] = {"tls": True, "tls_ca_file": layout.tls_ca_file}
    if instance.tls_directives.get("tls-auth-clients") == "yes":
        found.update(tls_cert_file=layout.tls_file, tls_key_file=layout.tls_file)
    return found


def running_leaf(running: Instance, active: Mapping[str, str], layout: Layout) -> str:
    """
    Return the digest of the certificate that a running server shows; empty without TLS.

    Args:
        running: Where it listens as far as is recorded.
        active: Its directives; empty if it does not report them.
    """
    port = int(active.get("tls-port", running.secure_port))
    bind = active["bind"].split() if active.get("bind") else running.bind
    return shown_fingerprint(own_address(bind), port, layout.tls_file) if port else ""


def certificate_reasons(instance: Instance, leaf: str, loaded_ca: str) -> list[str]:
    """
    Return which files a running server must load again, which it does without a restart.

    Args:
        leaf: Digest of the certificate that it shows.
        loaded_ca: Digest of the CA file that it loaded.
    """
    if not instance.secure_port or not instance.tls_pem or not leaf:
        return []
    found = [] if leaf == leaf_fingerprint(instance.tls_pem) else ["its certificate"]
    return [*found, *([] if loaded_ca == digest(instance.tls_ca) else ["its CA certificates"])]
