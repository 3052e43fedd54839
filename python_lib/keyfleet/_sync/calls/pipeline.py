# SPDX-License-Identifier: MIT - made from _async/calls/pipeline.py by scripts/generate_sync.py; change that one
"""Pipelines: many calls, one write to each server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..._protocol.builder import Commands
from ..._protocol.command import Command, Operation
from ..._protocol.pipeline_calls import PipelineCalls
from ..._protocol.scripts import texts_first
from ...core.errors import KeyfleetError

if TYPE_CHECKING:
    from typing_extensions import Self


class Pipeline(PipelineCalls):
    """
    Notes calls and sends them together; made by the client's `pipeline`.

    It takes the client's calls for keys, JSON, hashes and lists, with the same arguments, except `scan` and what waits for an element. Each
    returns the pipeline, so that calls can be chained, and `execute` returns what the client's would, in their order. Wrong arguments
    raise immediately. It belongs to one caller. After `execute` it is empty and may be used again.

    Attributes:
        results: What the last `execute` got, errors in the places of their calls; also when it raised one of them.
    """

    def __init__(self, commands: Commands, run: Callable[[Sequence[Command[Any]]], Any]) -> None:
        super().__init__(commands)
        self._run = run
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
        answers: list[Any] = self._run(commands) if commands else []
        return answers


def _combined(operation: Operation[Any], answers: list[Any]) -> Any:
    error = next((answer for answer in answers if isinstance(answer, KeyfleetError)), None)
    if error is not None:
        return error
    try:
        return operation.combine(answers)
    except KeyfleetError as undecodable:
        return undecodable
