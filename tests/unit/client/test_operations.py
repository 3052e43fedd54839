# SPDX-License-Identifier: MIT
"""Every call is one operation, written once: the client runs it and a pipeline queues it, with the same name and arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from keyfleet import AsyncClient, Pipeline
from keyfleet._protocol.builder import Commands
from keyfleet._protocol.command import Command, Operation
from keyfleet._protocol.scripts import PreparedScript, texts_first

COMMANDS = {name for name in dir(Commands) if not name.startswith("_")}
ASKED_OFTEN = {"ping", "scan"}  # the client sends them to all servers, or step by step
WAITING = {"blpop", "brpop", "blmove"}
CALLS = sorted(name for name in COMMANDS & set(dir(AsyncClient)) if name not in {*ASKED_OFTEN, "script"})


def parameters(call: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    """Return names, kinds and defaults."""
    return [(item.name, item.kind, item.default) for item in inspect.signature(call).parameters.values()]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_takes_what_its_operation_takes(name: str) -> None:
    """The client adds nothing to what the operation says."""
    assert parameters(getattr(Commands, name)) == parameters(getattr(AsyncClient, name))


@pytest.mark.parametrize("name", [name for name in CALLS if name not in {*WAITING, "execute"}])
def test_a_pipeline_takes_it_as_well(name: str) -> None:
    """It has no methods of its own for that."""
    assert getattr(Pipeline, name).__wrapped__ is getattr(Commands, name)


def test_a_command_is_an_operation_of_one() -> None:
    """Its result is its own answer."""
    command = Commands("p:").get("k")
    assert (isinstance(command, Command), (command,), "x") == (True, command.commands, command.combine(["x"]))


@pytest.mark.parametrize("operation", [Commands("").delete(), Commands("").hset("h", {}), Commands("").hdel("h")])
def test_nothing_to_do_is_an_operation_without_commands(operation: Operation[int]) -> None:
    """Its result needs no server."""
    assert ((), 0) == (tuple(operation.commands), operation.combine([]))


@pytest.mark.parametrize("is_cluster", [False, True])
def test_many_keys_are_cut_into_commands(is_cluster: bool) -> None:
    """A managed service limits the arguments of one command, a cluster the keys to one slot."""
    keys = [f"k{number}" for number in range(2500)]
    sizes = [1] * 2500 if is_cluster else [1000, 1000, 500]
    operation = Commands("p:", is_cluster).delete(*keys)
    assert sizes == [len(command.arguments) - 1 for command in operation.commands]
    assert 2500 == operation.combine(sizes)
    read = Commands("p:", is_cluster).get_many(keys)
    answers = [key.encode() for key in keys] if is_cluster else [[key.encode() for key in keys[at : at + 1000]] for at in (0, 1000, 2000)]
    assert {key: key for key in keys} == read.combine(answers)


@pytest.mark.parametrize("is_cluster", [False, True])
def test_the_text_of_a_script_goes_before_its_digest(is_cluster: bool) -> None:
    """Once for each script, on a cluster once for each slot of it."""
    make = Commands("", is_cluster)
    first, second = PreparedScript("return 1", False), PreparedScript("return 2", False)
    order = [(first, "a"), (first, "a"), (second, "a"), (first, "b"), (first, "b"), (second, "b")]
    commands = texts_first([make.script(script.script, [key], [], False) for script, key in order], is_cluster)
    expected = ["EVAL", "EVALSHA", "EVAL", "EVAL", "EVALSHA", "EVAL"] if is_cluster else ["EVAL", "EVALSHA", "EVAL"] + ["EVALSHA"] * 3
    assert expected == [command.arguments[0] for command in commands]
