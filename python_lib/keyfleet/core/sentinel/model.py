# SPDX-License-Identifier: MIT
"""A Sentinel as it should be, and what it watches; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ..layout import SENTINEL_FOLDER, Layout, sentinel_file

DEFAULT_PORT = 26379
SETTINGS = ("quorum", "down-after-milliseconds", "failover-timeout", "parallel-syncs")


class SentinelLayout(Layout):
    """Paths of the Sentinel of a host; beside those of the instances, and none of them."""

    def __init__(self, root: str) -> None:
        super().__init__(root, "sentinel")

    def _below(self, top: str) -> str:
        return str(PurePosixPath(self.root) / top / SENTINEL_FOLDER / self.name)

    @property
    def sentinel_file(self) -> str:
        """Configuration and state, in one file that the Sentinel rewrites."""
        return sentinel_file(self.root)

    @property
    def record_file(self) -> str:
        """What keyfleet gave to the Sentinel and cannot ask it for (JSON)."""
        return f"{self.config_dir}/sentinel.json"

    @property
    def unit(self) -> str:
        """Name of the systemd unit."""
        return "keyfleet-sentinel.service"


@dataclass(frozen=True)
class Watch:
    """
    A replication that is watched.

    Attributes:
        service: Name for clients.
        primary: Host and port of the primary, for a Sentinel that does not watch it yet.
        servers: Host and port of every server, the primary included. Others that a Sentinel knows are forgotten when they are silent.
        settings: SETTINGS, as the Sentinel prints them.
        username, password: As whom Sentinels log in to the servers.
    """

    service: str
    primary: tuple[str, int]
    servers: frozenset[tuple[str, int]]
    settings: Mapping[str, str]
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class SentinelOptions:
    """
    What the file of a Sentinel says.

    Attributes:
        port, bind: Where it listens.
        password: Of clients and of other Sentinels; empty for none.
        announced: Address at which others reach it; empty lets them see it.
        resolves_hostnames, announces_hostnames: Whether servers and Sentinels are known by name.
    """

    port: int = DEFAULT_PORT
    bind: tuple[str, ...] = ("127.0.0.1", "-::1")
    password: str = field(default="", repr=False)
    announced: str = ""
    resolves_hostnames: bool = False
    announces_hostnames: bool = False
