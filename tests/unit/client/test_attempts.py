# SPDX-License-Identifier: MIT
"""What a reply, a lost reply, a redirection or a refusal means, case by case; without a clock and without a server."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet import BreakerOpenError, CredentialsError, KeyfleetError, OutcomeUnknown, PoolTimeoutError, RefusedError, UnreachableError
from keyfleet._attempts import Silence, ended, is_over, last_verdicts, may_go, refused, silence, verdict, verdicts, wait_seconds
from keyfleet._protocol.command import Command, Kind, Repeat, Transaction, may_repeat
from keyfleet._protocol.kinds import DEL, EXPIRE, GET, HSET, INCR, MGET, MSET, SET, kind_of
from keyfleet._protocol.outcomes import Answer, Lost, Member, NotSent, Outcome, Past, Redirect, Retry, Rules, Sent, Settle, State
from keyfleet._protocol.resp import ErrorReply
from keyfleet._protocol.scripts import Script

ALONE, CLUSTER, IMPATIENT = Rules(False, False), Rules(True, False), Rules(False, True)
LOST = Lost("the server closed the connection")
UNREACHABLE = NotSent(UnreachableError("h:1", "connection refused"))


def make(kind: Kind, *arguments: Any) -> Command[Any]:
    """Return a command whose first argument is its key."""
    name = None if kind.names is None else arguments[0]
    return Command(kind, (kind.name, *arguments), name, name or "", lambda reply, _key: reply)


READ, WRITE, COUNT = make(GET, "k"), make(SET, "k", 1), make(INCR, "k", 1)
SCRIPT = Script("return 1").command(INCR, ("k",), (), "k", lambda reply, _key: reply)


def sent(command: Command[Any], **past: Any) -> Sent:
    """Return a call that goes to h:1."""
    return Sent(command, Past(**past), "h:1", "h")


def shape(found: Any) -> Any:
    """Return the class of an error, a reply, or the name of the verdict."""
    if isinstance(found, Settle):
        return type(found.result) if isinstance(found.result, KeyfleetError) else found.result
    return found if found is None else type(found).__name__


# One call alone


@pytest.mark.parametrize("command", [READ, WRITE, COUNT], ids=["read", "write", "count"])
def test_an_answer_settles(command: Command[Any]) -> None:
    """An error of the command is an answer."""
    error = ErrorReply("WRONGTYPE Operation against a key")
    assert Settle(7) == verdict(sent(command), Answer(7), ALONE)
    assert Settle(error) == verdict(sent(command), Answer(error), ALONE)


def test_behind_a_lost_connection_each_call_has_its_own_rule() -> None:
    """A read is read again, a repeatable write too and may have run, others are unknown; silence blames the server."""
    again, written = verdict(sent(READ), LOST, ALONE), verdict(sent(WRITE), LOST, ALONE)
    assert isinstance(again, Retry)
    assert isinstance(written, Retry)
    assert (False, True, True) == (again.past.may_have_run, again.now, again.rediscover)
    assert (True, True, 1, 1) == (written.past.may_have_run, written.now, written.past.attempts, written.past.failures)
    unknown = verdict(sent(COUNT), LOST, ALONE)
    assert (OutcomeUnknown, False) == (shape(unknown), unknown.blames_server)  # type: ignore[union-attr]
    assert verdict(sent(COUNT), Lost("no reply in time", timed_out=True), ALONE).blames_server  # type: ignore[union-attr]
    second = verdict(sent(READ, attempts=1, failures=1), LOST, ALONE)
    assert not second.now  # type: ignore[union-attr]


def test_what_was_not_sent_is_tried_again_whatever_it_is() -> None:
    """Unless the policy says not to, the pool is exhausted, or nothing will change by waiting."""
    assert {"Retry"} == {shape(verdict(sent(command), UNREACHABLE, ALONE)) for command in (READ, WRITE, COUNT)}
    assert UnreachableError is shape(verdict(sent(COUNT), UNREACHABLE, IMPATIENT))
    assert PoolTimeoutError is shape(verdict(sent(READ), NotSent(PoolTimeoutError("h:1", "busy")), ALONE))
    assert CredentialsError is shape(verdict(sent(READ), NotSent(CredentialsError("h:1", "wrong")), ALONE))


def test_an_earlier_attempt_that_may_have_run_is_not_forgotten() -> None:
    """Whatever ends the call, the caller hears that it may have run."""
    past = {"attempts": 1, "failures": 1, "may_have_run": True, "reason": "no reply"}
    for cause in (UnreachableError("h:1", "refused"), CredentialsError("h:1", "wrong"), BreakerOpenError("h:1", "down", 1.0)):
        assert OutcomeUnknown is shape(refused(sent(WRITE, **past), cause))
    assert OutcomeUnknown is shape(ended(sent(WRITE, **past)))
    assert UnreachableError is shape(ended(sent(WRITE, attempts=2, failures=2, reason="refused")))
    assert "h:1 may or may not have run the command: no reply (1 attempt)" == str(ended(sent(WRITE, **past)).result)


@pytest.mark.parametrize("code", ["LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "READONLY", "UNBLOCKED", "BUSY"])
def test_a_refusal_that_passes_is_tried_again(code: str) -> None:
    """The server says that the command did not run; some of them mean that another server may serve now."""
    found = verdict(sent(COUNT), Answer(ErrorReply(f"{code} not now")), CLUSTER)
    assert isinstance(found, Retry)
    assert (False, False, code in ("CLUSTERDOWN", "MASTERDOWN", "READONLY", "UNBLOCKED")) == (
        found.now,
        found.past.may_have_run,
        found.rediscover,
    )
    assert found.drops_connections == (code == "READONLY")


def test_redirections_are_followed_on_a_cluster_only() -> None:
    """To the host that was asked if they name none; without a wait, unless servers send it to and fro."""
    moved, ask = Answer(ErrorReply("MOVED 3999 other:2")), Answer(ErrorReply("ASK 3999 :2"))
    past = Past(1, 0, False, "MOVED 3999 other:2")
    assert Redirect(past, 3999, ("other", 2), False, True) == verdict(sent(COUNT), moved, CLUSTER)
    asked = verdict(sent(COUNT, attempts=5), ask, CLUSTER)
    assert (("h", 2), True, False) == (asked.address, asked.asking, asked.now)  # type: ignore[union-attr]
    assert moved.reply is shape(verdict(sent(COUNT), moved, ALONE))


@pytest.mark.parametrize("error", ["MOVED 3999 other:2", "ASK 3999 other:2", "CROSSSLOT Keys in request don't hash to the same slot"])
def test_a_command_without_a_key_cannot_be_redirected(error: str) -> None:
    """The reply names a key that the client does not know of, and the error says how to declare it."""
    found = verdict(sent(make(kind_of(("SADD", "s"), False), "s", "x")), Answer(ErrorReply(error)), CLUSTER)
    assert RefusedError is shape(found)
    assert "SADD has a key, and none of its arguments is a Key" in str(found.result)  # type: ignore[union-attr]


def test_a_script_that_is_not_known_goes_as_a_text() -> None:
    """Without a wait, and without counting as a failure."""
    found = verdict(sent(SCRIPT), Answer(ErrorReply("NOSCRIPT No matching script")), ALONE)
    assert isinstance(found, Retry)
    assert ("EVAL", True, 0) == (found.command.arguments[0], found.now, found.past.failures)


def test_waits_and_the_end_of_the_budget() -> None:
    """Clock and dice are parameters."""
    assert [0.1, 0.1, 0.2, 0.2] == [wait_seconds(Past(failures=count), 0.1, 0.2, lambda: 1.0) for count in (0, 1, 2, 9)]
    assert (True, False) == (is_over(Past(), 10.0, 10.0, None), is_over(Past(failures=99), 9.9, 10.0, None))
    assert (True, False) == (is_over(Past(failures=3), 0.0, 10.0, 2), is_over(Past(failures=2), 0.0, 10.0, 2))


# What may be sent again together

GROUPS: dict[str, tuple[list[Command[Any]], bool]] = {
    "reads": ([READ, make(MGET, "k", "l")], True),
    "one write": ([WRITE], True),
    "writes of several keys": ([WRITE, make(MSET, "l", 1, "m", 2), make(DEL, "n")], True),
    "a write and a read of another key": ([WRITE, make(GET, "l")], True),
    "the same key set twice": ([WRITE, make(SET, "k", 2)], True),
    "a write and its TTL": ([make(HSET, "k", "f", 1), make(EXPIRE, "k", 9)], True),
    "read before its write": ([READ, WRITE], False),
    "read behind its write": ([WRITE, READ], False),
    "read and deleted": ([READ, make(DEL, "k")], False),
    "several keys, one of them written": ([make(MGET, "l", "k"), WRITE], False),
    "deleted and set": ([make(DEL, "k"), WRITE], False),
    "set and deleted": ([WRITE, make(DEL, "k")], True),
    "a counter": ([COUNT], False),
    "a counter among reads": ([make(GET, "l"), COUNT], False),
    "unknown keys and a write": ([make(kind_of(("DBSIZE", ""), False)), WRITE], False),
    "unknown keys and a read": ([make(kind_of(("DBSIZE", ""), False)), READ], True),
}


@pytest.mark.parametrize("name", GROUPS)
def test_what_may_be_sent_again_together(name: str) -> None:
    """All reads; or all repeatable, and none of them read by another one."""
    commands, wanted = GROUPS[name]
    assert wanted == may_repeat(commands)
    repeat = Transaction(commands).kind.repeat
    assert wanted == (repeat is not Repeat.NEVER)
    assert (repeat is Repeat.READ) == all(command.kind.repeat is Repeat.READ for command in commands)


def test_a_call_that_was_answered_reads_as_well() -> None:
    """Any other call of the pipeline counts."""
    assert (True, False) == (may_repeat([WRITE], [make(GET, "l")]), may_repeat([WRITE], [READ]))


@pytest.mark.parametrize(
    ("heard", "answers_beside", "is_replaced", "wanted"),
    [
        (True, None, False, Silence.WAIT),
        (True, True, True, Silence.WAIT),  # bytes that arrive are worth waiting for
        (False, None, False, Silence.PROBE),
        (False, True, False, Silence.DEAD),
        (False, False, False, Silence.WAIT),  # to a server that answers nowhere nothing is sent again
        (False, False, True, Silence.REPLACED),
    ],
)
def test_what_silence_means(heard: bool, answers_beside: bool | None, is_replaced: bool, wanted: Silence) -> None:
    """The connection is dead, or the server, or neither."""
    assert wanted is silence(heard, answers_beside, is_replaced)


@pytest.mark.parametrize("name", GROUPS)
def test_the_short_way_at_the_end_comes_to_the_same(name: str) -> None:
    """A pipeline that was sent once and lost when its time was over is judged as by the verdicts, and then ended."""
    commands, _wanted = GROUPS[name]
    loss = Lost("no reply in time", timed_out=True)
    long_way = []
    for command, found in zip(commands, verdicts([Member(sent(command), loss) for command in commands], ALONE), strict=True):
        assert found is not None
        long_way.append(found if isinstance(found, Settle) else ended(sent(command).replaced(past=found.past)))
    short_way = last_verdicts(commands, loss, "h:1")
    assert [(type(item.result), str(item.result)) for item in long_way] == [(type(item.result), str(item.result)) for item in short_way]


# Pipelines


def judge(*items: tuple[Command[Any], Outcome | None], rules: Rules = CLUSTER, write: int = 0) -> list[Any]:
    """Return the shapes of the verdicts on calls that were sent in one write."""
    return [shape(found) for found in verdicts([Member(sent(command), outcome, write) for command, outcome in items], rules)]


MOVED, ASK, TRYAGAIN = (Answer(ErrorReply(text)) for text in ("MOVED 1 o:2", "ASK 1 o:2", "TRYAGAIN Multiple keys request"))
READONLY = Answer(ErrorReply("READONLY You can't write against a read only replica."))


def test_what_was_answered_is_final_and_what_was_redirected_is_sent_again() -> None:
    """`[set A, get B, delete B]` with A's slot moved: B's value is kept, since it is gone."""
    assert ["Redirect", b"only copy", 1] == judge(
        (make(SET, "a", 1), MOVED), (make(GET, "b"), Answer(b"only copy")), (make(DEL, "b"), Answer(1))
    )


def test_behind_a_lost_connection_all_of_a_pipeline_share_one_fate() -> None:
    """Reads included, and what was answered before stays."""
    other = make(GET, "l")
    assert [1, OutcomeUnknown, OutcomeUnknown] == judge((COUNT, Answer(1)), (COUNT, LOST), (other, LOST))
    assert [b"v", "Retry", "Retry"] == judge((make(GET, "m"), Answer(b"v")), (WRITE, LOST), (other, LOST))
    assert [OutcomeUnknown, OutcomeUnknown] == judge((READ, LOST), (make(DEL, "k"), LOST))
    assert ["Retry", "Retry"] == judge((READ, UNREACHABLE), (COUNT, UNREACHABLE))


def test_each_lost_connection_is_judged_alone() -> None:
    """Another server's counter is no reason to leave a read unknown."""
    members = [Member(sent(COUNT), LOST, 0), Member(sent(make(GET, "l")), LOST, 1)]
    assert [OutcomeUnknown, "Retry"] == [shape(found) for found in verdicts(members, CLUSTER)]


