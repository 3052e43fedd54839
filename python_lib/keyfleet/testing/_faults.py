# SPDX-License-Identifier: MIT
"""What a FaultProxy does wrong on purpose."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import Enum
from typing import Optional

from ._resp import words


class Kind(Enum):
    """Where a command fails."""

    REQUEST = "the server does not get the command"
    REPLY = "the client does not get the reply"
    HALF_REPLY = "the client gets a part of the reply"


@dataclass
class Fault:
    """
    A fault that waits for its command.

    Attributes:
        command: Words that the command begins with, in upper case; none match every command.
        kind: Where it fails.
        silent: Whether the connection then stays open without a word, and is not closed.
        nth: Which of the matching commands is the first to fail, counted from now, 1 for the next.
        times: How many of them fail.
        keep_bytes: Bytes of the reply that arrive, for a half reply.
        hits: How many commands have failed so far; a reply counts when the server has sent it.
    """

    command: list[bytes]
    kind: Kind
    silent: bool
    nth: int = 1
    times: int = 1
    keep_bytes: int = 0
    hits: int = 0
    _seen: int = field(default=0, repr=False)

    def meets(self, command: bytes) -> bool:
        """Say whether this *command* shall fail; counts it if it matches."""
        if self.command and words(command, len(self.command)) != self.command:
            return False
        self._seen += 1
        return self.nth <= self._seen < self.nth + self.times


@dataclass
class Shape:
    """
    How replies travel.

    Attributes:
        delay_seconds: Shortest and longest time that a reply is held back; drawn for each from *random*.
        dribble_seconds: Pause after each byte of a reply, None to send it whole.
        cut_after_bytes: Bytes of replies after which a new connection is closed, None for no end.
    """

    delay_seconds: tuple[float, float] = (0.0, 0.0)
    random: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311
    dribble_seconds: Optional[float] = None
    cut_after_bytes: Optional[int] = None

    @property
    def is_plain(self) -> bool:
        """Whether replies are neither held back nor taken apart."""
        return self.dribble_seconds is None and self.delay_seconds[1] == 0

    def next_delay(self) -> float:
        """Return the seconds for which the next reply is held back."""
        return self.random.uniform(*self.delay_seconds)
