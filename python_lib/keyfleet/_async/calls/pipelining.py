# SPDX-License-Identifier: MIT
"""Making pipelines, and running what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from ..._protocol.command import Command, Transaction
from ..._protocol.replies import MANY
from ..._transport.failures import NO_ANSWER
from ...core.errors import DecodeError, KeyfleetError, ServerError
from ..executor import Engine
from ..lifecycle import AsyncClientBase

if TYPE_CHECKING:
    from .pipeline import AsyncPipeline

_decode, _key = attrgetter("decode"), attrgetter("key")
_ANSWERS = frozenset([bytes, int, list, type(None)])


class AsyncPipelining(AsyncClientBase):
    """Makes pipelines, and runs what they hold."""

    def pipeline(self, *, transaction: bool = False) -> AsyncPipeline:
        """
        Return a pipeline: calls that are sent together, one write to each server, all servers side by side.

            async with client.pipeline() as pipe:
                pipe.set("a", 1).incr("a")
                stored, total = await pipe.execute()

        All calls together have one budget. Calls of one server, on a cluster of one slot, run in order; commands of others may run
        between them. What was answered is final, what was redirected is sent again in order. What a lost connection left unanswered is
        sent again if it only reads, or if all of it may be and no call reads what another one changes; else it is OutcomeUnknown.

        Args:
            transaction: Run all calls in one step, between MULTI and EXEC, on a connection of their own. No other caller's commands run in
                between, and a call that fails does not undo the others. On a cluster all keys must be in one slot. If the reply is lost
                and they may not be sent again together, all of them are OutcomeUnknown. WATCH is offered by `raw`; a script often
                does better.
        """
        from .pipeline import AsyncPipeline  # for the programs that use one

        return AsyncPipeline(self._commands, self._run_transaction if transaction else self._run_each)

    async def _run_each(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """Return the answer of each of *commands*, or its error; what may fall back does."""
        self._counters.calls += 1
        engine = self._engines.current()
        replies = await engine.run_pipeline(commands, engine.deadline(self._budget))
        if _ANSWERS.issuperset(map(type, replies)):
            self._note_answer()
            return _decoded(commands, replies)
        answers = [_answer(engine, command, reply) for command, reply in zip(commands, replies, strict=True)]
        lost = [position for position, answer in enumerate(answers) if isinstance(answer, NO_ANSWER)]
        self._counters.failures += bool(lost)
        for position in lost:
            if self._falls_back(commands[position], answers[position]):
                answers[position] = self._fallback(commands[position], answers[position])
        if not lost:
            self._note_answer()
        return answers

    async def _run_transaction(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """Return the answer of each of *commands*, or its error; if none of them ran, what kept them from it for each."""
        self._commands.names_in_one_slot([command.key for command in commands if command.name is not None])
        try:
            replies = await self._run(Transaction(list(commands)))
        except ServerError as error:
            return [error] * len(commands)
        engine = self._engines.current()
        return [_answer(engine, command, reply) for command, reply in zip(commands, replies, strict=True)]


def _answer(engine: Engine, command: Command[Any], reply: Any) -> Any:
    if isinstance(reply, KeyfleetError):
        return reply
    try:
        return engine.answer(command, reply)
    except KeyfleetError as error:
        return error


def _decoded(commands: Sequence[Command[Any]], replies: list[Any]) -> list[Any]:
    """Return what *replies*, none of which is an error, mean. A fast path: calls of one kind are read together."""
    decoders = set(map(_decode, commands))
    decode_all = MANY.get(decoders.pop()) if len(decoders) == 1 else None
    try:
        if decode_all is not None:
            return decode_all(replies, list(map(_key, commands)))
        return [command.decode(reply, command.key) for command, reply in zip(commands, replies, strict=True)]
    except DecodeError:  # slower, and keeps the other answers
        return [_one_decoded(command, reply) for command, reply in zip(commands, replies, strict=True)]


def _one_decoded(command: Command[Any], reply: Any) -> Any:
    try:
        return command.decode(reply, command.key)
    except DecodeError as error:
        return error
