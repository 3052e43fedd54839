# SPDX-License-Identifier: MIT
"""Exceptions out of nowhere: a signal handler raises between any two steps of a call, and nothing is lost by it."""

from __future__ import annotations

import dis
import functools
import gc
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

import pytest
from keyfleet import Client, Policy
from keyfleet.testing.servers import Cluster, Server

MOST_STEPS = 4000

# A socket that is interrupted before anything refers to it is closed by Python, which warns.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Alarm(BaseException):
    """What the handler raises; as KeyboardInterrupt, and as gevent's Timeout, it is no Exception."""


# After these the interpreter checks for signals. Python 3.10 checks more often, and not in places that matter here.
CHECKS = ("CALL", "RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE")


class Interrupter:
    """Raises an Alarm in the step of the given number: a step is a place in the client's files where a signal may be handled."""

    def __init__(self, at: int) -> None:
        self._left = at
        self._previous: dict[int, str] = {}  # by the id of the frame

    def __enter__(self) -> Interrupter:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_unused: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        code = frame.f_code
        if "/keyfleet/_" not in code.co_filename or code.co_name == "__del__":  # where an exception is printed and dropped
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "call":
            self._previous.pop(id(frame), None)
        elif event == "opcode":
            previous = self._previous.get(id(frame), "")
            self._previous[id(frame)] = dis.opname[bytecode(code)[frame.f_lasti]]
            self._left -= previous.startswith(CHECKS)
            if self._left == 0:
                sys.settrace(None)
                raise Alarm
        return self._trace


@functools.cache
def bytecode(code: CodeType) -> bytes:
    """Return the instructions, which are made anew each time they are asked for."""
    return code.co_code


def interrupt_everywhere(client: Client, call: Callable[[Client], object], expected: object, dropped: bool) -> int:
    """Interrupt *call* at its first step, its second, and so on until it ends sooner; return how many there are."""
    for step in range(1, MOST_STEPS):
        if dropped:  # so that connecting is among the steps
            for node in client._engines.current().router.nodes:
                node.drop()
        try:
            with Interrupter(step):
                assert expected == call(client)
            return step
        except Alarm:
            pass
        assert "mine" == client.get("{k}mine")
        assert "other" == client.get("{k}other")
        if step % 50 == 0:
            gc.collect()
            assert client.stats.connections <= 3
    raise AssertionError("the call never ended")


@pytest.fixture
def client(redis_server: Server) -> Iterator[Client]:
    """A client with few connections: one that is lost is missed soon."""
    with Client.from_settings(
        redis_server.settings(timeout_seconds=2.0), policy=Policy(max_connections=2, max_blocking_connections=1)
    ) as it:
        it.set("{k}mine", "mine")
        it.set("{k}other", "other")
        yield it


def transact(client: Client) -> object:
    """Read in a transaction."""
    with client.pipeline(transaction=True) as pipe:
        pipe.get("{k}mine")
        return pipe.execute()


@pytest.mark.parametrize("dropped", [False, True], ids=["connected", "connecting"])
@pytest.mark.parametrize(
    ("call", "expected"),
    [(lambda client: client.get("{k}mine"), "mine"), (transact, ["mine"])],
    ids=["call", "transaction"],
)
def test_no_step_loses_a_connection(client: Client, call: Callable[[Client], object], expected: object, dropped: bool) -> None:
    """The pool of two is whole after each, and every reply is the caller's own."""
    assert interrupt_everywhere(client, call, expected, dropped) > 20
    gc.collect()
    assert not any(node.is_busy for node in client._engines.current().router.nodes)


def test_no_step_loses_a_connection_for_blocking_calls(client: Client) -> None:
    """There is only one of them; an element that was popped by an interrupted call is gone with its reply."""

    def pop(client: Client) -> object:
        client.rpush("{k}list", "element")
        return client.blpop("{k}list", timeout_seconds=1)

    assert interrupt_everywhere(client, pop, ("{k}list", "element"), False) > 20


def test_no_step_loses_the_lock_of_learning(redis_cluster: Cluster) -> None:
    """Of a client that still has to learn the slots: another call learns them."""
    for step in range(1, 3000, 3):
        with Client.from_settings(redis_cluster.settings(timeout_seconds=5.0)) as client:
            try:
                with Interrupter(step):
                    client.set("k", "v")
                return
            except Alarm:
                assert client.set("k", "v")
    raise AssertionError("the call never ended")
