# SPDX-License-Identifier: MIT
"""What a subscription has and has missed."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyfleet._protocol.pubsub import Answer, Arrival, Message, Reconnected, Topic
from keyfleet._topics import Session, Topics

CHANNEL, CHAT, PATTERN = Topic("", "news"), Topic("", "chat"), Topic("P", "n*")


class Clock:
    """Time that stands until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Time."""
    return Clock()


@pytest.fixture
def topics(clock: Clock) -> Topics:
    """A subscription to nothing yet, of which no topic is everywhere."""
    return Topics(lambda _topic: False, clock, lambda: clock.now + 1e6)


def subscribed(topics: Topics, clock: Clock, *wanted: Topic) -> Session:
    """Return a session that has what is *wanted*."""
    session = Session(clock.now)
    for answer in session.align(set(wanted)):
        topics.note_answer(session, answer)
    return session


def arrival(topic: Topic, data: bytes) -> Arrival:
    """Return a message of *topic*."""
    return Arrival(topic, Message(topic.name, data, topic.name if topic.letter == "P" else None))


def test_a_lost_connection_leaves_one_gap_before_what_came_after_it(topics: Topics, clock: Clock) -> None:
    """A message that comes while not all is subscribed again waits until the gap was reported."""
    topics.desire([CHANNEL, PATTERN])
    first = subscribed(topics, clock, CHANNEL, PATTERN)
    topics.note_message(first, arrival(CHANNEL, b"before"))
    clock.now += 5
    assert topics.note_end(first, "it was killed")
    clock.now += 2
    second = Session(clock.now)
    one, other = second.align({CHANNEL, PATTERN})
    topics.note_answer(second, one)
    topics.note_message(second, arrival(one.topic, b"after"))
    assert not topics.is_confirmed([(second, {CHANNEL, PATTERN})])
    topics.note_answer(second, other)
    assert topics.is_confirmed([(second, {CHANNEL, PATTERN})])
    before, gap, after = topics.events
    assert (b"before", b"after") == (before.data, after.data)  # type: ignore[union-attr]
    assert Reconnected(100.0 + 1e6, 7.0, ("news",), ("n*",), "it was killed") == gap


def test_what_is_everywhere_is_back_when_all_have_it(clock: Clock) -> None:
    """One gap, from the server that was heard the longest ago."""
    topics = Topics(lambda _topic: True, clock, clock)
    topics.desire([CHANNEL])
    sessions = [subscribed(topics, clock, CHANNEL) for _unused in range(2)]
    for session in sessions:
        clock.now += 1
        session.heard(clock.now)
        topics.note_end(session, f"lost at {clock.now:g}")
    for _unused in range(2):
        subscribed(topics, clock, CHANNEL)
    assert deque() == topics.events
    topics.note_all_confirmed()
    assert ["lost at 101"] == [event.reason for event in topics.events if isinstance(event, Reconnected)]


def test_a_slot_that_moves_ends_its_channel_only(topics: Topics, clock: Clock) -> None:
    """The server says so unasked; what was asked for is no loss."""
    topics.desire([CHANNEL, CHAT])
    session = subscribed(topics, clock, CHANNEL, CHAT)
    assert topics.note_answer(session, Answer(CHANNEL, False))
    assert {CHAT} == session.asked == session.subscribed
    (change,) = session.align(set())
    topics.forget([CHAT])
    assert not topics.note_answer(session, change)


def test_a_refusal_is_about_the_next_answer(topics: Topics, clock: Clock) -> None:
    """An error to PING is about none."""
    topics.desire([CHANNEL])
    session = Session(clock.now)
    assert topics.note_refusal(session) is None
    session.align({CHANNEL})
    assert Answer(CHANNEL, True) == topics.note_refusal(session)
    assert (set(), deque()) == (session.asked, session.unanswered)


def test_what_is_forgotten_is_not_heard(topics: Topics, clock: Clock) -> None:
    """Nor what had come and was not taken; a pattern and a channel of one name are two."""
    same = Topic("P", "news")
    assert [CHANNEL, same] == topics.desire([CHANNEL, same, CHANNEL])
    session = subscribed(topics, clock, CHANNEL, same)
    for topic in (CHANNEL, same):
        topics.note_message(session, arrival(topic, b"1"))
    topics.forget([CHANNEL, CHAT])
    topics.note_message(session, arrival(CHANNEL, b"2"))
    assert [Message("news", b"1", "news")] == list(topics.events)


def test_a_session_knows_when_it_is_silent() -> None:
    """What arrived before the connection was in use counts as its beginning."""
    session = Session(10.0)
    session.heard(5.0)
    assert (10.0, 15.0, 3.0) == (session.heard_at, session.alarm_at(5, 2), session.silent_seconds(13.0))
    session.pinged_at = 15.0
    assert 17.0 == session.alarm_at(5, 2)
    session.heard(16.0)
    assert 21.0 == session.alarm_at(5, 2)


EVENTS = st.lists(st.one_of(st.just("lose"), st.just("tick"), st.integers(0, 2)), max_size=30)


@settings(max_examples=300, deadline=None)
@given(EVENTS)
def test_messages_keep_their_order_and_each_loss_is_reported_once(events: list[str | int]) -> None:
    """Over any course: a number is a message of one of three topics; after a loss everything is subscribed again, one by one."""
    clock = Clock()
    topics = Topics(lambda _topic: False, clock, clock)
    desired = [Topic("", str(number)) for number in range(3)]
    topics.desire(desired)
    session, expected, sent = subscribed(topics, clock, *desired), [], 0
    for event in events:
        clock.now += 1
        if event == "tick":
            if session.unanswered:
                topics.note_answer(session, session.unanswered[0])
        elif event == "lose":
            if session.subscribed:
                expected.append("gap")
            topics.note_end(session, "lost")
            session = Session(clock.now)
            session.align(set(desired))
        elif desired[int(event)] in session.subscribed:
            sent += 1
            topics.note_message(session, arrival(desired[int(event)], str(sent).encode()))
    while session.unanswered:
        topics.note_answer(session, session.unanswered[0])
    data = [int(event.data) for event in topics.events if isinstance(event, Message)]
    assert sorted(data) == data
    assert len(set(data)) == sent
    gaps = [event for event in topics.events if isinstance(event, Reconnected)]
    assert bool(gaps) == bool(expected)
    assert len(gaps) <= len(expected)
    assert set(desired) == session.subscribed
