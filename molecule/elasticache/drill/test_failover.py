# SPDX-License-Identifier: GPL-3.0-or-later
"""A primary of the cluster is killed, as with a host that lost its power, while a client writes: no call fails."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keyfleet import Client
from keyfleet.testing._server import wait_until
from support.load import Load

if TYPE_CHECKING:
    from conftest import Service

HOSTS = {"orders1": "172.29.251.11", "orders2": "172.29.251.12", "orders3": "172.29.251.13"}
UNIT = "keyfleet@default.service"


def systemctl(host: str, *words: str) -> None:
    """Run systemctl on a host."""
    container = f"{os.environ['KEYFLEET_CONTAINER_PREFIX']}-{host}"
    subprocess.run(["docker", "exec", container, "systemctl", *words], check=True, timeout=60)


def role(cluster: Service, host: str) -> Any:
    """Return the role of the first node of a host."""
    with Client.from_settings(replace(cluster.administrator, host=HOSTS[host])) as client:
        return client.execute("ROLE")


def primaries(cluster: Service, asked: str) -> set[tuple[str, int]]:
    """Return host name and port of every primary, as a node says them."""
    with Client.from_settings(replace(cluster.administrator, host=HOSTS[asked])) as client:
        return {(shard[2][0].decode(), int(shard[2][1])) for shard in client.execute("CLUSTER", "SLOTS")}


def test_no_call_fails(cluster: Service) -> None:
    """Acknowledged writes are there afterwards, and the killed node comes back as a replica."""
    victim = next(host for host in HOSTS if role(cluster, host)[0] == b"master")
    asked = next(host for host in HOSTS if host != victim)
    dead = (f"{victim}.orders.example.test", 6379)
    with Client.from_settings(cluster.settings) as client:
        with Load([lambda number: client.set(f"drill:{number}", str(number))]) as load:
            load.go_on()
            systemctl(victim, "mask", "--runtime", UNIT)
            systemctl(victim, "kill", "--signal=SIGKILL", UNIT)
            try:
                wait_until(lambda: dead not in primaries(cluster, asked), "another node to take over", 60)
                load.go_on()
            finally:
                systemctl(victim, "unmask", "--runtime", UNIT)
                systemctl(victim, "start", UNIT)
            wait_until(lambda: role(cluster, victim)[0] == b"slave", "the killed node to be a replica", 60)
            load.go_on()
        assert [] == load.errors
        (worker,) = load.workers
        keys = [f"drill:{number}" for number in worker.done]
        assert len(keys) == len([value for value in client.get_many(keys).values() if value is not None])
        client.delete(*keys)
