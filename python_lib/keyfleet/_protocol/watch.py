# SPDX-License-Identifier: MIT
"""When Sentinels must be asked for the primary although no call has failed; pure, the clock is a parameter."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from enum import Enum
from typing import Any

from .resp import pack

# Events of a Sentinel after it promoted a replica, and after another Sentinel reported that. Both precede the demotion of the old primary.
EVENTS = ("+switch-master", "+promoted-slave", "+config-update-from", "+failover-state-reconf-slaves")
SUBSCRIBE = b"".join(pack(("SUBSCRIBE", event)) for event in EVENTS)
PING = pack(("PING",))

PING_SECONDS = 1.0  # silence after which the Sentinel is asked for a heartbeat
SILENT_SECONDS = 2.0  # silence after a PING that means that the connection is lost
UNPROVEN_SECONDS = 3.0  # silence after which events may have been missed, as while no call was made
EVENT_SECONDS = 15.0  # after an event for so long no call uses what was known before, though no Sentinel answers
VERIFY_SECONDS = 5.0  # so often another Sentinel is asked, as the one that is heard may be cut off from the others
LEAST_SECONDS = 0.5  # for so long after Sentinels were asked nothing is asked again, so that the call that asked continues
LONGEST_PAUSE_SECONDS = 10.0


class Reason(Enum):
    """Why the Sentinels are asked."""

    EVENT = "a Sentinel reported a failover: calls wait until it is known who the primary is"
    REDISCOVERY = "events may have been missed: one call asks, and continues if no Sentinel answers"


class Watch:
    """
    What was heard from the Sentinel that is listened to, and when something is due.

    Attributes:
        events: How many failovers were reported so far.
        alarm_at: When something is due by the clock.
        is_listening: Whether there is a connection over which events come.
    """

    def __init__(self, service: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._service, self._clock = service.encode(), clock
        self.is_listening = False
        self.events = self._settled_events = 0
        self.alarm_at = math.inf
        self._heard_at = self._verified_at = -math.inf
        self._pinged_at: float | None = None
        self._event_at, self._has_reported = -math.inf, False
        self._listen_at, self._pause = -math.inf, PING_SECONDS

    def opened(self) -> None:
        """Note that events are heard from now on."""
        self.is_listening, self._pinged_at, self._heard_at, self._pause = True, None, self._clock(), PING_SECONDS
        self._set_alarm()

    def heard(self, reply: Any) -> None:
        """Take what the Sentinel sent."""
        self._heard_at, self._pinged_at = self._clock(), None
        if isinstance(reply, list) and reply and reply[0] == b"message" and self._service in reply[2].split():
            self.events, self._event_at = self.events + 1, self._clock()
        self._set_alarm()

    def lost(self) -> None:
        """Note that no events are heard any more, or could not be from the beginning; it is tried again, more and more seldom."""
        now = self._clock()
        if not self.is_listening:
            self._listen_at, self._pause = now + self._pause, min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        else:
            self._listen_at = now
        self.is_listening, self._pinged_at = False, None
        self._set_alarm()

    def asked(self, settled_events: int = 0) -> None:
        """Note that Sentinels were asked; an answer that was believed settles the events that had been reported before."""
        self._settled_events = max(self._settled_events, settled_events)
        self._has_reported, self._verified_at = False, self._clock()
        self._set_alarm()

    @property
    def has_event(self) -> bool:
        """Whether an event was reported and no answer was believed since."""
        return self.events > self._settled_events

    @property
    def may_listen(self) -> bool:
        """Whether to connect to a Sentinel now."""
        return not self.is_listening and self._clock() >= self._listen_at

    def check(self) -> tuple[Reason | None, bool]:
        """
        Return why to ask now, None if there is no reason, and whether to send a PING.

        That rediscovery is needed is reported once, until Sentinels were asked.
        """
        now = self._clock()
        if self.has_event:
            if now < self._event_at + EVENT_SECONDS:
                return Reason.EVENT, False
            self._settled_events = self.events
        if now < self.alarm_at:
            return None, False
        silent = now - self._heard_at
        is_unheard = self._pinged_at is not None and now >= self._pinged_at + SILENT_SECONDS
        if self.is_listening and (is_unheard or (self._pinged_at is None and silent >= UNPROVEN_SECONDS)):
            self.lost()
        pings = self.is_listening and self._pinged_at is None and silent >= PING_SECONDS
        if pings:
            self._pinged_at = now
        is_due = self.may_listen or now >= self._verified_at + VERIFY_SECONDS
        needs_rediscovery = is_due and not self._has_reported and now >= self._verified_at + LEAST_SECONDS
        self._has_reported = self._has_reported or needs_rediscovery
        self._set_alarm()
        return (Reason.REDISCOVERY if needs_rediscovery else None), pings

    def _set_alarm(self) -> None:
        due = self._listen_at
        if self.is_listening:
            due = self._heard_at + PING_SECONDS if self._pinged_at is None else self._pinged_at + SILENT_SECONDS
        self.alarm_at = max(min(due, self._verified_at + VERIFY_SECONDS), self._verified_at + (0 if self.is_listening else LEAST_SECONDS))
