# SPDX-License-Identifier: MIT
"""What is refused before any server is asked: all problems together, each with its place, the value found and those allowed."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.cluster.moving import next_batch
from keyfleet.core.cluster.validation import parse_desired, parse_limits
from keyfleet.core.errors import SettingsError

NODE = {"address": "10.0.0.1:7000"}


@pytest.mark.parametrize(
    ("nodes", "options", "problem"),
    [
        ([NODE, NODE], {}, "nodes[1] is 10.0.0.1:7000, and so is nodes[0]; name each node once"),
        ([NODE], {"retired": ["10.0.0.1:7000"]}, "retired[0] is 10.0.0.1:7000, and so is nodes[0]; name each node once"),
        ([{"address": "::1:7000"}], {}, "nodes[0].address is '::1:7000'; allowed: host:port, an IPv6 address in brackets"),
        ([NODE], {"retired": ["a:70000"]}, "retired[0] is 'a:70000'; allowed: host:port, an IPv6 address in brackets"),
        ([{**NODE, "weight": 0}], {}, "nodes[0].weight is 0; allowed: more than 0"),
        ([{**NODE, "weight": float("nan")}], {}, "nodes[0].weight is nan; allowed: more than 0"),
        ([{**NODE, "weight": float("inf")}], {}, "nodes[0].weight is inf; allowed: more than 0"),
        ([NODE], {"replicas": -1}, "replicas is -1; allowed: 0 or more"),
        ([NODE], {"shards": 2}, "shards is 2; allowed: 3 or more"),
    ],
)
def test_wrong_nodes(nodes: list[dict[str, Any]], options: dict[str, Any], problem: str) -> None:
    """One problem each."""
    with pytest.raises(SettingsError) as caught:
        parse_desired(nodes, **options)
    assert (problem,) == caught.value.problems


def test_places_and_weights() -> None:
    """The host of an address counts as what fails together, unless the user names it."""
    first, second = parse_desired([{"address": "[::1]:7000"}, {"address": "b:1", "host": "rack1", "zone": "z", "weight": 2}]).nodes
    assert ("[::1]:7000", "[::1]", "", 1.0) == (first.address, first.host, first.zone, first.weight)
    assert ("b:1", "rack1", "z", 2.0) == (second.address, second.host, second.zone, second.weight)


def test_wrong_limits() -> None:
    """All of them together."""
    with pytest.raises(SettingsError) as caught:
        parse_limits(0, 0, 0)
    assert (
        "batch_keys is 0; allowed: 1 or more",
        "batch_slots is 0; allowed: 1 or more",
        "wait_seconds is 0; allowed: more than 0",
    ) == caught.value.problems


def test_a_batch_follows_the_time_that_the_last_one_took() -> None:
    """A call that is long for clients halves it, a short one doubles it up to the limit."""
    assert [20, 100, 10, 5, 1] == [
        next_batch(10, 0.001, 100),
        next_batch(80, 0.001, 100),
        next_batch(10, 0.005, 100),
        next_batch(10, 0.02, 100),
        next_batch(1, 0.02, 100),
    ]