def test_a_read_from_before_its_change_is_read_again() -> None:
    """A demoted primary refuses the change and answers the read."""
    assert ["Retry", "Retry"] == judge((WRITE, READONLY), (READ, Answer(b"old")), rules=ALONE)
    assert ["Retry", b"other"] == judge((WRITE, READONLY), (make(GET, "l"), Answer(b"other")), rules=ALONE)


def test_an_order_that_was_broken_is_an_error() -> None:
    """Whatever has run behind a call of the same key that has not leaves no right answer."""
    both, one = make(MGET, "k", "l"), make(SET, "l", 2)
    assert [UnreachableError, True] == judge((both, TRYAGAIN), (one, Answer(True)))  # the write's answer is right
    both = make(MSET, "k", 1, "l", 1)
    assert [UnreachableError, OutcomeUnknown] == judge((both, TRYAGAIN), (one, Answer(True)))
    assert [UnreachableError, UnreachableError, OutcomeUnknown] == judge(
        (both, TRYAGAIN), (make(GET, "l"), Answer(b"")), (one, Answer(True))
    )
    assert ["Retry", True] == judge((both, TRYAGAIN), (make(SET, "m", 2), Answer(True)))


def test_no_call_goes_on_behind_one_that_ended_without_an_answer() -> None:
    """It would not see what it was to see; reads that ended do not matter."""
    waiting = [Member(sent(COUNT), LOST), Member(sent(READ)), Member(sent(make(GET, "l")))]
    assert [OutcomeUnknown, UnreachableError, None] == [shape(found) for found in verdicts(waiting, CLUSTER)]
    failed = [Member(sent(WRITE), state=State.FAILED), Member(sent(READ)), Member(sent(COUNT))]
    assert [None, UnreachableError, UnreachableError] == [shape(found) for found in verdicts(failed, CLUSTER)]
    read = [Member(sent(READ), state=State.FAILED), Member(sent(WRITE))]
    assert [None, None] == verdicts(read, CLUSTER)


