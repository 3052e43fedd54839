# SPDX-License-Identifier: MIT
"""The kinds of deployments that tests of the library run on, and the options with which a module reaches one."""

from __future__ import annotations

from typing import Any, Union

from keyfleet.testing.servers import Cluster, SentinelGroup, Server

from support.managed import Managed

Target = Union[Server, Cluster, SentinelGroup, Managed]


def at(server: Server | Cluster, **options: Any) -> dict[str, Any]:
    """Return the options that reach *server*."""
    if isinstance(server, Cluster):
        return {"startup_nodes": [f"{node.host}:{node.port}" for node in server.nodes], **options}
    return {"login_host": server.host, "login_port": server.port, **options}
