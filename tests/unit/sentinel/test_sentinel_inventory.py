# SPDX-License-Identifier: MIT
"""Sentinels that cannot work are refused before any host is asked; the others become the options of the module."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.sentinel.inventory import majority, sentinel_problems, watches_of


def said(address: str, **options: Any) -> dict[str, Any]:
    """Return what a host says."""
    times = {"down_after_ms": 5000, "failover_timeout_ms": 60000, "parallel_syncs": 1}
    return {"address": address, "port": 26379, "watch": [], "quorum": 0, "state_folder": "/x/redis", **times, **options}


THREE = {"a": said("10.0.0.1:1"), "b": said("10.0.0.2:1"), "c": said("10.0.0.3:1")}


@pytest.mark.parametrize(
    ("hosts", "deployments", "reason"),
    [
        ({name: {**host, "quorum": 4} for name, host in THREE.items()}, ["redis"], "redis_sentinel_quorum is 4; allowed: 1 to 3"),
        (THREE, [], "no deployment has redis_topology 'replication': Sentinels would have nothing to watch"),
        (
            {"a": said("10.0.0.1:1", watch=["x"])},
            ["redis"],
            "redis_sentinel_watch names x, and the deployments that",
        ),
        ({"a": said("10.0.0.1:1"), "b": said("10.0.0.1:1")}, ["redis"], "the Sentinels of a and b are at the same place, 10.0.0.1:1"),
        ({"a": said("10.0.0.1:1", quorum=1), "b": said("10.0.0.2:1", quorum=2)}, ["redis"], "redis_sentinel_quorum differs"),
        ({"a": said("10.0.0.1:1", state_folder="/x/a"), "b": said("10.0.0.2:1")}, ["redis"], "redis_deployment differs within"),
        ({"a": said("10.0.0.1:1", port=80)}, ["redis"], "redis_sentinel_port is 80 on a; allowed: 1024 to 65535"),
        ({"a": said("10.0.0.1:1", down_after_ms=0)}, ["redis"], "redis_sentinel_down_after_ms is 0 on a; allowed: 1 or more"),
    ],
)
def test_what_is_refused(hosts: dict[str, Any], deployments: list[str], reason: str) -> None:
    """Each with the variable and what is found."""
    assert reason in " ".join(sentinel_problems(hosts, deployments))


def test_what_is_accepted() -> None:
    """Three Sentinels for one replication; without the group there is nothing to say, and a host outside of the servers' group is named."""
    assert [] == sentinel_problems(THREE, ["redis"])
    assert [] == sentinel_problems({}, [])
    assert "d is in the group redis_sentinel and not in redis" in sentinel_problems(THREE, ["redis"], ["d"])[0]


def test_the_watches_of_a_host() -> None:
    """All replications, or those of the deployments that are named; the quorum is the majority unless it is given."""
    replications = [
        {"deployment": name, "service": name, "primary": "10.0.0.1:6379", "servers": ["10.0.0.1:6379"], "username": "u", "password": "p"}
        for name in ("orders", "sessions")
    ]
    assert [2, 2] == [watch["quorum"] for watch in watches_of(said("a:1"), replications, 3)]
    assert ["sessions"] == [watch["service"] for watch in watches_of(said("a:1", watch=["sessions"], quorum=1), replications, 3)]
    assert [1, 2, 2, 3, 3] == [majority(count) for count in range(1, 6)]


def test_what_sentinels_watch_is_without_tls() -> None:
    """A deployment with TLS that they do not watch is none of their matter."""
    (problem,) = sentinel_problems(THREE, ["orders", "sessions"], secured=["orders"])
    assert "redis_server_tls is not 'off' for the deployment orders, which Sentinels watch" in problem
    elsewhere = {name: {**host, "watch": ["sessions"]} for name, host in THREE.items()}
    assert [] == sentinel_problems(elsewhere, ["orders", "sessions"], secured=["orders"])
