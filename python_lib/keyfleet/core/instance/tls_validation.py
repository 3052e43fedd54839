# SPDX-License-Identifier: MIT
"""What is wrong with the ports of an instance with TLS, found from the inventory alone; pure."""

from __future__ import annotations

from collections.abc import Iterator

from .model import Instance


def tls_problems(instance: Instance) -> Iterator[str]:
    """Return why an instance could not listen with TLS as it is stated."""
    if instance.tls == "both" and not (instance.port and instance.tls_port):
        yield (
            f"tls is 'both', port is {instance.port} and tls_port is {instance.tls_port}: give two ports, one without TLS and one with it, "
            "or 'only' for one"
        )
    elif instance.tls == "both" and instance.port == instance.tls_port:
        yield f"tls_port is {instance.tls_port}, which port is too: a port is either with TLS or without it"
    elif instance.tls == "only" and not instance.secure_port:
        yield "tls is 'only', and port and tls_port are 0: give one of them, on which the server speaks TLS"
