# SPDX-License-Identifier: MIT
"""Sentinels as the module runs them: seeded once, changed by commands, edited while stopped, forgetting what has left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keyfleet.core.connect.settings import Settings
from keyfleet.core.replication.sentinels import Sentinel
from keyfleet.core.sentinel.converge import read_watching
from keyfleet.testing._binaries import find_binary
from keyfleet.testing._server import Server, free_port, wait_until
from support.modules import Result, run_module
from support.replications import PASSWORD, Replication, address

ON_EVERY_SERVER = True
pytestmark = pytest.mark.slow
OWN = "correct horse"
SERVICE = "orders"


class Group:
    """A replication, and three Sentinels that the module runs, each below a root of its own."""

    def __init__(self, folder: Path, engine: str) -> None:
        self.folder, self.engine = folder, engine
        self.replication = Replication(folder, engine)
        self.replication.form()
        self.ports = [free_port("127.0.0.1") for _unused in range(3)]

    def run(self, number: int, *, check: bool = False, **changes: Any) -> Result:
        """Run the module for one Sentinel, and assert that it shows no password."""
        account = {"user": "root", "group": "root"} if os.geteuid() == 0 else {}
        servers = [address(server) for server in self.replication.servers if server.is_running()]
        watch = {"service": SERVICE, "primary": servers[0], "servers": servers, "username": "default", "password": PASSWORD, "quorum": 2}
        root = self.folder / f"sentinel{number}"
        root.mkdir(exist_ok=True)
        options = {
            **account,
            "binary": str(find_binary(self.engine)),
            "service_manager": "process",
            "root": str(root),
            "port": self.ports[number],
            "password": OWN,
            "sentinels": [f"127.0.0.1:{port}" for port in self.ports],
            "wait_seconds": 30,
            "watches": [{**watch, "down_after_ms": 500, **changes.pop("watch", {})}],
            **changes,
        }
        result = run_module("redis_sentinel", options, check=check)
        assert not [secret for secret in (PASSWORD, OWN) if secret in result.stdout + result.stderr]
        assert not result.failed, result.data
        return result

    def sentinel(self, number: int) -> Sentinel:
        """Return a connection to a Sentinel."""
        return Sentinel(Settings(password=OWN, timeout_seconds=5.0), "127.0.0.1", self.ports[number])

    def knows(self, number: int, servers: int, sentinels: int) -> bool:
        """Whether a Sentinel knows so many servers and so many Sentinels, itself included, and they answer."""
        sentinel = self.sentinel(number)
        try:
            (found,) = sentinel.ask(("SENTINEL", "MASTER", SERVICE), problem="cannot be asked")
            words = [word.decode() for word in found]
            state = dict(zip(words[::2], words[1::2]))
            view = sentinel.watched(SERVICE)
            assert view is not None
            counts = (int(state["num-slaves"]) + 1, int(state["num-other-sentinels"]) + 1)
            return counts == (servers, sentinels) and len(view.candidates) == servers - 1
        finally:
            sentinel.close()

    def misses(self, number: int, server: Server) -> bool:
        """Whether a Sentinel takes a server for one that is down."""
        sentinel = self.sentinel(number)
        try:
            return ("127.0.0.1", server.port) in read_watching(sentinel)[SERVICE].silent
        finally:
            sentinel.close()

    def stop(self) -> None:
        """Stop all of it."""
        for number in range(3):
            self.run(number, state="absent")
        self.replication.stop()


@pytest.fixture
def group(tmp_path: Path, redis_engine: str) -> Iterator[Group]:
    """Servers that replicate, and Sentinels that do not run yet."""
    made = Group(tmp_path, redis_engine)
    try:
        yield made
    finally:
        made.stop()


def test_a_sentinel_from_its_seed_to_its_end(group: Group) -> None:
    """Foreseen by check mode; unchanged by a second run; settings change by commands, the port in the file; servers and Sentinels leave."""
    assert ["write the files of the Sentinel", "start the Sentinel", f"watch {SERVICE}"] == group.run(0, check=True)["steps"]
    for number in range(3):
        assert group.run(number).changed
    wait_until(lambda: all(group.knows(number, 3, 3) for number in range(3)), "the Sentinels to know all", 30)
    assert [[]] * 3 == [group.run(number)["steps"] for number in range(3)]

    changed = group.run(0, watch={"parallel_syncs": 2, "quorum": 3}, resolve_hostnames=True)
    assert ["set resolve-hostnames to yes", f"set quorum to 3, parallel-syncs to 2 of {SERVICE}"] == changed["steps"]
    assert not group.run(0, watch={"parallel_syncs": 2, "quorum": 3}, resolve_hostnames=True).changed

    group.ports[1] = free_port("127.0.0.1")
    moved = group.run(1)
    assert ["port", "sentinel announce-port"] == moved["steps"][0].split(" in the file")[0].removeprefix("change ").split(", ")
    wait_until(lambda: group.knows(0, 3, 3) and group.knows(1, 3, 3), "the Sentinel to be found at its new port", 30)
    assert [] == group.run(1)["steps"]

    leaving = group.replication.servers[2]
    leaving.kill()
    wait_until(lambda: group.misses(1, leaving), "the Sentinel to miss a server", 30)
    forgotten = group.run(1)
    assert [f"forget {address(leaving)} of {SERVICE}"] == forgotten["steps"]
    wait_until(lambda: group.knows(1, 2, 3), "the Sentinel to know the others again", 30)

    assert group.run(2, state="absent").changed
    assert not group.run(2, state="absent").changed
    assert [] == list((group.folder / "sentinel2").rglob("*.conf"))
    for number in range(2):
        staying = {"sentinels": [f"127.0.0.1:{port}" for port in group.ports[:2]]}
        assert f"the Sentinel 127.0.0.1:{group.ports[2]} of {SERVICE}" in group.run(number, **staying)["steps"][-1]
        wait_until(lambda: group.knows(0, 2, 2), "the Sentinel to know what stays", 30)
        assert [] == group.run(number, **staying)["steps"]


def test_what_it_watches_by_hand_stays(group: Group) -> None:
    """A replication that keyfleet let it watch is removed with the inventory's; another one stays and is named."""
    group.run(0)
    sentinel = group.sentinel(0)
    sentinel.change(("SENTINEL", "MONITOR", "by-hand", "127.0.0.1", group.replication.servers[0].port, 1), problem="x")
    sentinel.close()
    ended = group.run(0, watches=[])
    assert [f"stop watching {SERVICE}"] == ended["steps"]
    assert "it watches by-hand, which the inventory does not name" in str(ended["warnings"])
