# SPDX-License-Identifier: MIT - made from _async/executor.py by scripts/generate_sync.py; change that one
"""One call or pipeline, from its first attempt to its last: it is sent, waited for, and follows what `_attempts` says."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from redis.crc import key_slot

from .._attempts import (
    NEW,
    Answer,
    Lost,
    Member,
    NotSent,
    Outcome,
    Retry,
    Rules,
    Sent,
    Settle,
    State,
    Verdict,
    ended,
    is_over,
    last_verdicts,
    may_go,
    refused,
    verdict,
    verdicts,
    wait_seconds,
)
from .._policy import LONGEST_DELAY_SECONDS, LONGEST_FAILOVER_DELAY_SECONDS, SHORTEST_ATTEMPT_SECONDS, Breaker, attempt_seconds
from .._protocol.command import Command, Repeat, may_repeat
from .._protocol.resp import ErrorReply, pack
from .._transport.dialer import Dialer, Request, format_address
from .._transport.failures import NO_ANSWER, Failure, LostError, NotSentError
from .._transport.thread_pool import Node, end, exchange_all
from .._transport.thread_waits import sleep
from ..core.errors import BreakerOpenError, KeyfleetError, PoolTimeoutError, UnreachableError, WrongTypeError
from .call import Call, Write, is_plain, outcome_of, outcomes_of
from .routers import make_router
from .watch import FIRST_LOOK_SECONDS, Watch

if TYPE_CHECKING:
    from typing import Protocol

    class Closable(Protocol):
        """What the engine closes with itself."""

        def close(self) -> None: ...


T = TypeVar("T")

LEARN_AGAIN_SECONDS = 1.0
RESERVED_SECONDS = 5e-6  # of the budget, for each call of a pipeline: to settle it when the time is over
PROBE_POLL_SECONDS = 0.05  # how often a call that waits for another one's probe asks what came of it
ASKING = pack(("ASKING",))


class Engine:
    """
    Runs commands on the servers of one deployment.

    Args:
        dialer: Knows settings and policy, and counts.
    Attributes:
        longest_delay_seconds: Longest wait between two attempts.
        subscriptions: Those that are open; they have connections of their own, which end with the others.
    """

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self.router = make_router(dialer)
        self.subscriptions: set[Closable] = set()
        self._settings, self._policy, self._counters = dialer.settings, dialer.policy, dialer.counters
        self._rules = Rules(bool(dialer.settings.cluster_nodes), dialer.policy.while_disconnected == "fail")
        self._budget = dialer.settings.timeout_seconds
        has_others = bool(dialer.settings.cluster_nodes or dialer.settings.sentinels)
        self._first_look = FIRST_LOOK_SECONDS if has_others else math.inf
        self.longest_delay_seconds = LONGEST_FAILOVER_DELAY_SECONDS if has_others else LONGEST_DELAY_SECONDS

    def run(self, command: Command[T], budget_seconds: float | None = None) -> T:
        """
        Return what *command* answers, within the budget.

        Args:
            command: What to send.
            budget_seconds: For all attempts together; by default ``timeout_seconds`` of the settings.
        Raises:
            KeyfleetError: as docs/client/guarantees.md says.
        """
        budget = self._budget if budget_seconds is None else budget_seconds
        now = time.monotonic()
        if command.block_seconds is not None:
            return self._run_waiting(Call(command), now + budget)  # type: ignore[no-any-return]
        node = self.router.find(command.name, command.kind.repeat is Repeat.READ)
        if node is None or node.breaker.failures or command.reply_count != 1:
            call = Call(command)
            self.run_all([call], now + budget)
            return self.decoded(call)  # type: ignore[no-any-return]
        # The fast path: an answer at the first attempt needs no Call and no verdict.
        deadline = look_at = now + budget
        watch: Callable[[], Watch] | None = None
        if command.kind.repeat is not Repeat.NEVER and budget > SHORTEST_ATTEMPT_SECONDS:
            patient_until = now + attempt_seconds(budget)
            look_at = min(patient_until, now + self._first_look)

            def watch() -> Watch:
                return Watch(self.router, node, [command.name], now, patient_until, deadline)

        outcome: Any
        try:
            outcome = node.ask(command.packed(), deadline, look_at, watch)
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
        repeats = {command.kind.repeat for command in commands}
        in_order = repeats != {Repeat.READ}
        groups = self._groups(commands, not in_order)
        if groups is None:
            return [call.result for call in self.run_all([Call(command) for command in commands], deadline, in_order=True)]
        # The fast path: answers at the first attempt need no Calls and no verdicts.
        now, version = time.monotonic(), self.router.version
        requests = []
        for node, positions in groups.items():
            mine = [commands[position] for position in positions]
            request = Request(node, b"".join([pack(command.arguments) for command in mine]), len(mine), deadline, deadline)
            watched = Repeat.NEVER not in repeats
            requests.append(self._watched(request, now, partial(list, mine), in_order) if watched else request)
        outcomes = exchange_all(requests)
        if all(is_plain(positions, outcome) for positions, outcome in zip(groups.values(), outcomes, strict=True)):
            replies: list[Any] = [None] * len(commands)
            for positions, outcome in zip(groups.values(), outcomes, strict=True):
                for position, reply in zip(positions, outcome, strict=True):  # type: ignore[arg-type]
                    replies[position] = reply
            return replies
        calls = [Call(command) for command in commands]
        for node, positions in groups.items():
            for position in positions:
                call = calls[position]
                call.node, call.version, call.sent_at = node, version, now
        sent = [[calls[position] for position in positions] for positions in groups.values()]
        self._take(calls, list(zip(sent, outcomes, strict=True)), in_order, deadline)
        self._go_on(calls, deadline, in_order=True)
        return [call.result for call in calls]

    def _groups(self, commands: Sequence[Command[Any]], reads: bool) -> dict[Node, Sequence[int]] | None:
        """Return which of *commands* go to each server, by position; None if one is not known, or calls to it have failed."""
        if not self._rules.is_cluster:
            node = self.router.find(None, reads)
            return None if node is None or node.breaker.failures else {node: range(len(commands))}
        groups: dict[Node, list[int]] = {}
        for position, command in enumerate(commands):
            node = self.router.find(command.name, reads)
            if node is None or node.breaker.failures:
                return None
            groups.setdefault(node, []).append(position)
        if not reads and len(groups) > 1 and any(command.name is None for command in commands):
            return None  # a call whose keys are not known waits for those before it
        return groups  # type: ignore[return-value]

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

    def _go_on(self, calls: Sequence[Call], deadline: float, in_order: bool = False) -> None:
        """Attempt again what is not settled, until it is or its time is over."""
        unsettled = [call for call in calls if not call.is_settled]
        while unsettled:
            self._pause(unsettled, deadline)
            given_up = sum(call.is_settled for call in unsettled)
            if given_up == len(unsettled):
                break
            if in_order and given_up:  # it may have been before others
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
        """Look for the servers again, once for all calls that had the same reason."""
        for call in calls:
            call.needs_rediscovery = False
        try:
            self.router.learn(deadline, min(call.version for call in calls))
        except NotSentError as failure:
            for call in calls:
                if isinstance(failure.cause, UnreachableError):
                    call.past = call.past._replace(reason=str(failure.cause))
                else:
                    self._follow(call, refused(self._sent(call), failure.cause))

    def _attempt(self, calls: Sequence[Call], deadline: float, in_order: bool = False) -> None:
        """Send every open call that may go once, grouped by server, and follow what came back."""
        in_order = in_order and any(call.command.kind.repeat is not Repeat.READ for call in calls)  # reads have no order
        routes = self._route([call for call in calls if not call.is_settled], deadline, in_order)
        writes: dict[Node, list[Call]] = {}
        alone: list[tuple[Node, list[Call]]] = []
        for call, node in routes:
            if node is None:
                continue
            call.node, call.refusal = node, None
            if call.command.block_seconds is not None or call.command.reply_count != 1:
                alone.append((node, [call]))
            else:
                writes.setdefault(node, []).append(call)
        sent = [*writes.items(), *alone]
        outcomes = exchange_all([self._request(node, group, deadline, in_order) for node, group in sent])
        self._take(calls, [(group, outcome) for (_node, group), outcome in zip(sent, outcomes, strict=True)], in_order, deadline)

    def _route(self, calls: Sequence[Call], deadline: float, in_order: bool) -> list[tuple[Call, Node | None]]:
        """Return where each call goes now; None if it has to wait or no server is known, which is noted."""
        routes: list[tuple[Call, Node | None]] = []
        pauses: dict[Breaker, float] = {}
        trouble: KeyfleetError | None = None
        is_learned = False
        for call in calls:
            call.version = self.router.version
            node = self._find(call, in_order)
            if node is None and not call.is_settled and self._may_try(call, None, pauses, deadline):
                if not is_learned:
                    trouble, is_learned = self._learn(call, deadline), True
                node = self._find(call, in_order)
                if node is None:
                    self._follow(call, verdict(self._sent(call), NotSent(trouble or self.router.trouble.cause), self._rules))
            if node is not None and not self._may_try(call, node, pauses, deadline):
                node = None
            routes.append((call, node))
        if in_order and len({node for _call, node in routes}) > 1:
            allowed = may_go([(self._slot(call), node) for call, node in routes])
            routes = [(call, node if goes else None) for (call, node), goes in zip(routes, allowed, strict=True)]
        return routes

    def _find(self, call: Call, in_order: bool) -> Node | None:
        """Return the server for *call* as far as it is known; settle the call if its server must not be asked."""
        if call.pinned is not None:
            if call.pinned in self.router.primaries():
                return call.pinned
            call.settle(UnreachableError(format_address(call.pinned.address), "it is not a primary any more"))
            return None
        if call.is_asking:
            return call.node
        command = call.command
        # What no replica answered, the primary is asked; and so is what must be read behind a change of the same pipeline.
        reads = command.kind.repeat is Repeat.READ and not call.past.failures and command.reply_count == 1 and not in_order
        return self.router.find(command.name, reads)

    def _slot(self, call: Call) -> int | None:
        """Return the slot within which *call* has an order; without a cluster all are one."""
        if not self._rules.is_cluster:
            return 0
        return None if call.command.name is None else key_slot(call.command.name.encode())

    def _learn(self, call: Call, deadline: float) -> KeyfleetError | None:
        try:
            self.router.learn(deadline, call.version)
        except NotSentError as failure:
            return failure.cause
        return None

    def _may_try(self, call: Call, node: Node | None, pauses: dict[Breaker, float], deadline: float) -> bool:
        """
        Say whether the breaker of *node* lets *call* through; one that was tried before is.

        A call with time left waits for the probe, another one is settled.

        Args:
            pauses: What each breaker said in this round, so that the calls of a pipeline go together.
        """
        breaker = self.router.breaker if node is None else node.breaker
        now = time.monotonic()
        if breaker.failures and not call.past.attempts:
            if breaker not in pauses:
                pauses[breaker] = breaker.pause_left(now)
            left = pauses[breaker]
            if left:
                call.refusal = BreakerOpenError(self._shown(node), "the last calls failed", left)
                if now + left > deadline - min(SHORTEST_ATTEMPT_SECONDS, self._budget / 2):  # no time for the attempt after the pause
                    call.settle(call.refusal)
                return False
        if call.sent_at == math.inf:
            call.sent_at = now
        return True

    def _request(self, node: Node, group: Sequence[Call], deadline: float, in_order: bool) -> Request:
        """Return one write of all commands of *group*, each after ASKING where it was redirected so."""
        parts, count = [], 0
        for call in group:
            if call.is_asking:
                parts.append(ASKING)
                count += 1
            parts.append(call.command.packed())
            count += call.command.reply_count
        data, now, block = b"".join(parts), time.monotonic(), group[0].command.block_seconds
        if block is not None:
            return Request(node, data, count, deadline, math.inf if block == 0 else deadline + block, True, True)
        plain = Request(node, data, count, deadline, deadline, group[0].command.reply_count != 1)
        if any(call.command.kind.repeat is Repeat.NEVER for call in group):
            return plain
        return self._watched(plain, now, lambda: [call.command for call in group], in_order)

    def _watched(self, request: Request, now: float, commands: Callable[[], Sequence[Command[Any]]], in_order: bool) -> Request:
        """
        Return *request* with somebody who looks after it if its replies are late.

        Args:
            request: What is sent now, and may be sent again.
            now: The present.
            commands: Returns what it holds.
            in_order: Whether that is a part of a pipeline.
        """
        deadline = request.deadline - min(RESERVED_SECONDS * request.reply_count, (request.deadline - now) / 2)
        if deadline - now <= SHORTEST_ATTEMPT_SECONDS:
            return request._replace(deadline=deadline)
        patient_until = now + attempt_seconds(deadline - now)

        def watch() -> Watch:
            sent = commands()
            made = Watch(self.router, request.node, [command.name for command in sent], now, patient_until, deadline)
            if in_order and not may_repeat(sent):
                made.look_at = math.inf  # nothing is gained by knowing that it is lost
            return made

        look_at = min(patient_until, now + self._first_look)
        return request._replace(connect_deadline=patient_until, deadline=deadline, look_at=look_at, watch=watch)

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
        """Look for the servers again; UnreachableError if no source names them."""
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
