# SPDX-License-Identifier: MIT
"""What a client reports about itself; loaded on first use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Stats:
    """
    What a client has done so far, and what it holds now.

    Attributes:
        calls: Calls made by the application, a pipeline counts as one.
        retries: Times that a command was sent once more, or its connecting tried once more.
        failures: Calls that ended with an error about reaching the server.
        fallbacks: Failures that Policy.on_error turned into an answer.
        waits: Times that a call waited for a free connection.
        connections_opened: Connections made.
        undecodable: Values that were not the JSON that was asked for, and were taken for missing.
        breaker_opens: Times that a server was given a pause because calls to it had failed.
        open_breakers: Servers that are given a pause now.
        connections: Connections that are open now.
    """

    calls: int = 0
    retries: int = 0
    failures: int = 0
    fallbacks: int = 0
    waits: int = 0
    connections_opened: int = 0
    undecodable: int = 0
    breaker_opens: int = 0
    open_breakers: int = 0
    connections: int = 0
