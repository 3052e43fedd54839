# SPDX-License-Identifier: MIT
"""
Which source is asked about the topology, and whose view of it is believed; pure, the clock is a parameter.

Sources are the Sentinels, or the nodes of a cluster. Each reports what it knows, which may be outdated: it was cut off from the others,
or has started with an old file. Five rules:

1. The view with the newer epoch wins, and an older one never replaces it while others may still confirm it.
2. A view that led calls astray is suspect: its source is asked last, and a source that repeats it is not enough.
3. A source that is cut off, or of which the believed view says that it has failed, is believed only where no other answers.
4. Of different views with one epoch, the one that most sources have wins; what is believed and not suspect stays if none has most.
5. What no source confirms any more gives way: when most sources know only older views, or none has confirmed it for a while. A cluster
   that was made anew at the same addresses, or a service that was given to Sentinels anew, begins with small epochs again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

MOST_VOTES = 3  # sources with the same view that are enough where there are many
UNCONFIRMED_SECONDS = 15.0
TROUBLE_SECONDS = 10.0  # so long a source that failed is not asked for mere confirmation


class View(NamedTuple):
    """
    What one source says about the topology.

    Attributes:
        content: The topology.
        epoch: Newer views have greater ones; 0 where the source does not say it.
        members: Ids of all servers; empty where there are none. Views without a common member are of different deployments.
        failed: Those of the members that have failed.
        source_id: The source's own id among the members.
        is_cut_off: Whether the source knows that it does not reach the others.
        is_appointed: Whether the settings name the source, so that it may say that the deployment is another one now.
    """

    content: Any
    epoch: int = 0
    members: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    source_id: str = ""
    is_cut_off: bool = False
    is_appointed: bool = True


class Sources:
    """
    What is remembered from one survey to the next.

    Args:
        first_votes: Sources that must agree on the first view; None for most of them.
        clock: Returns the time in seconds.
    Attributes:
        believed: The view that is believed; None before the first.
        is_agreed: Whether enough sources had it; else one that repeats it is no confirmation.
    """

    def __init__(self, first_votes: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._first_votes, self._clock = first_votes, clock
        self.believed: View | None = None
        self.is_agreed = False
        self.confirmed_at = -math.inf
        self._believed_source: Hashable = None
        self._trouble_at: dict[Hashable, float] = {}
        self._asked_at: dict[Hashable, float] = {}

    def survey(self, sources: Iterable[Hashable], *, is_suspect: bool, first: Hashable = None) -> Survey:
        """
        Begin to ask.

        Args:
            sources: All that may be asked.
            is_suspect: Whether calls were led astray by the view that is believed.
            first: The source to begin with, since it reported a change.
        """
        now = self._clock()
        if is_suspect and self._believed_source is not None:
            self._trouble_at[self._believed_source] = now
        queue = list(dict.fromkeys(sources))
        for memory in (self._trouble_at, self._asked_at):
            for gone in memory.keys() - set(queue):
                del memory[gone]
        remembered_since = -math.inf if is_suspect else now - TROUBLE_SECONDS
        troubles = {source: at for source, at in self._trouble_at.items() if at > remembered_since}
        queue.sort(key=lambda source: (source != first, troubles.get(source, -math.inf), self._asked_at.get(source, -math.inf)))
        votes = min(len(queue) // 2 + 1, MOST_VOTES)
        if self.believed is None and self._first_votes is not None:
            votes = self._first_votes
        return Survey(self, queue, votes, is_suspect)

    def note_trouble(self, source: Hashable) -> None:
        """Ask *source* after all others: it did not answer, or its view is outdated."""
        self._trouble_at[source] = self._clock()

    def note_answer(self, source: Hashable) -> None:
        """Ask sources that were asked longer ago before *source*."""
        self._asked_at[source] = self._clock()

    def believe(self, source: Hashable, view: View, *, is_agreed: bool) -> None:
        """Take *view*."""
        self.believed, self._believed_source, self.confirmed_at = view, source, self._clock()
        self.is_agreed = is_agreed

    def has_trouble(self, source: Hashable) -> bool:
        """Whether *source* failed or proved wrong when it was asked last."""
        return self._trouble_at.get(source, -math.inf) >= self._asked_at.get(source, -math.inf) > -math.inf

    @property
    def is_confirmed(self) -> bool:
        """Whether a source has confirmed what is believed not long ago."""
        return self._clock() < self.confirmed_at + UNCONFIRMED_SECONDS


class Survey:
    """One round of questions; `next` names who is asked, `note` takes the answer, and `verdict` ends it."""

    def __init__(self, sources: Sources, queue: list[Hashable], votes_needed: int, is_suspect: bool) -> None:
        self._sources, self._queue, self._votes_needed, self._is_suspect = sources, queue, votes_needed, is_suspect
        self._source_count = len(queue)
        self._candidates: list[tuple[Hashable, View]] = []
        self._outdated: list[tuple[Hashable, View]] = []
        self._winner: tuple[Hashable, View] | None = None

    def next(self) -> Any:
        """Return the source to ask next, None when enough was heard."""
        if self._winner is not None or not self._queue or self._is_agreed:
            return None
        return self._queue.pop(0)

    @property
    def _is_agreed(self) -> bool:
        return any(self._votes(view) >= self._votes_needed for _source, view in self._candidates)

    def _votes(self, view: View) -> int:
        """Return how many sources that are not weak have this view."""
        same = (other for _source, other in self._candidates if other.epoch == view.epoch and other.content == view.content)
        return sum(not self._is_weak(other) for other in same)

    @property
    def sources_left(self) -> int:
        """How many could still be asked."""
        return len(self._queue)

    @property
    def has_candidate(self) -> bool:
        """Whether there is an answer already."""
        return bool(self._candidates)

    @property
    def is_urgent(self) -> bool:
        """Whether a source that is slow is not worth a long wait: another one has answered, and it is not the first view of all."""
        return self.has_candidate and self._sources.believed is not None

    @property
    def is_outdated(self) -> bool:
        """Whether sources answered, and all of them with views that are older than what is known."""
        return bool(self._outdated) and not self._candidates and self._winner is None

    def note(self, source: Hashable, view: View | None) -> None:
        """Take what *source* said; None if it gave no usable answer."""
        self._sources.note_answer(source)
        if view is None:
            self._sources.note_trouble(source)
            return
        believed = self._sources.believed
        if believed is not None and (view.epoch < believed.epoch or _is_foreign(view, believed)):
            self._sources.note_trouble(source)
            self._outdated.append((source, view))
        elif not self._is_weak(view) and believed is not None and (view.epoch > believed.epoch or self._is_confirmation(view, believed)):
            self._winner = source, view
        else:
            self._candidates.append((source, view))

    def verdict(self) -> View | None:
        """Return the view to believe from now on; None if no answer may replace what was known."""
        chosen = self._winner or self._best_candidate() or self._best_outdated()
        if chosen is None:
            return None
        self._sources.believe(*chosen, is_agreed=self._winner is not None or self._is_agreed)
        return chosen[1]

    def _is_weak(self, view: View) -> bool:
        believed = self._sources.believed
        return view.is_cut_off or (believed is not None and view.source_id in believed.failed)

    def _is_confirmation(self, view: View, believed: View) -> bool:
        return not self._is_suspect and self._sources.is_agreed and view.content == believed.content

    def _best_candidate(self) -> tuple[Hashable, View] | None:
        believed = self._sources.believed
        is_kept = believed is not None and not self._is_suspect and not self._is_agreed
        candidates = [pair for pair in self._candidates if not is_kept or believed is None or _may_follow(pair[1], believed)]
        return max(candidates, key=lambda pair: self._rank(pair[1]), default=None)

    def _rank(self, view: View) -> tuple[int, bool, int, bool]:
        believed = self._sources.believed
        is_other = believed is not None and view.content != believed.content
        return view.epoch, not self._is_weak(view), self._votes(view), is_other == self._is_suspect

    def _best_outdated(self) -> tuple[Hashable, View] | None:
        believed = self._sources.believed
        if believed is None:
            return None
        outdated = [pair for pair in self._outdated if pair[1].is_appointed or not _is_foreign(pair[1], believed)]
        if self._sources.is_confirmed and 2 * len(outdated) <= self._source_count:
            return None
        return max(outdated, key=lambda pair: pair[1].epoch, default=None)


def _may_follow(view: View, believed: View) -> bool:
    return view.epoch > believed.epoch or view.content == believed.content


def _is_foreign(view: View, believed: View) -> bool:
    return bool(view.members and believed.members) and view.members.isdisjoint(believed.members)
