# SPDX-License-Identifier: MIT
"""A command on its way, and what comes of its attempts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from .._protocol.command import Command
from .._protocol.outcomes import NEW, Answer, Lost, NotSent, Outcome
from .._protocol.resp import ErrorReply
from .._transport.asyncio_pool import Node
from .._transport.failures import Failure, LostError, NotSentError
from ..core.errors import BreakerOpenError


class Call:
    """
    One command on its way.

    Attributes:
        command: What to send next; a script that the server does not know becomes its text.
        pinned: The server that must answer; None where the router finds it.
        node: The server of the last attempt.
        past: What became of its attempts so far.
        result: The reply, or the error for the caller.
        is_settled: Whether *result* is final.
        is_asking: Whether the next attempt goes to *node* after ASKING.
        blames_server: Whether its failure is a reason to give the server a pause.
        goes_on_at_once: Whether the next attempt needs no wait.
        is_answered: Whether the last attempt got a reply, maybe an error.
        needs_rediscovery: Whether what went wrong may mean that another server serves now.
        version: What the router knew at the last attempt.
        sent_at: When it was sent first; infinite before.
        refusal: Why it is not sent: the breaker of its server is open, and there is time to wait for the probe.
    """

    __slots__ = (
        "blames_server",
        "command",
        "goes_on_at_once",
        "is_answered",
        "is_asking",
        "is_settled",
        "needs_rediscovery",
        "node",
        "past",
        "pinned",
        "refusal",
        "result",
        "sent_at",
        "version",
    )

    def __init__(self, command: Command[Any], pinned: Node | None = None) -> None:
        self.command, self.pinned = command, pinned
        self.node: Node | None = pinned
        self.past, self.version, self.sent_at = NEW, 0, math.inf
        self.result: Any = None
        self.refusal: BreakerOpenError | None = None
        self.is_settled = self.is_answered = self.is_asking = self.goes_on_at_once = self.needs_rediscovery = False
        self.blames_server = True

    def settle(self, result: Any) -> None:
        self.result, self.is_settled = result, True


Write = tuple[list[Call], list[Any] | Failure]  # calls that were sent together, and what came of them


def outcome_of(came: Any) -> Outcome:
    """Return what came of an attempt, a reply or a failure of the transport, as a value."""
    if isinstance(came, LostError):
        return Lost(str(came), came.timed_out)
    return NotSent(came.cause) if isinstance(came, NotSentError) else Answer(came)


def is_plain(group: Sequence[Any], outcome: list[Any] | Failure) -> bool:
    """Say whether every call of a write has its own reply, and none of them is an error."""
    return outcome.__class__ is list and len(outcome) == len(group) and ErrorReply not in set(map(type, outcome))


def outcomes_of(group: Sequence[Call], outcome: list[Any] | Failure) -> Iterator[tuple[Call, Outcome]]:
    """Yield what came of each call of one write; behind a lost connection the first ones may have their replies."""
    replies = outcome.replies if isinstance(outcome, LostError) else [] if isinstance(outcome, NotSentError) else outcome
    position = 0
    for call in group:
        position += call.is_asking
        count = call.command.reply_count
        mine = replies[position : position + count]
        position += count
        if len(mine) == count:
            yield call, Answer(mine[0] if count == 1 else mine)
        else:
            yield call, outcome_of(outcome)
