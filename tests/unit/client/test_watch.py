# SPDX-License-Identifier: MIT
"""When Sentinels are asked although no call has failed."""

from __future__ import annotations

import pytest
from keyfleet._protocol.watch import (
    EVENT_SECONDS,
    LEAST_SECONDS,
    LONGEST_PAUSE_SECONDS,
    PING_SECONDS,
    SILENT_SECONDS,
    UNPROVEN_SECONDS,
    VERIFY_SECONDS,
    Reason,
    Watch,
)

PONG = [b"pong", b""]
QUIET = (None, False)


class Clock:
    """Time that stands until it is moved."""

    now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Time."""
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> Watch:
    """One that listens, after an answer."""
    made = Watch("main", clock)
    made.opened()
    made.asked()
    return made


def message(text: str) -> list[bytes]:
    """Return an event as a Sentinel sends it."""
    return [b"message", b"+switch-master", text.encode()]


def test_an_event_holds_calls_until_an_answer_is_believed(watch: Watch) -> None:
    """Of the service that is meant; others are other clients' business."""
    watch.heard(message("other 127.0.0.1 1 127.0.0.1 2"))
    assert QUIET == watch.check()
    watch.heard(message("main 127.0.0.1 1 127.0.0.1 2"))
    assert [(Reason.EVENT, False)] * 2 == [watch.check(), watch.check()]
    watch.asked(watch.events)
    assert QUIET == watch.check()


def test_an_event_that_comes_while_sentinels_are_asked_is_not_settled(watch: Watch) -> None:
    """The answer may be older."""
    watch.heard(message("main 127.0.0.1 1 127.0.0.1 2"))
    events = watch.events
    watch.heard(message("main 127.0.0.1 2 127.0.0.1 3"))
    watch.asked(events)
    assert Reason.EVENT is watch.check()[0]


def test_an_event_that_no_sentinel_confirms_does_not_hold_calls_forever(watch: Watch, clock: Clock) -> None:
    """The Sentinels may all have failed after it, and the primary serves."""
    watch.heard(message("slave 127.0.0.1:2 127.0.0.1 2 @ main 127.0.0.1 1"))
    clock.now += EVENT_SECONDS
    assert Reason.EVENT is not watch.check()[0]
    assert not watch.has_event


def test_a_busy_client_pings_and_never_waits(watch: Watch, clock: Clock) -> None:
    """As long as the Sentinel answers, one verification is due every few seconds, and nothing else."""
    reasons, pings = 0, 0
    for _unused in range(100):
        clock.now += PING_SECONDS / 2
        reason, must_ping = watch.check()
        reasons += reason is Reason.REDISCOVERY
        if reason is Reason.REDISCOVERY:
            watch.asked(watch.events)
        if must_ping:
            pings += 1
            watch.heard(PONG)
    assert watch.is_listening
    assert (int(50 * PING_SECONDS / VERIFY_SECONDS), 50) == (reasons, pings)


def test_a_sentinel_without_heartbeat_is_left(watch: Watch, clock: Clock) -> None:
    """One call is sent to ask, once, and may listen to another one."""
    clock.now += PING_SECONDS
    assert (None, True) == watch.check()
    clock.now += SILENT_SECONDS / 2
    assert QUIET == watch.check()
    clock.now += SILENT_SECONDS / 2
    assert watch.is_listening
    assert Reason.REDISCOVERY is watch.check()[0]
    assert not watch.is_listening
    assert QUIET == watch.check()


def test_after_idling_the_first_call_asks(watch: Watch, clock: Clock) -> None:
    """A connection that died meanwhile has reported nothing."""
    clock.now += UNPROVEN_SECONDS
    assert (Reason.REDISCOVERY, False) == watch.check()
    assert watch.may_listen
    assert QUIET == watch.check()
    watch.lost()  # no Sentinel could be listened to
    watch.asked()
    assert not watch.may_listen
    assert QUIET == watch.check()


def test_the_call_that_asked_goes_on(watch: Watch, clock: Clock) -> None:
    """Although the Sentinel that it listened to is lost again."""
    watch.lost()
    clock.now += LEAST_SECONDS
    assert Reason.REDISCOVERY is watch.check()[0]
    watch.opened()
    watch.asked()
    watch.lost()
    assert QUIET == watch.check()
    clock.now += LEAST_SECONDS
    assert Reason.REDISCOVERY is watch.check()[0]


def test_listening_is_tried_again_more_and_more_seldom(clock: Clock) -> None:
    """With no Sentinel to listen to, calls are not held up each second."""
    watch = Watch("main", clock)
    watch.asked(watch.events)
    tries = []
    for _unused in range(600):
        clock.now += 0.1
        if watch.may_listen:
            tries.append(clock.now)
            watch.lost()
            watch.asked(watch.events)
    gaps = [later - earlier for earlier, later in zip(tries, tries[1:], strict=False)]
    assert sorted(gaps) == gaps
    assert gaps[-1] == pytest.approx(LONGEST_PAUSE_SECONDS, abs=0.2)
