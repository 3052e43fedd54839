# SPDX-License-Identifier: MIT
"""docs/client/how_a_call_runs.md says what the code does: its outcomes, its verdicts, and the functions of each step."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from keyfleet._attempts import PASSING, Silence, verdict
from keyfleet._protocol.command import Command, Repeat
from keyfleet._protocol.kinds import GET, INCR
from keyfleet._protocol.outcomes import Answer, Lost, NotSent, Outcome, Redirect, Retry, Rules, Sent, Settle, Verdict
from keyfleet._protocol.resp import ErrorReply
from keyfleet._protocol.scripts import Script
from keyfleet.core.errors import CredentialsError, KeyfleetError, OutcomeUnknown, PoolTimeoutError, UnreachableError

PACKAGE = Path(__file__).resolve().parents[3] / "python_lib" / "keyfleet"
PAGE = (PACKAGE.parents[1] / "docs" / "client" / "how_a_call_runs.md").read_text(encoding="utf-8")
PICTURE = PAGE.partition("```mermaid\n")[2].partition("```")[0]
ENDS = {"lost", "result", "raised"}  # of the picture: they are no steps

READ = Command(GET, ("GET", "k"), "k", "k", lambda reply, _key: reply)
COUNT = Command(INCR, ("INCR", "k"), "k", "k", lambda reply, _key: reply)
SCRIPT = Script("return 1").command(INCR, ("k",), (), "k", lambda reply, _key: reply)
LOST, NO_CONNECTION = Lost("the connection ended"), NotSent(UnreachableError("h:1", "refused"))


def table(first: str) -> list[list[str]]:
    """Return the cells of the table whose first column is called *first*."""
    rows = PAGE.partition(f"| {first} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def labels(pattern: str) -> set[str]:
    """Return what is written at the arrows of the picture that match."""
    return set(re.findall(pattern, PICTURE))


def functions(path: Path) -> set[str]:
    """Return the names of everything in a file that can be called."""
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


def test_the_picture_has_all_outcomes_and_verdicts() -> None:
    """What leads to a verdict, what leads away from it, and what a silent connection means."""
    assert {kind.__name__ for kind in get_args(Outcome)} == labels(r"connection -->\|\"(\w+)\"\| verdict")
    assert {kind.__name__ for kind in get_args(Verdict)} == labels(r"verdict -->\|\"(\w+)\"")
    assert {kind.name for kind in Silence if kind is not Silence.PROBE} == labels(r"watch -->\|\"(\w+)\"")


def test_every_step_names_functions_that_exist() -> None:
    """Each step of the picture has a row, and each row its functions and files."""
    rows = table("step")
    assert {name for name, _code in rows} == labels(r"(?:^|\s)(\w+)[\[{]\"") - ENDS
    for name, code in rows:
        assert re.search(r"`\w+` (?:and `\w+` )?of `", code), name
        for several, paths in re.findall(r"((?:`\w+`(?:, | and )?)+) of ((?:`[\w/]+\.py`(?:, | and )?)+)", code):
            for path in re.findall(r"`([^`]+)`", paths):
                assert set(re.findall(r"`(\w+)`", several)) <= functions(PACKAGE / path), path
        assert [] == [path for path in re.findall(r"`([\w/]+\.py)`", code) if not (PACKAGE / path).is_file()]


def outcomes(row: str) -> list[tuple[Command[Any], Outcome, Rules]]:
    """Return the attempts that a row of the table of verdicts is about."""
    usual, cluster = Rules(False, False), Rules(True, False)
    if codes := re.findall(r"`([A-Z]+)`", row):
        replies = [Answer(ErrorReply(f"{code} 1 h:2")) for code in codes]
        return [(SCRIPT if code == "NOSCRIPT" else READ, reply, cluster) for code, reply in zip(codes, replies, strict=True)]
    others: dict[str, list[tuple[Command[Any], Outcome, Rules]]] = {
        "a reply that is no error": [(READ, Answer(b"1"), usual)],
        "any other error": [(READ, Answer(ErrorReply("WRONGTYPE x")), usual), (READ, Answer(ErrorReply("MOVED 1 h:2")), usual)],
        "lost, and the command may run twice": [(READ, LOST, usual)],
        "lost, and the command must not run twice": [(COUNT, LOST, usual)],
        "not sent: no connection": [(READ, NO_CONNECTION, usual), (COUNT, NO_CONNECTION, usual)],
        'not sent: no connection, with `while_disconnected="fail"`': [(READ, NO_CONNECTION, Rules(False, True))],
        "not sent: refused credentials, an exhausted pool": [
            (READ, NotSent(CredentialsError("h:1", "refused")), usual),
            (READ, NotSent(PoolTimeoutError("h:1", "all are in use")), usual),
        ],
    }
    return others[row]


@pytest.mark.parametrize(("row", "expected", "then"), table("outcome"), ids=lambda cell: cell.replace("`", ""))
def test_the_table_of_verdicts_is_the_code(row: str, expected: str, then: str) -> None:
    """Each row's verdict, and how the text says that it is carried out."""
    for command, outcome, rules in outcomes(row):
        found = verdict(Sent(command, address="h:1", host="h"), outcome, rules)
        assert expected == type(found).__name__
        if isinstance(found, Retry):
            assert (found.now, found.rediscover) == ("without a wait" in then, "discovery" in then)
            assert found.drops_connections == ("connections are dropped" in then)
            assert (found.command is not command) == ("the text of the script" in then)
        elif isinstance(found, Redirect):
            assert found.asking == ("ASK" in str(outcome))
        else:
            assert isinstance(found, Settle)
            named = {"`OutcomeUnknown`": OutcomeUnknown, "`UnreachableError`": UnreachableError, "their error": KeyfleetError}
            kind = next((kind for name, kind in named.items() if then.startswith(name)), None)
            assert isinstance(found.result, kind or (bytes, ErrorReply))


def test_every_error_that_passes_has_a_row() -> None:
    """A code that a retry may get over is listed."""
    listed = {code for row in table("outcome") for code in re.findall(r"`([A-Z]+)`", row[0])}
    assert PASSING | {"MOVED", "ASK", "NOSCRIPT"} == listed
    assert (Repeat.READ, Repeat.NEVER) == (GET.repeat, INCR.repeat)
