# SPDX-License-Identifier: MIT - made from _async/executor.py by scripts/generate_sync.py; change that one
"""One call or pipeline, from its first attempt to its last: it is sent, waited for, and follows what `_attempts` says."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from .._attempts import ended, is_over, refused, verdict, wait_seconds
from .._policy import LONGEST_DELAY_SECONDS, LONGEST_FAILOVER_DELAY_SECONDS, SHORTEST_ATTEMPT_SECONDS, Breaker, attempt_seconds
from .._protocol.command import Command
from .._protocol.resp import ErrorReply, pack
from .._transport.dialer import Dialer, Request
from .._transport.failures import NO_ANSWER, LostError, NotSentError
from .._transport.thread_pool import Node, end, exchange_all
from .._transport.thread_waits import sleep
from ..core.errors import BreakerOpenError, PoolTimeoutError, UnreachableError
from .call import Call, is_plain, outcome_of
from .sending import Sending
from .watch import Watch

if TYPE_CHECKING:
    from typing import Protocol

    class Closable(Protocol):
        """What the engine closes with itself."""

        def close(self) -> None: ...


T = TypeVar("T")

_kind = attrgetter("kind")
PROBE_POLL_SECONDS = 0.05  # how often a call that waits for another one's probe asks what came of it


class Engine(Sending):
    """
    Runs commands on the servers of one deployment.

    Args:
        dialer: Knows settings and policy, and counts.
    Attributes:
        longest_delay_seconds: Longest wait between two attempts.
        subscriptions: Those that are open; they have connections of their own, which end with the others.
        kept: What capabilities keep as long as the connections last.
    """

    def __init__(self, dialer: Dialer) -> None:
        super().__init__(dialer)
        self.subscriptions: set[Closable] = set()
        self.kept: dict[Any, Any] = {}
        self.longest_delay_seconds = LONGEST_FAILOVER_DELAY_SECONDS if self._has_others else LONGEST_DELAY_SECONDS
        self._attempt_seconds = attempt_seconds(self._budget)

    def run(self, command: Command[T], budget_seconds: float | None = None) -> T:
        """
        Return what *command* answers, within the budget.

        Args:
            command: What to send.
            budget_seconds: For all attempts together; by default ``timeout_seconds`` of the settings.
        Raises:
            KeyfleetError: as docs/client/guarantees.md says.
        """
        now, kind = time.monotonic(), command.kind
        if budget_seconds is None:
            budget, half = self._budget, self._attempt_seconds
        else:
            budget, half = budget_seconds, attempt_seconds(budget_seconds)
        deadline = now + budget
        node = self.router.find(command.name, kind.is_read) if command.is_simple else None
        if node is None or node.breaker.failures:
            return self._run_slowly(command, deadline)
        # The fast path: an answer at the first attempt needs no Call, no verdict and no Watch.
        check_at, watch = deadline, None
        if kind.is_repeatable and budget > SHORTEST_ATTEMPT_SECONDS:
            check_at = now + min(half, self._first_check)
            watch = (Watch, self.router, node, (command.name,), now, now + half, deadline)
        outcome: Any
        try:
            outcome = node.ask(pack(command.arguments), deadline, check_at, watch)
        except (NotSentError, LostError) as failure:
            outcome = failure
        else:
            if outcome.__class__ is not ErrorReply:
                return command.decode(outcome, command.key)
        call = Call(command)
        call.node, call.version, call.sent_at = node, self.router.version, now
        self._follow(call, verdict(self._sent(call), outcome_of(outcome), self._rules))
        self._go_on([call], deadline)
        return self.decoded(call)  # type: ignore[no-any-return]

    def _run_slowly(self, command: Command[T], deadline: float) -> T:
        call = Call(command)
        if command.block_seconds is not None:
            return self._run_waiting(call, deadline)  # type: ignore[no-any-return]
        self.run_all([call], deadline)
        return self.decoded(call)  # type: ignore[no-any-return]

    def _run_waiting(self, call: Call, deadline: float) -> Any:
        """Like `run`, for blocking commands: time spent blocking before a redirection does not count against the budget."""
        while not call.is_settled:
            begun = time.monotonic()
            self._attempt([call], deadline)
            if not call.is_settled:
                if call.is_answered:
                    deadline += time.monotonic() - begun
                self._pause([call], deadline)
                self._counters.retries += not call.is_settled
        self._inform_breakers([call], deadline)
        return self.decoded(call)

    def deadline(self, budget_seconds: float | None) -> float:
        """Return when a call that begins now has to be over."""
        return time.monotonic() + (self._budget if budget_seconds is None else budget_seconds)

    def run_all(self, calls: Sequence[Call], deadline: float, *, in_order: bool = False) -> Sequence[Call]:
        """
        Settle *calls*, side by side where several servers serve them; each holds its result or its error.

        Args:
            in_order: Whether they are a pipeline, so that calls of one slot run in their order.
        """
        self._attempt(calls, deadline, in_order)
        self._go_on(calls, deadline, in_order)
        return calls

    def run_pipeline(self, commands: Sequence[Command[Any]], deadline: float) -> list[Any]:
        """Return the reply to each of *commands*, an ErrorReply or the error for the caller included; those of one slot run in order."""
        kinds = set(map(_kind, commands))
        in_order = not all(kind.is_read for kind in kinds)
        groups = self._groups(commands, not in_order)
        if groups is None:
            return [call.result for call in self.run_all([Call(command) for command in commands], deadline, in_order=True)]
        # The fast path: answers at the first attempt need no Calls and no verdicts.
        now, version = time.monotonic(), self.router.version
        is_repeatable = all(kind.is_repeatable for kind in kinds)
        requests = []
        for node, positions in groups.items():
            mine = commands if len(groups) == 1 else [commands[position] for position in positions]
            request = Request(node, b"".join([pack(command.arguments) for command in mine]), len(mine), deadline)
            requests.append(self._watched(request, now, mine, in_order) if is_repeatable else request)
        outcomes = exchange_all(requests)
        if all(is_plain(positions, outcome) for positions, outcome in zip(groups.values(), outcomes, strict=True)):
            return _in_place(list(groups.values()), outcomes)
        calls = [Call(command) for command in commands]
        for node, positions in groups.items():
            for position in positions:
                call = calls[position]
                call.node, call.version, call.sent_at = node, version, now
        sent = [[calls[position] for position in positions] for positions in groups.values()]
        self._take(calls, list(zip(sent, outcomes, strict=True)), in_order, deadline)
        self._go_on(calls, deadline, in_order=True)
        return [call.result for call in calls]

    def _go_on(self, calls: Sequence[Call], deadline: float, in_order: bool = False) -> None:
        """Attempt again what is not settled, until it is or its time is over."""
        unsettled = [call for call in calls if not call.is_settled]
        while unsettled:
            self._pause(unsettled, deadline)
            given_up = sum(call.is_settled for call in unsettled)
            if given_up == len(unsettled):
                break
            if in_order and given_up:  # a call that ended without an answer may invalidate answers behind it
                self._judge(calls, {})
            self._counters.retries += sum(call.past.attempts > 0 and not call.is_settled for call in unsettled)
            self._attempt(calls, deadline, in_order)
            unsettled = [call for call in unsettled if not call.is_settled]
        self._inform_breakers(calls, deadline)

    def _inform_breakers(self, calls: Sequence[Call], deadline: float) -> None:
        """Count one failure for each server that answered none of *calls*, unless they had too little time to say anything about it."""
        failed: dict[Breaker, float] = {}
        for call in calls:
            breaker = self.router.breaker if call.node is None else call.node.breaker
            if not isinstance(call.result, NO_ANSWER):
                breaker.failures = 0
            elif call.blames_server and not isinstance(call.result, (BreakerOpenError, PoolTimeoutError)):
                failed[breaker] = min(failed.get(breaker, math.inf), call.sent_at)
        now = time.monotonic()
        for breaker, sent_at in failed.items():
            if deadline - sent_at >= self._budget / 2:
                breaker.fail(now, sent_at)

    def _pause(self, calls: Sequence[Call], deadline: float) -> None:
        """Wait as long as the calls need; settle those whose time or attempts are over."""
        now = time.monotonic()
        delay = 0.0
        shown: dict[Node | None, str] = {}
        for call in calls:
            wait = self._wait_of(call)
            if is_over(call.past, now + wait, deadline, self._settings.retry_attempts):
                call.settle(call.refusal or ended(self._sent(call, shown)).result)
            else:
                delay = max(delay, wait)
        if delay:
            sleep(delay)
        doubtful = [call for call in calls if call.needs_rediscovery and not call.is_settled]
        if doubtful:
            self._rediscover(doubtful, deadline)

    def _wait_of(self, call: Call) -> float:
        if call.refusal is not None:
            return min(call.refusal.retry_after_seconds, PROBE_POLL_SECONDS)
        if call.goes_on_at_once:
            return 0.0
        return wait_seconds(call.past, self._settings.retry_delay_ms / 1000, self.longest_delay_seconds, random.random)

    def _rediscover(self, calls: Sequence[Call], deadline: float) -> None:
        """Discover the servers again, once for all calls that had the same reason."""
        for call in calls:
            call.needs_rediscovery = False
        try:
            self.router.learn(deadline, min(call.version for call in calls))
        except NotSentError as failure:
            for call in calls:
                if isinstance(failure.cause, UnreachableError):
                    call.past = call.past.replaced(reason=str(failure.cause))
                else:
                    self._follow(call, refused(self._sent(call), failure.cause))

    @property
    def is_connected(self) -> bool:
        """Whether a connection to every primary stands, as far as is known without asking."""
        primaries = self.router.primaries()
        return bool(primaries) and all(node.is_connected for node in primaries)

    @property
    def is_busy(self) -> bool:
        """Whether a call is on its way."""
        return any(node.is_busy for node in self.router.nodes)

    def run_on_primaries(self, command: Command[T], budget_seconds: float | None = None) -> list[tuple[Node, T]]:
        """Return what each of the servers that together hold all keys answers to *command*; errors as for `run`."""
        deadline = self.deadline(budget_seconds)
        while True:
            nodes = self.primaries(deadline)
            calls = [Call(command, node) for node in nodes]
            self.run_all(calls, deadline)
            # where another server took over, all of them are asked anew
            if nodes == self.router.primaries() or not any(isinstance(call.result, NO_ANSWER) for call in calls):
                return [(node, self.decoded(call)) for node, call in zip(nodes, calls, strict=True)]

    def run_on(self, node: Node, command: Command[T], budget_seconds: float | None = None) -> T:
        """Return what *node*, which must be a primary, answers to *command*; errors as for `run`."""
        call = Call(command, node)
        self.run_all([call], self.deadline(budget_seconds))
        return self.decoded(call)  # type: ignore[no-any-return]

    def relearn(self, deadline: float) -> None:
        """Discover the servers again. UnreachableError if no source names them."""
        try:
            self.router.learn(deadline, self.router.version)
        except NotSentError as failure:
            raise failure.cause from failure

    def primaries(self, deadline: float) -> list[Node]:
        """Return the servers that together hold all keys; UnreachableError if no source names them."""
        if not self.router.primaries():
            self.relearn(deadline)
        return self.router.primaries()

    def close(self) -> None:
        """Close all connections."""
        for subscription in list(self.subscriptions):
            subscription.close()
        self.router.close()
        end(self.router.nodes)


def _in_place(places: Sequence[Sequence[int]], outcomes: Sequence[Any]) -> list[Any]:
    """Return the replies of several writes in the order of the pipeline."""
    if len(outcomes) == 1:
        return outcomes[0]  # type: ignore[no-any-return]
    replies: list[Any] = [None] * sum(map(len, places))
    for positions, outcome in zip(places, outcomes, strict=True):
        for position, reply in zip(positions, outcome, strict=True):
            replies[position] = reply
    return replies
