# SPDX-License-Identifier: MIT
"""Which channels are desired, which the servers have confirmed, and which are lost; pure, the clock is a parameter."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ._protocol.pubsub import Answer, Arrival, Message, Reconnected, Topic

Clock = Callable[[], float]


class Session:
    """
    What one server was asked for over one connection, and what it has confirmed.

    Attributes:
        asked: Topics that it has when the server has answered everything.
        subscribed: Topics that it has.
        unanswered: Answers that are still to come, in order.
        restored: Topics that had been lost and came back with these answers.
        held: Messages that came between these answers.
        opened_at: When the connection was made, by the monotonic clock.
        heard_at: When the server was heard last.
        pinged_at: When it was asked for a heartbeat; None if it was heard since.
    """

    def __init__(self, now: float) -> None:
        self.asked: set[Topic] = set()
        self.subscribed: set[Topic] = set()
        self.unanswered: deque[Answer] = deque()
        self.opened_at = self.heard_at = now
        self.pinged_at: float | None = None
        self.restored: list[Topic] = []
        self.held: list[Message[bytes]] = []

    def align(self, topics: set[Topic]) -> list[Answer]:
        """Return which answers to ask for, so that the session has *topics* and nothing else."""
        changes = [Answer(topic, True) for topic in topics - self.asked]
        changes += [Answer(topic, False) for topic in self.asked - topics]
        self.asked = set(topics)
        self.unanswered.extend(changes)
        return changes

    def heard(self, received_at: float) -> None:
        """Note that the server sent something; what arrived before the connection was in use counts as its beginning."""
        self.heard_at, self.pinged_at = max(received_at, self.opened_at), None

    def silent_seconds(self, now: float) -> float:
        """Return how long the server was not heard."""
        return now - self.heard_at

    def alarm_at(self, ping_seconds: float, timeout_seconds: float) -> float:
        """Return when to ask for a heartbeat, or when the one that was asked for is overdue."""
        return self.heard_at + ping_seconds if self.pinged_at is None else self.pinged_at + timeout_seconds


class Topics:
    """
    What a subscription has and has missed, over all of its sessions.

    Args:
        is_everywhere: Whether every server must have a topic, so that its gap lasts until all of them have it again.
        clock, wall_clock: Return the monotonic time, and the seconds since the epoch.
    Attributes:
        desired: In the order in which they were asked for.
        events: What came and was not taken yet.
    """

    def __init__(self, is_everywhere: Callable[[Topic], bool], clock: Clock = time.monotonic, wall_clock: Clock = time.time) -> None:
        self._is_everywhere, self._clock, self._wall_clock = is_everywhere, clock, wall_clock
        self.desired: dict[Topic, None] = {}
        self.events: deque[Message[bytes] | Reconnected] = deque()
        self._lost: dict[Topic, tuple[float, str]] = {}  # when the server was last heard, and what happened

    @property
    def are_everywhere(self) -> bool:
        """Whether one of the desired topics must be on every server."""
        return any(map(self._is_everywhere, self.desired))

    def desire(self, topics: Iterable[Topic]) -> list[Topic]:
        """Add *topics* and return the new ones."""
        new = [topic for topic in dict.fromkeys(topics) if topic not in self.desired]
        self.desired.update(dict.fromkeys(new))
        return new

    def forget(self, topics: Iterable[Topic]) -> None:
        """Remove those of *topics* that are desired, and their messages that were not taken."""
        known = [topic for topic in dict.fromkeys(topics) if topic in self.desired]
        for topic in known:
            del self.desired[topic]
            self._lost.pop(topic, None)
        ended = {(topic.letter == "P", topic.name) for topic in known}
        self.events = deque(event for event in self.events if not isinstance(event, Message) or _subscribed_as(event) not in ended)

    def is_confirmed(self, plan: Iterable[tuple[Session, set[Topic]]]) -> bool:
        """Whether each session has exactly the topics that it is to have."""
        return all(session.subscribed == topics for session, topics in plan)

    def note_message(self, session: Session, arrival: Arrival) -> None:
        """Keep a message; while answers are to come it is held back, as it may be what comes after a gap."""
        if arrival.topic in self.desired:
            (session.held if session.unanswered else self.events).append(arrival.message)

    def note_answer(self, session: Session, answer: Answer) -> bool:
        """
        Note that the server began or ended a subscription.

        Returns:
            Whether it ended one on its own, as it does when the slot of a sharded channel moves.
        """
        topic, is_ended = answer.topic, False
        if session.unanswered and session.unanswered[0] == answer:
            session.unanswered.popleft()
        else:
            session.asked.discard(topic)
        if answer.is_subscribed:
            session.subscribed.add(topic)
            session.restored += [topic] if topic in self._lost else []
        elif topic in session.subscribed:
            session.subscribed.discard(topic)
            is_ended = topic in self.desired and topic not in session.asked
            if is_ended:
                self._lost.setdefault(topic, (session.heard_at, "the server ended the subscription, as it does when a slot moves"))
        self._let_in(session)
        return is_ended

    def note_refusal(self, session: Session) -> Answer | None:
        """Note that the server refused what it was asked for next, and return that; None if nothing was, as after PING."""
        if not session.unanswered:
            return None
        refused = session.unanswered.popleft()
        session.asked.discard(refused.topic)
        if not refused.is_subscribed:  # its slot is served elsewhere, where the subscription was not
            session.subscribed.discard(refused.topic)
        self._let_in(session)
        return refused

    def note_end(self, session: Session, reason: str) -> bool:
        """Note that the connection of *session* ended, and return whether a desired topic was on it."""
        session.unanswered.clear()
        self._let_in(session)
        for topic in session.subscribed:
            if topic in self.desired:
                self._lost.setdefault(topic, (session.heard_at, reason))
        return not self.desired.keys().isdisjoint(session.asked | session.subscribed)

    def note_all_confirmed(self) -> None:
        """Report the gap of everything that was lost: all of it is back."""
        self._report(list(self._lost))

    def _let_in(self, session: Session) -> None:
        """Once all is answered: report the gap, and then what came after it. The gap of what is everywhere lasts until all are back."""
        if session.unanswered:
            return
        back = [topic for topic in session.restored if topic in self._lost and not self._is_everywhere(topic)]
        session.restored.clear()
        self._report(back)
        self.events.extend(session.held)
        session.held.clear()

    def _report(self, back: Sequence[Topic]) -> None:
        if not back:
            return
        since, reason = min(self._lost.pop(topic) for topic in back)
        gap = self._clock() - since
        channels = tuple(sorted(topic.name for topic in back if topic.letter != "P"))
        patterns = tuple(sorted(topic.name for topic in back if topic.letter == "P"))
        self.events.append(Reconnected(self._wall_clock() - gap, gap, channels, patterns, reason))


def _subscribed_as(message: Message[bytes]) -> tuple[bool, str]:
    """Return whether it came for a pattern, and which pattern or channel."""
    return message.pattern is not None, message.pattern or message.channel
