# SPDX-License-Identifier: MIT
"""Which server each call goes to, and what is written there: one attempt of calls that are on their way together."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from redis.crc import key_slot

from .._attempts import may_go, verdict
from .._policy import SHORTEST_ATTEMPT_SECONDS, Breaker, attempt_seconds
from .._protocol.command import Command, may_repeat
from .._protocol.outcomes import NotSent
from .._protocol.resp import pack
from .._transport.asyncio_pool import Node, exchange_all
from .._transport.dialer import Dialer, Request, format_address
from .._transport.failures import NotSentError
from ..core.errors import BreakerOpenError, KeyfleetError, UnreachableError
from .call import Call
from .following import RESERVED_SECONDS, Following
from .watch import FIRST_CHECK_SECONDS, Watch

ASKING = pack(("ASKING",))


class Sending(Following):
    """
    Sends calls, once each, and follows what comes back.

    Args:
        dialer: Knows settings and policy, and counts.
    """

    def __init__(self, dialer: Dialer) -> None:
        super().__init__(dialer)
        self._has_others = bool(dialer.settings.cluster_nodes or dialer.settings.sentinels)
        self._first_check = FIRST_CHECK_SECONDS if self._has_others else math.inf

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

    async def _attempt(self, calls: Sequence[Call], deadline: float, in_order: bool = False) -> None:
        """Send every open call that may go once, grouped by server, and follow what came back."""
        in_order = in_order and not all(call.command.kind.is_read for call in calls)  # reads have no order
        routes = await self._route([call for call in calls if not call.is_settled], deadline, in_order)
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
        outcomes = await exchange_all([self._request(node, group, deadline, in_order) for node, group in sent])
        self._take(calls, [(group, outcome) for (_node, group), outcome in zip(sent, outcomes, strict=True)], in_order, deadline)

    async def _route(self, calls: Sequence[Call], deadline: float, in_order: bool) -> list[tuple[Call, Node | None]]:
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
                    trouble, is_learned = await self._learn(call, deadline), True
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
        reads = command.kind.is_read and not call.past.failures and command.reply_count == 1 and not in_order
        return self.router.find(command.name, reads)

    def _slot(self, call: Call) -> int | None:
        """Return the slot within which *call* has an order; without a cluster all are one."""
        if not self._rules.is_cluster:
            return 0
        return None if call.command.name is None else key_slot(call.command.name.encode())

    async def _learn(self, call: Call, deadline: float) -> KeyfleetError | None:
        try:
            await self.router.learn(deadline, call.version)
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
            blocking = Request(node, data, count, deadline, is_alone=True)
            blocking.is_blocking, blocking.deadline = True, math.inf if block == 0 else deadline + block
            return blocking
        plain = Request(node, data, count, deadline, is_alone=group[0].command.reply_count != 1)
        if not all(call.command.kind.is_repeatable for call in group):
            return plain
        return self._watched(plain, now, [call.command for call in group], in_order)

    def _watched(self, request: Request, now: float, commands: Sequence[Command[Any]], in_order: bool) -> Request:
        """
        Return *request* with what inspects the connection if its replies are late.

        Args:
            request: What is sent now, and may be sent again.
            now: The present.
            commands: What it holds.
            in_order: Whether that is a part of a pipeline.
        """
        deadline = request.deadline - min(RESERVED_SECONDS * request.reply_count, (request.deadline - now) / 2)
        request.deadline = deadline
        if deadline - now <= SHORTEST_ATTEMPT_SECONDS:
            return request
        give_up_at = now + attempt_seconds(deadline - now)
        request.watch = (self._watch, request.node, commands, now, give_up_at, deadline, in_order)
        request.connect_deadline, request.check_at = give_up_at, min(give_up_at, now + self._first_check)
        return request

    def _watch(
        self, node: Node, commands: Sequence[Command[Any]], sent_at: float, give_up_at: float, deadline: float, in_order: bool
    ) -> Watch:
        watch = Watch(self.router, node, [command.name for command in commands], sent_at, give_up_at, deadline)
        if in_order and not may_repeat(commands):
            watch.check_at = math.inf  # nothing is gained by knowing that it is lost
        return watch
