# SPDX-License-Identifier: MIT
"""What ended an attempt to talk to a server; pure."""

from __future__ import annotations

from typing import Any

from ..core.errors import KeyfleetError, OutcomeUnknown, UnreachableError

CLOSED = "the client was closed; connect() opens it again"
MOVED_ON = "another server may serve now, so calls no longer wait for a connection to this one"

# What a caller gets when no server answered in time.
NoAnswer = UnreachableError | OutcomeUnknown
NO_ANSWER = (UnreachableError, OutcomeUnknown)


class NotSentError(Exception):
    """The command did not reach the server whole, so it was surely not run; *cause* is the error for the caller."""

    def __init__(self, cause: KeyfleetError) -> None:
        super().__init__(cause)
        self.cause = cause


class StrangerError(NotSentError):
    """The server at the address is not the one that is meant, or does not have the role that is needed."""


class LostError(Exception):
    """Commands were sent and not all replies came: those without one may have run; *replies* are those of the first ones."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out
        self.replies: list[Any] = []


Failure = NotSentError | LostError
