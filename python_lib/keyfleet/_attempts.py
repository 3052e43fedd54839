# SPDX-License-Identifier: MIT
"""
What a reply, a lost reply, a redirection or a refusal means for each call: values in, verdicts out; pure.

Calls of different callers that share a write have no order, and each is judged alone (`verdict`). Within a pipeline (`verdicts`) order
holds among calls of one slot, without a cluster of one server, and a call whose keys are not known counts for all slots. An answer is
one that the server gave to a call when the calls before it in that order had run and those after it had not; else the caller gets an
error, which says whether the call may have run:

- A redirection is a reply: what was answered is final, what was redirected is sent again, in order (`may_go`).
- Behind a lost connection, everything unanswered for that server is sent again, or is OutcomeUnknown (`may_repeat`).
- Where a server refused one call and answered another one behind it, the order was broken. That matters if they touch one key: what
  only read is read again if that is still possible, and everything else is an error.

A transaction is one call, which is as repeatable as its commands together are. A cancelled caller gets no verdict: it has left.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import Enum
from typing import Any

from ._policy import backoff_seconds
from ._protocol.command import Command, Repeat, Transaction, finds, marks_of, may_repeat
from ._protocol.identity import read_redirection
from ._protocol.outcomes import Lost, Member, NotSent, Outcome, Past, Redirect, Retry, Rules, Sent, Settle, State, Verdict
from ._protocol.resp import Argument, ErrorReply
from ._protocol.scripts import ScriptCommand
from .core.errors import KeyfleetError, OutcomeUnknown, PoolTimeoutError, RefusedError, UnreachableError

# Errors after which the command did not run, and a retry, maybe on another server, may succeed.
PASSING = {"LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "READONLY", "UNBLOCKED", "BUSY"}
TOPOLOGY_ERRORS = {"CLUSTERDOWN", "MASTERDOWN", "READONLY", "UNBLOCKED"}  # of these, those that may mean that another server serves now
REDIRECTIONS_AT_ONCE = 5


def verdict(sent: Sent, outcome: Outcome, rules: Rules) -> Verdict:
    """Return what *outcome* means for a call that has no order with others."""
    past = sent.past.replaced(attempts=sent.past.attempts + 1)
    if isinstance(outcome, NotSent):
        return _of_refusal(sent.replaced(past=past), outcome.cause, rules)
    if isinstance(outcome, Lost):
        return _of_loss(sent.replaced(past=past), outcome)
    error = sent.command.error_in(outcome.reply)
    if error is None:
        return Settle(outcome.reply)
    if isinstance(sent.command, Transaction) and sent.command.ran_apart(outcome.reply):
        return Settle(ErrorReply(f"{error}; the commands between MULTI and EXEC were run one by one"))
    return _of_error(sent.replaced(past=past.replaced(reason=str(error))), error, rules)


def _of_refusal(sent: Sent, cause: KeyfleetError, rules: Rules) -> Verdict:
    if isinstance(cause, UnreachableError) and not isinstance(cause, PoolTimeoutError) and not rules.fails_when_disconnected:
        past = sent.past.replaced(failures=sent.past.failures + 1, reason=cause.reason)
        return Retry(past, sent.command, rediscover=True)
    return refused(sent, cause)


def refused(sent: Sent, cause: KeyfleetError) -> Settle:
    """Return the end of a call that cannot be sent because of *cause*, unless an earlier attempt may have run."""
    if not sent.past.may_have_run:
        return Settle(cause)
    return ended(sent if isinstance(cause, UnreachableError) else sent.replaced(past=sent.past.replaced(reason=str(cause))))


def _of_loss(sent: Sent, loss: Lost) -> Verdict:
    past = _after_loss(sent, loss)
    if sent.command.kind.repeat is Repeat.NEVER:
        return ended(sent.replaced(past=past), blames_server=loss.timed_out)
    return Retry(past, sent.command, now=past.failures == 1, rediscover=True)


def _after_loss(sent: Sent, loss: Lost) -> Past:
    may_have_run = sent.past.may_have_run or sent.command.kind.repeat is not Repeat.READ
    return Past(sent.past.attempts, sent.past.failures + 1, may_have_run, loss.reason)


def _of_error(sent: Sent, error: ErrorReply, rules: Rules) -> Verdict:
    code, past, command = error.code, sent.past, sent.command
    if rules.is_cluster and code in ("MOVED", "ASK", "CROSSSLOT") and command.name is None:
        return Settle(RefusedError(_without_key(command)))
    if rules.is_cluster and code in ("MOVED", "ASK"):
        slot, address = read_redirection(str(error), sent.host)
        return Redirect(past, slot, address, code == "ASK", past.attempts <= REDIRECTIONS_AT_ONCE)
    if code == "NOSCRIPT" and isinstance(command, ScriptCommand):
        return Retry(past, command.with_source(), now=past.attempts <= REDIRECTIONS_AT_ONCE)
    if code in PASSING:
        past = past.replaced(failures=past.failures + 1)
        return Retry(past, command, rediscover=code in TOPOLOGY_ERRORS, drops_connections=code == "READONLY")
    return Settle(error)


def _without_key(command: Command[Any]) -> str:
    name = command.arguments[0]
    shown = name.decode(errors="replace") if isinstance(name, bytes) else name
    return f"{shown} has a key, and none of its arguments is a Key, which chooses the server of a cluster; it was not run"


def ended(sent: Sent, *, blames_server: bool = True) -> Settle:
    """Return the end of a call whose time or attempts are over."""
    past = sent.past
    tried = f"{past.reason} ({past.attempts} attempt{'s' * (past.attempts != 1)})"
    kind = OutcomeUnknown if past.may_have_run else UnreachableError
    return Settle(kind(sent.address, tried), blames_server)


# Pipelines


def verdicts(members: Sequence[Member], rules: Rules) -> list[Verdict | None]:
    """
    Return what a round of attempts means for each call of a pipeline.

    Args:
        members: All its calls, in order, those that were settled before included.
    Returns:
        A verdict for each; None for one that stays as it was.
    """
    found = [None if item.outcome is None else verdict(item.sent, item.outcome, rules) for item in members]
    for write in {item.write for item in members if isinstance(item.outcome, Lost)}:
        _judge_lost(members, write, found)
    return _Order(members, found).judge()


def _judge_lost(members: Sequence[Member], write: int, found: list[Verdict | None]) -> None:
    """Settle all that is unanswered behind a lost connection, unless all of it may be sent again."""
    lost = [position for position, item in enumerate(members) if item.write == write and isinstance(item.outcome, Lost)]
    unanswered = set(lost)
    others = [item.sent.command for position, item in enumerate(members) if position not in unanswered]
    if may_repeat([members[position].sent.command for position in lost], others):
        return
    for position in lost:
        sent, loss = members[position].sent, members[position].outcome
        past = sent.past.replaced(attempts=sent.past.attempts + 1)
        reason = loss.reason if isinstance(loss, Lost) else past.reason
        past = past.replaced(failures=past.failures + 1, may_have_run=True, reason=reason)
        found[position] = ended(sent.replaced(past=past), blames_server=isinstance(loss, Lost) and loss.timed_out)


def last_verdicts(commands: Sequence[Command[Any]], loss: Lost, address: str) -> list[Settle]:
    """
    Return what the loss of a whole pipeline means that was sent once and has no time left.

    This is what `verdicts` and `ended` come to; it is apart since a pipeline of 100,000 calls would take seconds more than its budget.
    """
    is_unknown = not may_repeat(commands)
    unknown = Past(1, 1, True, loss.reason)
    reads = unknown.replaced(may_have_run=is_unknown)
    pasts = [reads if command.kind.repeat is Repeat.READ else unknown for command in commands]
    return [ended(Sent(command, past, address), blames_server=loss.timed_out) for command, past in zip(commands, pasts, strict=True)]


class _Order:
    """
    Finds answers that were not given in order.

    It takes two passes over the calls. What a call may answer depends on those behind it, which may have changed its key already, so the
    first pass notes the last change of each key. It depends on those before it as well, which may be sent again or have ended without an
    answer, and correcting one call changes what holds for the next: the second pass goes from first to last and notes both as it goes.

    Attributes:
        found: The verdicts, corrected as far as they were checked.
    """

    def __init__(self, members: Sequence[Member], found: list[Verdict | None]) -> None:
        self._members, self.found = members, found
        self._marks = marks_of([item.sent.command for item in members])
        self._last_write: dict[Argument, int] = {}  # the last call that has or may have changed a key, and will not be sent again
        self._last_repeat: dict[Argument, int] = {}  # the last one that will
        self._waiting: set[Argument] = set()  # keys that an open call is to change
        self._broken: set[Argument] = set()  # keys that a call which ended without an answer was to change

    def judge(self) -> list[Verdict | None]:
        """Return the verdicts."""
        if all(self._state(position) is State.ANSWERED for position in range(len(self._members))):
            return self.found
        for position, mine in enumerate(self._marks):
            if self._writes(position) and self._may_have_run(position):
                last = self._last_repeat if self._state(position) is State.OPEN else self._last_write
                last.update(dict.fromkeys(mine, position))
        for position in range(len(self._members)):
            if self._members[position].state is State.OPEN:
                self._correct(position)
            if not self._writes(position):
                continue
            state = self._state(position)
            if state is State.OPEN:
                self._waiting.update(self._marks[position])
            elif state is State.FAILED:
                self._broken.update(self._marks[position])
        return self.found

    def _writes(self, position: int) -> bool:
        return self._members[position].sent.command.kind.repeat is not Repeat.READ

    def _state(self, position: int) -> State:
        found = self.found[position]
        if found is None:
            return self._members[position].state
        if not isinstance(found, Settle):
            return State.OPEN
        return State.FAILED if isinstance(found.result, KeyfleetError) else State.ANSWERED

    def _may_have_run(self, position: int) -> bool:
        found = self.found[position]
        if isinstance(found, Settle):
            return not isinstance(found.result, KeyfleetError) or isinstance(found.result, OutcomeUnknown)
        past = self._members[position].sent.past if found is None else found.past
        return past.may_have_run or self._members[position].state is State.ANSWERED

    def _is_overtaken(self, position: int) -> bool:
        """Say whether a call behind this open one has changed what this one would find, or may have."""
        mine = self._marks[position]
        if any(self._last_write.get(mark, -1) > position for mark in mine):
            return True
        found = self.found[position]
        past = found.past if isinstance(found, (Retry, Redirect)) else self._members[position].sent.past
        if past.may_have_run or not finds(self._members[position].sent.command):  # those lost together may be sent again together
            return False
        return any(self._last_repeat.get(mark, -1) > position for mark in mine)

    def _correct(self, position: int) -> None:
        mine, state = self._marks[position], self._state(position)
        if state is State.FAILED:
            return
        is_overtaken = self._is_overtaken(position)
        is_broken = not self._broken.isdisjoint(mine)
        if state is State.OPEN:
            if is_broken or is_overtaken:
                self._fail(position, "a call behind it has run" if is_overtaken else "a call before it has no answer")
        elif is_broken:
            self._fail(position, "it ran, and a call before it has no answer", ran=True)
        elif not self._waiting.isdisjoint(mine) and not self._writes(position):
            self._read_again(position, is_overtaken)

    def _fail(self, position: int, reason: str, *, ran: bool = False) -> None:
        sent, found = self._members[position].sent, self.found[position]
        past = found.past if isinstance(found, (Retry, Redirect)) else sent.past
        attempts = sent.past.attempts + (self._members[position].outcome is not None)
        may_have_run = past.may_have_run or (ran and self._writes(position))
        self.found[position] = ended(sent.replaced(past=Past(attempts, past.failures, may_have_run, reason)), blames_server=False)

    def _read_again(self, position: int, is_overtaken: bool) -> None:
        """Take back an answer from before a change that has still to be made."""
        if is_overtaken:
            self._fail(position, "it was read before the change before it, and a call behind it has run")
            return
        sent = self._members[position].sent
        past = sent.past.replaced(attempts=sent.past.attempts + 1, reason="the calls before it are sent again")
        self.found[position] = Retry(past, sent.command, now=True)


def may_go(routes: Iterable[tuple[int | None, Hashable | None]]) -> list[bool]:
    """
    Say which open calls of a pipeline may be sent now, so that each slot's run in order.

    A call waits while one before it in the order is open that does not go in the same write.

    Args:
        routes: Slot and server of each open call, in order; None for a slot that is not known, which stands for all, and for a server
            that takes no call now.
    """
    going: dict[int, Hashable] = {}
    everything: list[Hashable | None] = []  # the servers of all calls before, as far as they differ
    barrier: Hashable | None = None
    has_barrier = False
    allowed = []
    for slot, server in routes:
        if slot is None:
            goes = server is not None and all(other == server for other in everything)
            barrier, has_barrier = server if goes else None, True
        else:
            goes = server is not None and going.get(slot, server) == server and (not has_barrier or barrier == server)
            going.setdefault(slot, server if goes else _NOWHERE)
        if (server if goes else None) not in everything:
            everything.append(server if goes else None)
        allowed.append(goes)
    return allowed


_NOWHERE = object()


class Silence(Enum):
    """What a connection means on which a reply is late."""

    WAIT = "the reply may still come"
    PROBE = "it has to be found out whether the server answers on another connection"
    DEAD = "the connection is dead, what is safe is sent again"
    REPLACED = "another server serves, what is safe is sent there"


def silence(heard: bool, answers_beside: bool | None, is_replaced: bool = False) -> Silence:
    """
    Return what it means that a reply is late.

    Args:
        heard: Whether a part of a reply has come lately.
        answers_beside: Whether the server answers on another connection; None if that is not known.
        is_replaced: Whether the topology names another server. To one that answers nowhere, nothing is sent again.
    """
    if heard:
        return Silence.WAIT
    if answers_beside is None:
        return Silence.PROBE
    if answers_beside:
        return Silence.DEAD
    return Silence.REPLACED if is_replaced else Silence.WAIT


def wait_seconds(past: Past, first_seconds: float, longest_seconds: float, dice: Callable[[], float]) -> float:
    """Return how long a call waits for its next attempt."""
    return backoff_seconds(max(past.failures, 1), first_seconds, longest_seconds, dice)


def is_over(past: Past, next_attempt_at: float, deadline: float, retry_attempts: int | None) -> bool:
    """Say whether a call has no further attempt: its time or its attempts are used up."""
    return next_attempt_at >= deadline or (retry_attempts is not None and past.failures > retry_attempts)
