# SPDX-License-Identifier: MIT
"""What a process admits on its own while no server can be asked; the clocks are parameters."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest
from keyfleet import Limit, LocalShare, RateLimitResult
from keyfleet._capabilities.rate_limit_outages import MOST_BUCKETS, Outages, checked_on_outage

NOW = 1_000_000.0


def ask(outages: Outages, limits: Any, at: float, *, cost: int = 1, share: float = 0.25, subject: str = "a") -> RateLimitResult:
    """Check *limits* at the monotonic time *at*."""
    several = limits if isinstance(limits, list) else [limits]
    return outages.decide(LocalShare(share), subject, several, cost, at, NOW + at)


@pytest.mark.parametrize("algorithm", ["gcra", "fixed", "sliding"])
def test_a_share_of_the_burst_is_admitted_and_then_of_the_rate(algorithm: Any) -> None:
    """A quarter of 100 in 100 seconds: 25, then one every 4 seconds."""
    outages, limit = Outages(), Limit(100, 100, algorithm)
    results = [ask(outages, limit, 5.0) for _unused in range(30)]
    assert 25 == sum(result.allowed for result in results)
    assert [24, 0, 0] == [results[number].remaining for number in (0, 24, 29)]
    assert {("share", 100)} == {(result.source, result.limit) for result in results}
    refused = results[29]
    assert (4.0, 100.0, NOW + 105.0) == (refused.retry_after_seconds, refused.reset_after_seconds, refused.reset_at)
    assert [False, True, False] == [ask(outages, limit, at).allowed for at in (8.99, 9.0, 9.0)]
    assert 25 == sum(ask(outages, limit, 1000.0).allowed for _unused in range(30))
    assert (51, 12) == (outages.stats.allowed_in_outage, outages.stats.refused_in_outage)


def test_who_waits_as_reported_is_admitted() -> None:
    """Rounding refuses no caller that waited."""
    for number, window in ((7, 60.0), (42, 60.0), (1, 30.0), (999, 3600.0)):
        outages, limit, at = Outages(), Limit(number, window), 0.0
        for _unused in range(200):
            result = ask(outages, limit, at, share=1 / 3)
            at += result.retry_after_seconds
            assert result.allowed or ask(outages, limit, at, share=1 / 3).allowed


def test_a_share_below_one_call_admits_one_and_keeps_its_rate() -> None:
    """5 in 60 seconds for 8 processes: one, then one every 96 seconds. A cost above the share is for the server alone."""
    outages, limit = Outages(), Limit(5, 60)
    assert [True, False] == [ask(outages, limit, 0.0, share=1 / 8).allowed for _unused in range(2)]
    assert 96.0 == ask(outages, limit, 0.0, share=1 / 8).retry_after_seconds
    large = ask(outages, limit, 1000.0, share=1 / 8, cost=2)
    assert (False, 1.0) == (large.allowed, large.retry_after_seconds)


def test_several_limits_are_consumed_together_or_not_at_all() -> None:
    """The one that refuses longest decides."""
    outages, several = Outages(), [Limit(40, 10), Limit(8, 100, "fixed")]
    results = [ask(outages, several, 0.0) for _unused in range(3)]
    assert [True, True, False] == [result.allowed for result in results]
    assert [[(True, 9), (True, 1)], [(True, 8), (True, 0)], [(True, 8), (False, 0)]] == [
        [(it.allowed, it.remaining) for it in result.each] for result in results
    ]
    assert (8, 50.0) == (results[2].limit, results[2].retry_after_seconds)


def test_subjects_are_apart_and_bounded_in_number() -> None:
    """The one that was admitted longest ago is forgotten first."""
    outages, limit = Outages(), Limit(4, 1000)
    assert all(ask(outages, limit, 0.0, subject=str(number)) for number in range(MOST_BUCKETS + 1))
    assert not ask(outages, limit, 0.0, subject="1")
    assert ask(outages, limit, 0.0, subject="0"), "forgotten"


def test_threads_together_admit_exactly_the_share() -> None:
    """8 threads of 200 calls, 100 of 400."""
    outages, limit, admitted = Outages(), Limit(400, 1_000_000), []
    gate = threading.Barrier(8)

    def work() -> None:
        gate.wait()
        admitted.append(sum(ask(outages, limit, 0.0).allowed for _unused in range(200)))

    threads = [threading.Thread(target=work) for _unused in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 100 == sum(admitted)


def test_a_clock_that_goes_back_gives_nothing_back() -> None:
    """As a monotonic clock of another process would, after a fork on another host."""
    outages, limit = Outages(), Limit(4, 100)
    assert [True, False, False] == [ask(outages, limit, at).allowed for at in (50.0, 50.0, 10.0)]


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    """The message names the value and what is allowed."""
    with pytest.raises(ValueError, match="allowed are above 0 to 1"):
        LocalShare(share)


def test_what_is_no_choice_is_refused() -> None:
    """With the choices; a LocalShare is one, and pickles."""
    for wrong in (True, "0.5"):
        with pytest.raises(TypeError, match="share is of type"):
            LocalShare(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="raise, allow, refuse and a LocalShare"):
        checked_on_outage("open")  # type: ignore[arg-type]
    checked_on_outage(pickle.loads(pickle.dumps(LocalShare(0.5))))  # noqa: S301
