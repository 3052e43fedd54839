# SPDX-License-Identifier: MIT
"""Who listens where, with a real server."""

from __future__ import annotations

from keyfleet.core.host.ports import listener
from keyfleet.testing.servers import Server


def test_a_running_server_is_found_by_its_address(redis_server: Server) -> None:
    """With pid and name, so that an operator knows whom to ask."""
    found = listener(redis_server.host, redis_server.port)

    assert found is not None
    assert (redis_server.pid, "redis-server") == (found.pid, found.process)
    assert listener("127.255.0.9", redis_server.port) is None
