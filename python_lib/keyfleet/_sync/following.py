# SPDX-License-Identifier: MIT - made from _async/following.py by scripts/generate_sync.py; change that one
"""What came back of an attempt, and what it means for each call: verdicts of `_attempts` are carried out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from .._attempts import last_verdicts, verdict, verdicts
from .._protocol.command import Command
from .._protocol.outcomes import NEW, Answer, Lost, Member, Outcome, Retry, Rules, Sent, Settle, State, Verdict
from .._protocol.resp import ErrorReply
from .._transport.dialer import Dialer, format_address
from .._transport.failures import Failure, LostError
from .._transport.thread_pool import Node
from ..core.errors import KeyfleetError, WrongTypeError
from .call import Call, Write, is_plain, outcome_of, outcomes_of
from .routers import make_router

T = TypeVar("T")

LEARN_AGAIN_SECONDS = 1.0
RESERVED_SECONDS = 5e-6  # of the budget, for each call of a pipeline: to settle it when the time is over


class Following:
    """
    Follows what came back of attempts: settles calls, or prepares their next attempt.

    Args:
        dialer: Knows settings and policy, and counts.
    """

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self.router = make_router(dialer)
        self._settings, self._policy, self._counters = dialer.settings, dialer.policy, dialer.counters
        self._rules = Rules(bool(dialer.settings.cluster_nodes), dialer.policy.while_disconnected == "fail")
        self._budget = dialer.settings.timeout_seconds

    def decoded(self, call: Call) -> Any:
        """Return what the settled *call* answers, or raise its error."""
        return self.answer(call.command, call.result)

    def answer(self, command: Command[T], reply: Any) -> T:
        """Return what *reply* means as the answer to *command*, or raise the error that it is."""
        if isinstance(reply, KeyfleetError):
            raise reply
        if isinstance(reply, ErrorReply):
            if reply.code == "WRONGTYPE" and command.kind.wanted:
                raise WrongTypeError(command.key, command.kind.wanted, "value of another type")
            raise self._dialer.translate(reply)
        return command.decode(reply, command.key)

    def _take(self, calls: Sequence[Call], writes: Sequence[Write], in_order: bool, deadline: float) -> None:
        """Follow what came back of each write."""
        if all(is_plain(group, outcome) for group, outcome in writes):  # the fast path: answers need no verdicts
            for group, outcome in writes:
                for call, reply in zip(group, outcome, strict=True):  # type: ignore[arg-type]
                    call.settle(reply)
            return
        if in_order and self._is_hopeless(calls, writes, deadline):
            self._end_all(calls, writes[0][1])
            return
        outcomes = {}
        for number, (group, outcome) in enumerate(writes):
            for call, came in outcomes_of(group, outcome):
                call.is_answered = isinstance(came, Answer)
                outcomes[call] = number, came
        if in_order:
            self._judge(calls, outcomes)
            return
        for call, (_number, came) in outcomes.items():
            self._follow(call, verdict(self._sent(call), came, self._rules))

    def _is_hopeless(self, calls: Sequence[Call], writes: Sequence[Write], deadline: float) -> bool:
        """Say whether *calls* were one write, all of it was lost, and there is no time for another."""
        if len(writes) != 1 or time.monotonic() < deadline - RESERVED_SECONDS * len(calls):
            return False
        group, outcome = writes[0]
        is_whole = len(group) == len(calls) and all(call.past is NEW for call in calls)
        return is_whole and isinstance(outcome, LostError) and not outcome.replies

    def _end_all(self, calls: Sequence[Call], outcome: list[Any] | Failure) -> None:
        loss = outcome_of(outcome)
        assert isinstance(loss, Lost)  # noqa: S101 - as `_is_hopeless` has seen
        for call, found in zip(calls, last_verdicts([call.command for call in calls], loss, self._shown(calls[0].node)), strict=True):
            self._follow(call, found)

    def _judge(self, calls: Sequence[Call], outcomes: Mapping[Call, tuple[int, Outcome]]) -> None:
        """Follow what a round of attempts means for each call of a pipeline."""
        members = []
        shown: dict[Node | None, str] = {}
        for call in calls:
            number, outcome = outcomes.get(call, (0, None))
            state = State.OPEN if not call.is_settled else State.FAILED if isinstance(call.result, KeyfleetError) else State.ANSWERED
            members.append(Member(self._sent(call, shown), outcome, number, state))
        for call, found in zip(calls, verdicts(members, self._rules), strict=True):
            if found is not None:
                self._follow(call, found)

    def _sent(self, call: Call, shown: dict[Node | None, str] | None = None) -> Sent:
        """Return *call* as a value; *shown* keeps the addresses of servers, which take longer than all else."""
        node = call.node
        address = None if shown is None else shown.get(node)
        if address is None:
            address = self._shown(node)
            if shown is not None:
                shown[node] = address
        return Sent(call.command, call.past, address, str(node.address[0]) if node is not None else "")

    def _shown(self, node: Node | None) -> str:
        return self._settings.address if node is None else format_address(node.address)

    def _follow(self, call: Call, found: Verdict) -> None:
        """Settle *call*, or prepare its next attempt."""
        call.is_asking = call.goes_on_at_once = False
        if isinstance(found, Settle):
            call.blames_server = found.blames_server
            call.settle(found.result)
            return
        call.past, call.goes_on_at_once = found.past, found.now
        if isinstance(found, Retry):
            call.command, call.needs_rediscovery = found.command, found.rediscover
            if found.drops_connections and call.node is not None:
                call.node.drop()
        elif found.asking:
            call.node, call.is_asking = self.router.node_at(found.address), True
        else:
            self.router.moved(found.slot, found.address)
            call.needs_rediscovery = time.monotonic() > self.router.learned_at + LEARN_AGAIN_SECONDS  # others have moved as well
