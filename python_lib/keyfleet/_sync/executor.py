# SPDX-License-Identifier: MIT - made from _async/executor.py by scripts/generate_sync.py; change that one
"""One call, from its first attempt to its last: budget, breaker, redirections, and what is sent again and what is not."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .._policy import LONGEST_DELAY_SECONDS, LONGEST_FAILOVER_DELAY_SECONDS, attempt_seconds, backoff_seconds
from .._protocol.command import Command, Repeat
from .._protocol.discovery import read_redirection
from .._protocol.resp import ErrorReply, pack
from .._protocol.scripts import ScriptCommand
from .._transport.dialer import Dialer, Request, format_address
from .._transport.failures import NO_ANSWER, Failure, LostError, NoAnswer, NotSentError
from .._transport.thread_pool import Node, end, exchange_all
from .._transport.thread_waits import sleep
from ..core.errors import BreakerOpenError, KeyfleetError, OutcomeUnknown, PoolTimeoutError, UnreachableError, WrongTypeError
from .routers import make_router

if TYPE_CHECKING:
    from typing import Protocol

    class Closable(Protocol):
        """What the engine closes with itself."""

        def close(self) -> None: ...


T = TypeVar("T")

# Errors that say: not run, and another time or another server may do.
PASSING = {"LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "UNBLOCKED", "BUSY"}
NEWS = {"CLUSTERDOWN", "MASTERDOWN", "READONLY", "UNBLOCKED"}  # of these, those that may mean that another server serves now
REDIRECTIONS_AT_ONCE = 5
LEARN_AGAIN_SECONDS = 1.0
ASKING = pack(("ASKING",))


class Call:
    """
    One command on its way.

    Attributes:
        command: What to send next; a script that the server does not know becomes its text.
        pinned: The server that must answer; None where the router finds it.
        node: The server of the last attempt.
        attempts, failures: How often it was tried, and how often of these in vain; a redirection is no failure.
        result: The reply, or the error for the caller.
        is_settled: Whether *result* is final.
        is_asking: Whether the next attempt goes to *node* after ASKING.
        maybe_ran: Whether it was sent without a reply, and changes something.
        is_blameless: Whether its failure is no reason to give the server a pause.
        goes_on_at_once: Whether the next attempt needs no wait.
        is_answered: Whether the last attempt got an answer, which may be an error.
        doubts: Whether what went wrong may mean that another server serves now.
        version: What the router knew at the last attempt.
    """

    __slots__ = (
        "attempts",
        "command",
        "doubts",
        "failures",
        "goes_on_at_once",
        "is_answered",
        "is_asking",
        "is_blameless",
        "is_settled",
        "maybe_ran",
        "node",
        "pinned",
        "reason",
        "result",
        "version",
    )

    def __init__(self, command: Command[Any], pinned: Node | None = None) -> None:
        self.command, self.pinned = command, pinned
        self.node: Node | None = pinned
        self.result: Any = None
        self.is_settled = self.is_answered = self.is_asking = self.is_blameless = False
        self.maybe_ran = self.goes_on_at_once = self.doubts = False
        self.attempts = self.failures = self.version = 0
        self.reason = ""

    def settle(self, result: Any) -> None:
        self.result, self.is_settled = result, True


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
        self._budget = dialer.settings.timeout_seconds
        has_others = bool(dialer.settings.cluster_nodes or dialer.settings.sentinels)
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
            return self._run_waiting(command, now + budget)
        node = self.router.find(command.name, command.kind.repeat is Repeat.READ)
        if node is None or node.breaker.failures or command.reply_count != 1:
            call = Call(command)
            self.run_all([call], now + budget)
            return self.decoded(call)  # type: ignore[no-any-return]
        left = budget if command.kind.repeat is Repeat.NEVER else attempt_seconds(budget)
        outcome: Any
        try:
            outcome = node.ask(command.packed(), now + left)
        except (NotSentError, LostError) as failure:
            outcome = failure
        else:
            if outcome.__class__ is not ErrorReply:
                return command.decode(outcome, command.key)
        call = Call(command)
        call.node, call.version = node, self.router.version
        self._note(call, outcome)
        self._go_on([call], now + budget)
        return self.decoded(call)  # type: ignore[no-any-return]

    def _run_waiting(self, command: Command[T], deadline: float) -> T:
        """Like `run`, for a command that waits on the server; what it had waited when it was sent elsewhere is not of the budget."""
        call = Call(command)
        while not call.is_settled:
            begun = time.monotonic()
            self._attempt([call], deadline)
            if not call.is_settled:
                if call.is_answered:
                    deadline += time.monotonic() - begun
                self._pause([call], deadline)
                self._counters.retries += not call.is_settled
        self._tell_breakers([call])
        return self.decoded(call)  # type: ignore[no-any-return]

    def deadline(self, budget_seconds: float | None) -> float:
        """Return when a call that begins now has to be over."""
        return time.monotonic() + (self._budget if budget_seconds is None else budget_seconds)

    def run_all(self, calls: Sequence[Call], deadline: float) -> Sequence[Call]:
        """Settle *calls*, side by side where several servers serve them; each holds its result or its error."""
        self._attempt(calls, deadline)
        self._go_on(calls, deadline)
        return calls

    def decoded(self, call: Call) -> Any:
        """Return what the settled *call* answers, or raise its error."""
        if isinstance(call.result, KeyfleetError):
            raise call.result
        if isinstance(call.result, ErrorReply):
            if call.result.code == "WRONGTYPE" and call.command.kind.wanted:
                raise WrongTypeError(call.command.key, call.command.kind.wanted, "value of another type")
            raise self._dialer.translate(call.result)
        return call.command.decode(call.result, call.command.key)

    def _go_on(self, calls: Sequence[Call], deadline: float) -> None:
        """Attempt again what is not settled, until it is or its time is over."""
        unsettled = [call for call in calls if not call.is_settled]
        while unsettled:
            self._pause(unsettled, deadline)
            unsettled = [call for call in unsettled if not call.is_settled]
            self._counters.retries += len(unsettled)
            self._attempt(unsettled, deadline)
            unsettled = [call for call in unsettled if not call.is_settled]
        self._tell_breakers(calls)

    def _tell_breakers(self, calls: Sequence[Call]) -> None:
        now = time.monotonic()
        for call in calls:
            breaker = self.router.breaker if call.node is None else call.node.breaker
            if not isinstance(call.result, NO_ANSWER):
                breaker.failures = 0
            elif not (call.is_blameless or isinstance(call.result, (BreakerOpenError, PoolTimeoutError))):
                breaker.fail(now)

    def _pause(self, calls: Sequence[Call], deadline: float) -> None:
        """Wait as long as the calls need; settle those whose time or attempts are over."""
        now = time.monotonic()
        delay = 0.0
        for call in calls:
            wait = 0.0
            if not call.goes_on_at_once:
                wait = backoff_seconds(max(call.failures, 1), self._settings.retry_delay_ms / 1000, self.longest_delay_seconds)
            limit = self._settings.retry_attempts
            if now + wait >= deadline or (limit is not None and call.failures > limit):
                call.settle(self._give_up(call))
            else:
                delay = max(delay, wait)
        if delay:
            sleep(delay)
        for call in calls:
            if call.doubts and not call.is_settled:
                self._learn(call, deadline)

    def _learn(self, call: Call, deadline: float) -> None:
        """Look for the servers again; one look serves all calls that had the same news."""
        call.doubts = False
        try:
            self.router.learn(deadline, call.version)
        except NotSentError as failure:
            if isinstance(failure.cause, UnreachableError):
                call.reason = str(failure.cause)
            else:
                self._settle_error(call, failure.cause)

    def _settle_error(self, call: Call, cause: KeyfleetError) -> None:
        """Settle *call* with *cause*, unless an earlier attempt may have run."""
        call.reason = call.reason if isinstance(cause, UnreachableError) else str(cause)
        call.settle(self._give_up(call) if call.maybe_ran else cause)

    def _give_up(self, call: Call) -> NoAnswer:
        address = format_address(call.node.address) if call.node is not None else self._settings.address
        tried = f"{call.reason} ({call.attempts} attempt{'s' * (call.attempts != 1)})"
        return OutcomeUnknown(address, tried) if call.maybe_ran else UnreachableError(address, tried)

    def _attempt(self, calls: Sequence[Call], deadline: float) -> None:
        """Send every call once, grouped by server, and note what came back."""
        groups: dict[Node, list[Call]] = {}
        lonely: list[tuple[Node, list[Call]]] = []
        for call in calls:
            node = self._route(call, deadline)
            if node is None or self._is_refused(call, node):
                continue
            if call.command.block_seconds is not None or call.command.reply_count != 1:
                lonely.append((node, [call]))
            else:
                groups.setdefault(node, []).append(call)
        sent = [*groups.items(), *lonely]
        outcomes = exchange_all([self._request(node, group, deadline) for node, group in sent])
        for (_node, group), outcome in zip(sent, outcomes, strict=True):
            self._note_group(group, outcome)

    def _route(self, call: Call, deadline: float) -> Node | None:
        """Return where *call* goes; None if nobody knows, which is noted."""
        call.version = self.router.version
        if call.pinned is not None:
            if call.pinned in self.router.primaries():
                return call.pinned
            call.settle(UnreachableError(format_address(call.pinned.address), "it is not a primary any more"))
            return None
        if call.is_asking:
            return call.node
        command = call.command
        reads = command.kind.repeat is Repeat.READ and not call.failures  # what no replica answered, the primary is asked
        node = self.router.find(command.name, reads)
        if node is None:
            left = 0.0 if call.attempts else self.router.breaker.pause_left(time.monotonic())
            if left:
                call.settle(BreakerOpenError(self._settings.address, "the last calls failed", left))
                return None
            try:
                self.router.learn(deadline, call.version)
            except NotSentError as failure:
                self._note(call, failure)
                return None
            node = self.router.find(command.name, reads)
            if node is None:
                self._note(call, self.router.trouble)
        call.node = node
        return node

    def _is_refused(self, call: Call, node: Node) -> bool:
        """Settle *call* if the breaker of *node* is open; a call that began before goes on."""
        if call.attempts or not node.breaker.failures:
            return False
        left = node.breaker.pause_left(time.monotonic())
        if left:
            call.settle(BreakerOpenError(format_address(node.address), "the last calls failed", left))
        return bool(left)

    def _request(self, node: Node, group: Sequence[Call], deadline: float) -> Request:
        """Return one write of all commands of *group*, each after ASKING where it was redirected so."""
        parts, count = [], 0
        for call in group:
            if call.is_asking:
                parts.append(ASKING)
                count += 1
            parts.append(call.command.packed())
            count += call.command.reply_count
        now = time.monotonic()
        until = deadline
        if all(call.command.kind.repeat is not Repeat.NEVER for call in group):
            until = now + attempt_seconds(deadline - now)
        block = group[0].command.block_seconds
        if block is not None:
            until = math.inf if block == 0 else deadline + block
        alone = block is not None or group[0].command.reply_count != 1
        return Request(node, b"".join(parts), count, min(deadline, until), until, alone, block is not None)

    def _note_group(self, group: Sequence[Call], outcome: list[Any] | Failure) -> None:
        replies = outcome.replies if isinstance(outcome, LostError) else [] if isinstance(outcome, NotSentError) else outcome
        position, change_waits = 0, False
        for call in group:
            position += call.is_asking
            count = call.command.reply_count
            mine = replies[position : position + count]
            position += count
            if len(mine) == count:
                self._note(call, mine[0] if count == 1 else mine)
            elif isinstance(outcome, (NotSentError, LostError)):
                self._note(call, outcome)
            if not call.is_settled:
                change_waits = change_waits or call.command.kind.repeat is not Repeat.READ
            elif change_waits and call.command.kind.repeat is Repeat.READ:  # read before the change: that is not what was asked
                call.is_settled, call.goes_on_at_once, call.reason = False, True, "the commands before it are sent again"

    def _note(self, call: Call, outcome: Any) -> None:
        """Settle *call* by its reply or failure, or prepare its next attempt."""
        call.attempts += 1
        call.is_asking = call.goes_on_at_once = False
        call.is_answered = not isinstance(outcome, (NotSentError, LostError))
        if isinstance(outcome, NotSentError):
            self._note_not_sent(call, outcome.cause)
        elif isinstance(outcome, LostError):
            self._note_lost(call, outcome)
        else:
            error = call.command.error_in(outcome)
            if error is None:
                call.settle(outcome)
            else:
                self._note_error(call, error)

    def _note_not_sent(self, call: Call, cause: KeyfleetError) -> None:
        if not isinstance(cause, UnreachableError) or isinstance(cause, PoolTimeoutError) or self._policy.while_disconnected == "fail":
            self._settle_error(call, cause)
        else:
            call.reason, call.doubts = cause.reason, True
            call.failures += 1

    def _note_lost(self, call: Call, failure: LostError) -> None:
        call.reason, call.doubts = str(failure), True
        call.failures += 1
        call.goes_on_at_once = call.failures == 1
        if call.command.kind.repeat is not Repeat.READ:
            call.maybe_ran = True
        if call.command.kind.repeat is Repeat.NEVER:
            # many calls may be lost with one connection, which says nothing yet about the server
            call.is_blameless = not failure.timed_out
            call.settle(self._give_up(call))

    def _note_error(self, call: Call, error: ErrorReply) -> None:
        code, node = error.code, call.node
        assert node is not None  # noqa: S101 - it has just answered
        call.goes_on_at_once = call.attempts <= REDIRECTIONS_AT_ONCE
        call.reason = str(error)
        if code in ("MOVED", "ASK") and self._settings.cluster_nodes:
            slot, address = read_redirection(str(error), str(node.address[0]))
            if code == "MOVED":
                self.router.moved(slot, address)
                call.doubts = time.monotonic() > self.router.learned_at + LEARN_AGAIN_SECONDS  # others have moved as well
            else:
                call.node, call.is_asking = self.router.node_at(address), True
        elif code == "NOSCRIPT" and isinstance(call.command, ScriptCommand):
            call.command = call.command.with_source()
        elif code in PASSING:
            call.goes_on_at_once = False
            call.failures += 1
            if code == "READONLY":  # its name may lead elsewhere by now
                node.drop()
            if code in NEWS:
                call.doubts = True
        else:
            call.settle(error)

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
        """Look for the servers again; UnreachableError if nobody says which they are."""
        try:
            self.router.learn(deadline, self.router.version)
        except NotSentError as failure:
            raise failure.cause from failure

    def primaries(self, deadline: float) -> list[Node]:
        """Return the servers that together hold all keys; UnreachableError if nobody says which."""
        if not self.router.primaries():
            self.relearn(deadline)
        return self.router.primaries()

    def close(self) -> None:
        """Close all connections."""
        for subscription in list(self.subscriptions):
            subscription.close()
        self.router.close()
        end(self.router.nodes)
