# SPDX-License-Identifier: MIT
"""
A proxy between a client and one server that fails on request.

    with start_server(tmp_path) as server, FaultProxy(server) as proxy:
        client = Client.from_settings(proxy.settings(timeout_seconds=0.2))
        proxy.lose_reply("INCR")
        client.incr("n")    # UnreachableError; the server has counted

It cuts the traffic into commands and replies, pipelines included, so that a fault meets the command it names and no other.
With TLS it passes bytes on without reading them: what needs no command name works there, too.
"""

from ._cluster_proxies import ClusterProxies
from ._faults import Fault
from ._proxy import FaultProxy

__all__ = ["ClusterProxies", "Fault", "FaultProxy"]
