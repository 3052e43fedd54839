# SPDX-License-Identifier: MIT
"""Random pipelines against a simulated deployment that loses, redirects and changes roles between any two commands: the rule holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from keyfleet import KeyfleetError, UnreachableError
from keyfleet._attempts import ended, is_over, may_go, verdicts
from keyfleet._protocol.command import Command, may_repeat
from keyfleet._protocol.outcomes import Answer, Lost, Member, NotSent, Outcome, Redirect, Retry, Rules, Sent, Settle, State
from keyfleet._protocol.resp import ErrorReply
from support.groups import NAMES, READS, TAGS, Step, Store, check, groups, stores

LONGEST_ROUNDS = 12
QUIET = hypothesis.settings(max_examples=250, deadline=None, derandomize=True)
EVENTS = ["none"] * 12 + ["lose", "lose", "move", "migrate", "key", "flip", "busy", "down"]
Draw = Any


@dataclass
class Deployment:
    """
    Two servers over one store: a server runs a command or refuses it, and what happens between any two commands is drawn.

    Attributes:
        owner: Which server has each slot; without a cluster all are one.
        leaving: Slots that move to the other server, and which of their keys are there already.
        stale: What the former primary answers to reads since the roles were changed.
        runs: The steps that ran, by their position in the pipeline.
    """

    store: Store
    is_cluster: bool
    draw: Draw
    owner: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TAGS, 0))
    leaving: dict[str, set[str]] = field(default_factory=dict)
    stale: Store = field(default_factory=dict)
    runs: list[int] = field(default_factory=list)

    def run(self, server: int, write: Sequence[tuple[int, Step, bool]]) -> list[Outcome]:
        """Take one write: positions, steps, and whether each comes after ASKING; return what the client sees of it."""
        outcomes: list[Outcome] = []
        is_lost = False
        for position, step, asking in write:
            event = self.draw(st.sampled_from(EVENTS))
            self._happen(event, step)
            if event == "down" and not outcomes and not is_lost:
                return [NotSent(UnreachableError("s", "refused"))] * len(write)
            if event == "lose":
                is_lost = True
                if self.draw(st.booleans()):  # nothing of the rest reaches the server
                    break
            reply = ErrorReply("BUSY script") if event == "busy" else self._answer(server, position, step, asking)
            if not is_lost:
                outcomes.append(Answer(reply))
        return outcomes + [Lost("lost")] * (len(write) - len(outcomes))

    def _happen(self, event: str, step: Step) -> None:
        tag = step.keys[0][1]
        if self.is_cluster and event == "move":
            self.owner[tag] = 1 - self.owner[tag]
            self.leaving.pop(tag, None)
        elif self.is_cluster and event == "migrate":
            self.leaving.setdefault(tag, {name for name in NAMES if name[1] == tag and name not in self.store})
        elif event == "key" and tag in self.leaving:
            self.leaving[tag].add(step.keys[0])
        elif not self.is_cluster and event == "flip":
            self.stale = dict(self.store)
            self.owner = {name: 1 - server for name, server in self.owner.items()}

    def _answer(self, server: int, position: int, step: Step, asking: bool) -> Any:
        tag = step.keys[0][1]
        is_owner = server == self.owner[tag]
        if not self.is_cluster and not is_owner:
            return step.run(dict(self.stale)) if step.name in READS else ErrorReply("READONLY replica")
        if self.is_cluster:
            there = self.leaving.get(tag, set())
            if not is_owner and not (asking and tag in self.leaving):
                return ErrorReply(f"MOVED {TAGS.index(tag)} s{self.owner[tag]}:1")
            here = {key for key in step.keys if (key in there) != is_owner}
            if len(here) < len(set(step.keys)) and here:
                return ErrorReply("TRYAGAIN not all keys")
            if not here:
                return ErrorReply(f"ASK {TAGS.index(tag)} s{1 - server}:1") if is_owner else ErrorReply("TRYAGAIN not all keys")
        self.runs.append(position)
        return step.run(self.store)


class Caller:
    """Sends a pipeline as the executor does, and follows the verdicts; it counts rounds, where the executor reads a clock."""

    def __init__(self, deployment: Deployment, group: Sequence[Step]) -> None:
        self._deployment, self._group = deployment, group
        self._rules = Rules(deployment.is_cluster, False)
        self._sent = [Sent(step.command(), address="s", host="s") for step in group]
        self._asking: dict[int, int] = {}
        self._owner = dict.fromkeys(TAGS, 0)
        self.results: dict[int, Any] = {}

    def run(self) -> list[Any]:
        """Return what each call got."""
        for now in range(LONGEST_ROUNDS):
            self._give_up(now)
            self._round({})  # what was given up may have been before others
            if len(self.results) == len(self._group):
                break
            self._round(self._attempt())
        return [self.results[position] for position in range(len(self._group))]

    def _give_up(self, now: int) -> None:
        for position, sent in enumerate(self._sent):
            if position not in self.results and is_over(sent.past, now, LONGEST_ROUNDS - 1, None):
                self.results[position] = ended(sent).result

    def _attempt(self) -> dict[int, tuple[int, Outcome]]:
        open_calls = [position for position in range(len(self._group)) if position not in self.results]
        tags = [self._group[position].keys[0][1] for position in open_calls]
        routes = [self._asking.get(position, self._owner[tag]) for position, tag in zip(open_calls, tags, strict=True)]
        slots = [TAGS.index(tag) if self._rules.is_cluster else 0 for tag in tags]
        allowed = may_go(zip(slots, routes, strict=True))
        outcomes = {}
        for server in (0, 1):
            mine = [position for position, route, goes in zip(open_calls, routes, allowed, strict=True) if goes and route == server]
            write = [(position, self._group[position], position in self._asking) for position in mine]
            for position, outcome in zip(mine, self._deployment.run(server, write), strict=True):
                outcomes[position] = server, outcome
        return outcomes

    def _round(self, outcomes: dict[int, tuple[int, Outcome]]) -> None:
        members = [self._member(position, *outcomes.get(position, (0, None))) for position in range(len(self._group))]
        for position, found in enumerate(verdicts(members, self._rules)):
            if found is None:
                continue
            self._asking.pop(position, None)
            if isinstance(found, Settle):
                assert not isinstance(found.result, ErrorReply)
                self.results[position] = found.result
                continue
            self._sent[position] = self._sent[position].replaced(past=found.past)
            if isinstance(found, Redirect) and found.asking:
                self._asking[position] = int(found.address[0][1])
            elif isinstance(found, Redirect):
                self._owner[TAGS[found.slot]] = int(found.address[0][1])
            elif isinstance(found, Retry) and found.rediscover:
                self._owner = dict(self._deployment.owner)

    def _member(self, position: int, write: int, outcome: Outcome | None) -> Member:
        state = State.OPEN
        if position in self.results:
            state = State.FAILED if isinstance(self.results[position], KeyfleetError) else State.ANSWERED
        return Member(self._sent[position], outcome, write, state)


@pytest.mark.parametrize("is_cluster", [True, False], ids=["cluster", "single"])
def test_the_rule_holds_whatever_happens(is_cluster: bool) -> None:
    """No answer but one given in order, no counter twice, and no "not run" of what has run; all that is answered is in the store."""

    @QUIET
    @hypothesis.given(group=groups(), before=stores(), data=st.data())
    def holds(group: list[Step], before: Store, data: Any) -> None:
        deployment = Deployment(dict(before), is_cluster, data.draw)
        results = Caller(deployment, group).run()
        check(group, before, results, deployment.runs.count)
        if not any(isinstance(result, KeyfleetError) for result in results):
            wanted = dict(before)
            for step in group:
                step.run(wanted)
            assert wanted == deployment.store

    holds()


def test_without_losses_a_cluster_that_changes_leaves_no_error() -> None:
    """Calls of one key that are only redirected are all answered, whatever moves where between any two of them."""

    @QUIET
    @hypothesis.given(group=groups(several_keys=False), before=stores(), data=st.data())
    def holds(group: list[Step], before: Store, data: Any) -> None:
        moves = st.sampled_from(["none", "none", "migrate", "key"])
        deployment = Deployment(dict(before), True, lambda _strategy: data.draw(moves))
        results = Caller(deployment, group).run()
        assert [] == [result for result in results if isinstance(result, KeyfleetError)]
        check(group, before, results, deployment.runs.count)
        assert sorted(deployment.runs) == list(range(len(group)))

    holds()


def test_what_may_be_repeated_answers_the_same() -> None:
    """However much of the first attempt was run: the second one answers as if there had been no other, but for counts of deleted keys."""

    @QUIET
    @hypothesis.given(group=groups(), before=stores(), ran=st.integers(0, 6))
    def holds(group: list[Step], before: Store, ran: int) -> None:
        commands: list[Command[Any]] = [step.command() for step in group]
        if not may_repeat(commands):
            return
        once, twice = dict(before), dict(before)
        for step in group[:ran]:
            step.run(twice)
        answers = [(step.run(once), step.run(twice)) for step in group]
        assert [] == [pair for step, pair in zip(group, answers, strict=True) if pair[0] != pair[1] and step.name != "delete"]
        assert once == twice

    holds()
