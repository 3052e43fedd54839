# SPDX-License-Identifier: MIT - made from _async/calls/pipeline.py by scripts/generate_sync.py; change that one
"""Pipelines: many calls, one write to each server."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..._protocol.command import Command, Operation, Transaction
from ..._protocol.pipeline_calls import PipelineCalls
from ..._protocol.replies import MANY
from ..._protocol.scripts import texts_first
from ..._transport.failures import NO_ANSWER
from ...core.errors import DecodeError, KeyfleetError, ServerError
from ..executor import Engine
from ..lifecycle import ClientBase

if TYPE_CHECKING:
    from typing_extensions import Self


_ANSWERS = frozenset([bytes, int, list, type(None)])


class Pipeline(PipelineCalls):
    """
    Notes calls and sends them together; made by the client's `pipeline`.

    It takes the client's calls for keys, JSON, hashes and lists, with the same arguments, except `scan` and what waits for an element. Each
    returns the pipeline, so that calls can be chained, and `execute` returns what the client's would, in their order. Wrong arguments
    raise at once. It belongs to one thread; after `execute` it is empty and may be used again.

    Attributes:
        results: What the last `execute` got, errors in the places of their calls; also when it raised one of them.
    """

    def __init__(self, client: Pipelining, is_transaction: bool) -> None:
        super().__init__(client._commands)
        self._client, self._is_transaction = client, is_transaction
        self.results: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._operations.clear()

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """
        Send all calls and return their results, in order.

        Args:
            raise_on_error: Raise the first error; the other results stay in `results`. If false, errors are returned in their places.
        Raises:
            ValueError: from a transaction on a cluster whose keys are not in one slot; nothing was sent.
            ClosedError: after the client's `close`; nothing was sent.
            KeyfleetError: what the calls of the client raise, for the first of those that failed.
        """
        operations, self._operations, self.results = self._operations, [], []
        if set(map(type, operations)) <= {Command}:  # the fast path: neither scripts nor calls of several commands
            self.results = self._answers(operations)  # type: ignore[arg-type]
        else:
            commands = texts_first((command for operation in operations for command in operation.commands), self._commands.is_cluster)
            answers = iter(self._answers(commands))
            self.results = [_combined(operation, list(islice(answers, len(operation.commands)))) for operation in operations]
        if raise_on_error and any(issubclass(kind, KeyfleetError) for kind in set(map(type, self.results))):
            raise next(result for result in self.results if isinstance(result, KeyfleetError))
        return self.results

    def _answers(self, commands: Sequence[Command[Any]]) -> list[Any]:
        if not commands:
            return []
        return self._client._run_transaction(commands) if self._is_transaction else self._client._run_each(commands)


class Pipelining(ClientBase):
    """Makes pipelines, and runs what they hold."""

    def pipeline(self, *, transaction: bool = False) -> Pipeline:
        """
        Return a pipeline: calls that are sent together, one write to each server, all servers side by side.

            with client.pipeline() as pipe:
                pipe.set("a", 1).incr("a")
                stored, total = pipe.execute()

        All calls together have one budget. Calls of one server, on a cluster of one slot, run in order; commands of others may run
        between them. What was answered is final, what was redirected is sent again in order. What a lost connection left unanswered is
        sent again if it only reads, or if all of it may be and no call reads what another one changes; else it is OutcomeUnknown.

        Args:
            transaction: Run all calls in one step, between MULTI and EXEC, on a connection of their own. Nobody else's commands run in
                between, and a call that fails does not undo the others. On a cluster all keys must be in one slot. If the reply is lost
                and they may not be sent again together, all of them are OutcomeUnknown. WATCH is offered by `raw`; a script often
                does better.
        """
        return Pipeline(self, transaction)

    def _run_each(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """Return the answer of each of *commands*, or its error; what may fall back does."""
        self._counters.calls += 1
        engine = self._engines.current()
        replies = engine.run_pipeline(commands, engine.deadline(self._budget))
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

    def _run_transaction(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """Return the answer of each of *commands*, or its error; if none of them ran, what kept them from it for each."""
        self._commands.names_in_one_slot([command.key for command in commands if command.name is not None])
        try:
            replies = self._run(Transaction(list(commands)))
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
    decoders = {command.decode for command in commands}
    decode_all = MANY.get(decoders.pop()) if len(decoders) == 1 else None
    try:
        if decode_all is not None:
            return decode_all(replies, [command.key for command in commands])
        return [command.decode(reply, command.key) for command, reply in zip(commands, replies, strict=True)]
    except DecodeError:  # slower, and keeps the other answers
        return [_one_decoded(command, reply) for command, reply in zip(commands, replies, strict=True)]


def _one_decoded(command: Command[Any], reply: Any) -> Any:
    try:
        return command.decode(reply, command.key)
    except DecodeError as error:
        return error


def _combined(operation: Operation[Any], answers: list[Any]) -> Any:
    error = next((answer for answer in answers if isinstance(answer, KeyfleetError)), None)
    if error is not None:
        return error
    try:
        return operation.combine(answers)
    except KeyfleetError as undecodable:
        return undecodable
