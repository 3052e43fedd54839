# SPDX-License-Identifier: MIT
"""Commands that are reported when they have ended; loaded only by clients whose policy has a hook for that."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from .._policy import CallRecord
from .._protocol.command import Command
from .._protocol.resp import ErrorReply
from .._transport.asyncio_pool import Node
from .._transport.dialer import Dialer, Request, format_address
from ..core.errors import KeyfleetError
from .call import Call
from .executor import Engine

T = TypeVar("T")

logger = logging.getLogger("keyfleet")


class ObservedEngine(Engine):
    """Runs commands as an Engine does, without its fast paths, and reports each of them to Policy.on_call."""

    def __init__(self, dialer: Dialer) -> None:
        super().__init__(dialer)
        self._attempts: dict[Call, int] = {}

    async def run(self, command: Command[T], budget_seconds: float | None = None) -> T:
        """As Engine's."""
        call, deadline = Call(command), self.deadline(budget_seconds)
        if command.block_seconds is None:
            await self.run_all([call], deadline)
            return self.decoded(call)  # type: ignore[no-any-return]
        with self._reporting([call]):
            return await self._run_waiting(call, deadline)  # type: ignore[no-any-return]

    async def run_all(self, calls: Sequence[Call], deadline: float, *, in_order: bool = False) -> Sequence[Call]:
        """As Engine's."""
        with self._reporting(calls):
            return await super().run_all(calls, deadline, in_order=in_order)

    async def run_pipeline(self, commands: Sequence[Command[Any]], deadline: float) -> list[Any]:
        """As Engine's."""
        return [call.result for call in await self.run_all([Call(command) for command in commands], deadline, in_order=True)]

    def _request(self, node: Node, group: Sequence[Call], deadline: float, in_order: bool) -> Request:
        for call in group:
            self._attempts[call] = self._attempts.get(call, 0) + 1
        return super()._request(node, group, deadline, in_order)

    @contextmanager
    def _reporting(self, calls: Sequence[Call]) -> Iterator[None]:
        begun, interruption = time.monotonic(), ""
        try:
            yield
        except BaseException as error:  # a caller that was cancelled or interrupted is reported as well
            interruption = type(error).__name__
            raise
        finally:
            seconds = time.monotonic() - begun
            for call in calls:
                self._report(_record(call, seconds, self._attempts.pop(call, 0), interruption))

    def _report(self, record: CallRecord) -> None:
        try:
            if self._policy.on_call is not None:
                self._policy.on_call(record)
        except Exception:
            logger.exception("on_call of the policy failed")


def _record(call: Call, seconds: float, attempts: int, interruption: str) -> CallRecord:
    node = "" if call.node is None else format_address(call.node.address)
    if not call.is_settled:
        outcome = interruption
    elif isinstance(call.result, ErrorReply):
        outcome = call.result.code
    else:
        outcome = type(call.result).__name__ if isinstance(call.result, KeyfleetError) else "ok"
    return CallRecord(call.command.kind.name, node, seconds, attempts, outcome)
