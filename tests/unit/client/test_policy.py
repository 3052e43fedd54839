# SPDX-License-Identifier: MIT
"""Waiting and giving up, without a clock."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from keyfleet import Policy, Stats
from keyfleet._policy import Breaker, attempt_seconds, backoff_seconds
from keyfleet._transport.counters import Counters


def test_waits_double_up_to_the_longest() -> None:
    """The upper half is chance: here without, and with all of it."""
    assert [0.05, 0.1, 0.2, 1.0, 1.0] == [backoff_seconds(attempt, 0.1, 2.0, lambda: 0.0) for attempt in (1, 2, 3, 9, 1000)]
    assert [0.1, 2.0] == [backoff_seconds(attempt, 0.1, 2.0, lambda: 1.0) for attempt in (1, 9)]


def test_clients_do_not_come_in_step() -> None:
    """Two waits are hardly ever the same."""
    assert len({backoff_seconds(3, 0.1, 2.0) for _unused in range(50)}) > 40


def test_an_attempt_leaves_time_for_another() -> None:
    """Half of what is left, unless that is too short to be of use."""
    assert [5.0, 1.0, 0.25, 0.25, 0.1] == [attempt_seconds(left) for left in (10.0, 2.0, 0.4, 0.25, 0.1)]


def test_a_breaker_opens_after_failures_in_a_row() -> None:
    """A success in between starts the count anew."""
    breaker = Breaker(Policy(breaker_failures=3))
    for _unused in range(2):
        breaker.fail(0.0, 0.0)
    breaker.failures = 0
    for _unused in range(2):
        breaker.fail(0.0, 0.0)
    assert (False, 0.0) == (breaker.is_open, breaker.pause_left(0.0))
    breaker.fail(10.0, 9.0)
    assert (True, 1) == (breaker.is_open, breaker.opened)
    assert 0.25 == breaker.pause_left(10.0)


def test_an_open_breaker_lets_one_probe_through_after_each_pause() -> None:
    """The pause doubles up to two seconds with each probe that fails, and a success ends it."""
    breaker, now, pauses = Breaker(Policy(breaker_failures=1)), 0.0, []
    breaker.fail(now, now)
    for _unused in range(5):
        pauses.append(breaker.pause_left(now))
        now += pauses[-1]
        assert 0.0 == breaker.pause_left(now)  # the probe
        assert breaker.pause_left(now) > 0.0  # everyone else
        breaker.fail(now, now)
    assert [0.25, 0.5, 1.0, 2.0, 2.0] == pauses
    breaker.failures = 0
    assert (False, 0.0, 1) == (breaker.is_open, breaker.pause_left(now), breaker.opened)


def test_failures_of_one_pause_count_once() -> None:
    """Whoever was on their way when it opened, or when the probe failed, found out nothing new."""
    breaker = Breaker(Policy(breaker_failures=2))
    for _unused in range(20):
        breaker.fail(1.0, 0.0)
    assert (2, 0.25) == (breaker.failures, breaker.pause_left(1.0))
    assert 0.0 == breaker.pause_left(1.25)
    for _unused in range(20):
        breaker.fail(1.5, 1.25)
    assert (3, 0.5) == (breaker.failures, breaker.pause_left(1.5))


def test_a_breaker_can_be_switched_off() -> None:
    """With 0 it never opens."""
    breaker = Breaker(Policy(breaker_failures=0))
    for _unused in range(100):
        breaker.fail(0.0, 0.0)
    assert (False, 0.0) == (breaker.is_open, breaker.pause_left(0.0))


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("on_error", "ignore", "raise, fallback"),
        ("while_disconnected", "queue", "wait, fail"),
        ("read_from", "any", "primary, replica"),
        ("max_connections", 0, "1 and above"),
        ("breaker_failures", -1, "0 and above"),
        ("breaker_seconds", 0, "above 0"),
        ("breaker_seconds", 3, "up to 2"),
    ],
)
def test_a_wrong_policy_is_refused(field: str, value: Any, allowed: str) -> None:
    """It names field, value and what is allowed."""
    with pytest.raises(ValueError, match=f"{field} is '?{value}'?; allowed.*{allowed}"):
        Policy(**{field: value})


def test_what_is_counted_is_reported() -> None:
    """Stats has every counter, each beginning with 0."""
    counted = {name: value for name, value in vars(Counters).items() if not name.startswith("_")}
    assert counted == {name: value for name, value in asdict(Stats()).items() if name in counted}
    assert asdict(Stats()).keys() - counted.keys() == {"breaker_opens", "open_breakers", "connections"}
