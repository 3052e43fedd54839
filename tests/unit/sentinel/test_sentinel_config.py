# SPDX-License-Identifier: MIT
"""The file of a Sentinel and the commands for what it watches, compared with what it says."""

from __future__ import annotations

from keyfleet.core.sentinel.config import differing, edited, file_lines, seed
from keyfleet.core.sentinel.model import SentinelLayout, SentinelOptions, Watch
from keyfleet.core.sentinel.plan import Watching, login_digest, plan_watches
from keyfleet.core.sentinel.unit import sentinel_unit

LAYOUT = SentinelLayout("/srv")
OPTIONS = SentinelOptions(password='a"b\\c', announced="10.0.0.1")
SETTINGS = {"quorum": "2", "down-after-milliseconds": "5000", "failover-timeout": "60000", "parallel-syncs": "1"}
A, B, C = (("10.0.0.1", 6379), ("10.0.0.2", 6379), ("10.0.0.3", 6379))
WATCH = Watch("orders", A, frozenset({A, B}), SETTINGS, "keyfleet-sentinel", "x")
KNOWN = {"orders": login_digest(WATCH)}


def test_the_seed_is_as_desired() -> None:
    """And what the Sentinel adds to it changes nothing; a line that differs is named and replaced, everything else stays."""
    lines = file_lines(OPTIONS, LAYOUT, "process")
    text = (
        seed(OPTIONS, LAYOUT, "process")
        + 'sentinel monitor orders 10.0.0.1 6379 2\nuser default on #aa ~* &* +@all\nlatency-tracking "no"\n'
    )
    assert [] == differing(text, lines)
    moved = file_lines(SentinelOptions(port=1234, password='a"b\\c', announced="10.0.0.1"), LAYOUT, "process")
    assert ["port", "sentinel announce-port"] == differing(text, moved)
    after = edited(text, moved)
    assert [] == differing(after, moved)
    assert "sentinel monitor orders 10.0.0.1 6379 2\n" in after
    assert "port 26379" not in after


def test_only_what_differs_is_changed() -> None:
    """A new replication is watched, settings are set one for one, a login that is not the recorded one is set again."""
    as_desired = Watching(A, SETTINGS, frozenset({B}))
    assert ([], []) == plan_watches([WATCH], {"orders": as_desired}, made=["orders"], credentials=KNOWN)
    steps, _warnings = plan_watches([WATCH], {}, made=[], credentials={})
    assert ("SENTINEL", "MONITOR", "orders", "10.0.0.1", 6379, "2") == steps[0].commands[0]
    steps, _warnings = plan_watches([WATCH], {"orders": Watching(A, {**SETTINGS, "quorum": "3"})}, credentials=KNOWN)
    assert [(("SENTINEL", "SET", "orders", "quorum", "2"),)] == [step.commands for step in steps]
    steps, _warnings = plan_watches([WATCH], {"orders": as_desired}, credentials={"orders": "another"})
    assert ["set the login of orders"] == [step.phrase for step in steps]


def test_the_primary_that_it_knows_is_kept() -> None:
    """After a failover the inventory's idea of the primary changes nothing."""
    assert ([], []) == plan_watches([WATCH], {"orders": Watching(B, SETTINGS, frozenset({A}))}, credentials=KNOWN)


def test_what_is_forgotten() -> None:
    """A silent server that is not listed, while the primary answers; never one that answers, or is listed, and not in a failover."""
    for replicas, silent, is_settled, count in (
        ({B, C}, {C}, True, 1),
        ({B, C}, {C}, False, 0),
        ({B, C}, set(), True, 0),
        ({B, C}, {B}, True, 0),
    ):
        found = Watching(A, SETTINGS, frozenset(replicas), frozenset(silent), is_settled=is_settled)
        steps, _warnings = plan_watches([WATCH], {"orders": found}, credentials=KNOWN)
        assert count == len([step for step in steps if step.forgets])


def test_which_sentinels_are_forgotten() -> None:
    """A silent one that is not listed; one that answers has not left, and a failover is not disturbed."""
    gone, there = ("10.0.0.8", 26379), ("10.0.0.9", 26379)
    for known, silent, is_settled, count in (
        ({gone, there}, {gone}, True, 1),
        ({gone, there}, {gone}, False, 0),
        ({gone, there}, set(), True, 0),
        ({there}, {there}, True, 0),
        ({gone, there}, {gone, there}, True, 1),
    ):
        found = Watching(A, SETTINGS, frozenset({B}), sentinels=frozenset(known), silent_sentinels=frozenset(silent), is_settled=is_settled)
        steps, _warnings = plan_watches([WATCH], {"orders": found}, sentinels=frozenset({there}), credentials=KNOWN)
        assert ["forget the Sentinel 10.0.0.8:26379 of orders"] * count == [step.phrase for step in steps]


def test_what_leaves_the_inventory() -> None:
    """What keyfleet let it watch is removed, anything else is named."""
    steps, warnings = plan_watches([], {"orders": Watching(A, SETTINGS), "other": Watching(A, SETTINGS)}, made=["orders"])
    assert (("SENTINEL", "REMOVE", "orders"),) == steps[0].commands
    assert 1 == len(steps) == len(warnings)


def test_the_unit_is_that_of_the_servers_for_a_sentinel() -> None:
    """Hardened alike, without what only servers with data need."""
    unit = sentinel_unit("/usr/bin/redis-server", "redis", "redis")
    assert "ExecStart=/usr/bin/redis-server /var/lib/keyfleet-sentinel/sentinel/sentinel.conf --sentinel\n" in unit
    assert "StateDirectory=keyfleet-sentinel/sentinel\n" in unit
    assert "%i" not in unit
    assert "NoNewPrivileges=true" in unit
    assert not [word for word in ("python", "start_role", "/bin/cp") if word in unit]
