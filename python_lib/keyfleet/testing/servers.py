# SPDX-License-Identifier: MIT
"""
Real throw-away servers on loopback, for tests.

    with start_server(tmp_path, password="secret") as server:
        client = Client.from_settings(server.settings())

All of them need only the server's binary (``redis-server`` or ``valkey-server``), run unprivileged, keep everything in the
folder they are given, answer when the start function returns, and are stopped when the block or the process ends.
"""

from ._binaries import ServerStartError
from ._cluster import Cluster, start_cluster
from ._sentinel import SentinelGroup, start_sentinel
from ._server import Server, start_server

__all__ = ["Cluster", "SentinelGroup", "Server", "ServerStartError", "start_cluster", "start_sentinel", "start_server"]
