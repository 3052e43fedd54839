# SPDX-License-Identifier: MIT
"""What a call does whose reply is late: it finds out whether the connection is dead, or the server, or neither."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from .._attempts import Silence, silence
from .._policy import LONGEST_FAILOVER_DELAY_SECONDS, attempt_seconds
from .._transport.asyncio_link import Link
from .._transport.asyncio_pool import Node
from .._transport.failures import LostError, NotSentError
from .router import Router

DEAD = "no reply on this connection, and the server answers on another one"
MOVED = "no reply, and another server serves now"
SHORTEST_PROBE_SECONDS, LONGEST_PROBE_SECONDS = 0.1, 0.5
GRACE_SECONDS = 0.05  # in which a reply comes that the server gave before it answered the probe
FIRST_CHECK_SECONDS = 1.0  # where another server may take over


class Watch:
    """
    Checks calls that wait for their replies on one connection and may be sent again.

    Args:
        router: Knows who serves.
        node: The server that was asked.
        names: The key of each call; None where any server will do.
        sent_at: When they were sent.
        alive_until: Until when a server that answers on another connection may still answer on this one.
        deadline: As the attribute.
    Attributes:
        check_at: When to check next.
        deadline: When their time is over.
    """

    def __init__(
        self, router: Router, node: Node, names: Sequence[str | None], sent_at: float, alive_until: float, deadline: float
    ) -> None:
        self._router, self._node, self._names = router, node, names
        self._checked_at, self._alive_until, self.deadline = sent_at, alive_until, deadline
        self._version = router.version
        self._answers_beside: bool | None = None
        self.check_at = sent_at

    async def check(self, link: Link) -> None:
        """Decide whether to wait on, and until when; LostError if that is of no use."""
        now = time.monotonic()
        since, self._checked_at = self._checked_at, now
        heard = link.heard_at > since
        found = silence(heard, self._answers_beside)
        if found is Silence.PROBE:
            found = await self._probe(since)
        if found is Silence.DEAD:
            await self._node.distrust(link)
            raise LostError(DEAD, timed_out=True)
        if found is Silence.REPLACED:
            raise LostError(MOVED, timed_out=True)
        if heard:
            self._answers_beside, self.check_at = None, now + attempt_seconds(self.deadline - now)

    async def _probe(self, since: float) -> Silence:
        if await self._node.answers_beside(since, self._soon(LONGEST_PROBE_SECONDS)):
            now = time.monotonic()
            if now < self._alive_until:
                self.check_at = min(self._alive_until, now + FIRST_CHECK_SECONDS)
            else:
                self._answers_beside, self.check_at = True, now + GRACE_SECONDS
            return Silence.WAIT
        found = silence(False, False, self._is_replaced() or await self._is_replaced_now())
        self.check_at = min(self._soon(LONGEST_PROBE_SECONDS), time.monotonic() + LONGEST_FAILOVER_DELAY_SECONDS)
        return found

    def _soon(self, longest_seconds: float) -> float:
        """Return when a part of the time that is left will be over: what is found out until then still helps."""
        now = time.monotonic()
        return min(self.deadline, now + min(max((self.deadline - now) / 4, SHORTEST_PROBE_SECONDS), longest_seconds))

    async def _is_replaced_now(self) -> bool:
        """Ask for the topology, and say whether it names another server for one of the calls."""
        try:
            await self._router.learn(self._soon(math.inf), self._version)
        except NotSentError:
            return False
        finally:
            self._version = self._router.version
        return self._is_replaced()

    def _is_replaced(self) -> bool:
        primaries = self._router.primaries()
        if None in self._names and primaries and self._node not in primaries:
            return True
        owners = [self._router.find(name, False) for name in self._names if name is not None]
        return any(owner is not None and owner is not self._node for owner in owners)