def test_calls_of_one_slot_go_in_order_and_those_of_others_beside() -> None:
    """A call waits for one before it that goes elsewhere, or that cannot go yet; unknown keys wait for all, and all wait for them."""
    assert [True, True, True] == may_go([(1, "a"), (1, "a"), (2, "b")])
    assert [True, False, True, True] == may_go([(1, "a"), (1, "b"), (2, "b"), (1, "a")])
    assert [False, False, True] == may_go([(1, None), (1, "a"), (2, "a")])
    assert [True, True, True] == may_go([(1, "a"), (None, "a"), (2, "a")])
    assert [True, False, False] == may_go([(1, "b"), (None, "a"), (1, "b")])
    assert [True, True, False] == may_go([(1, "a"), (None, "a"), (2, "b")])
    assert [False, False, False] == may_go([(1, None), (None, "a"), (2, "a")])


def test_a_refused_multi_that_let_commands_through_is_an_answer() -> None:
    """They ran one by one, so that sending them again would run them twice."""
    transaction = Transaction([COUNT, READ])
    replies = [ErrorReply("BUSY Redis is busy"), 1, b"1", ErrorReply("ERR EXEC without MULTI")]
    found = verdict(sent(transaction), Answer(replies), ALONE)
    assert "one by one" in str(found.result)  # type: ignore[union-attr]
    nothing = [ErrorReply("BUSY Redis is busy")] * 4
    assert "Retry" == shape(verdict(sent(transaction), Answer(nothing), ALONE))
