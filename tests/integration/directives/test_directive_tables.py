# SPDX-License-Identifier: MIT
"""The committed tables of directives against the servers that this machine has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from keyfleet.core.directives.plan import canonical, check, table_for
from keyfleet.core.directives.trial import engine_version, judge
from keyfleet.core.directives.values import describe, refusal
from support.directives import BAD, ENGINES, GOOD, SAMPLES, binary, other_values

ROOT = Path(__file__).resolve().parents[3]
MACHINE_DEPENDENT = {"dir"}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_table_agrees_with_the_server(engine: str) -> None:
    """Every name, type, range, default, alias and way of change is what the installed server says."""
    command = [sys.executable, ROOT / "scripts/read_directives.py", "--check", binary(engine)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr), done.stdout


@pytest.mark.parametrize("engine", ENGINES)
def test_defaults_of_the_judge_are_those_of_the_table(engine: str) -> None:
    """Without directives the throw-away server reports the defaults, also of directives that it cannot set."""
    values = judge(binary(engine), {}).values
    table = table_for(*engine_version(binary(engine)))
    assert {name: directive.default for name, directive in table.directives.items() if name in values} == dict(values)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["save", "client-output-buffer-limit", "oom-score-adj-values", "latency-tracking-info-percentiles"])
def test_special_forms_are_those_of_the_server(engine: str, name: str) -> None:
    """What the pure check accepts or refuses, the server accepts or refuses: the forms that no error text describes."""
    directive = table_for(*engine_version(binary(engine))).directives[name]
    for value in GOOD[name]:
        assert () == judge(binary(engine), {name: value}).problems
    for value in BAD[name]:
        if refusal(directive, value) == "wrong value" and value not in ([], ""):
            assert [name] == [problem.directive for problem in judge(binary(engine), {name: value}).problems], value


@pytest.mark.parametrize("engine", ENGINES)
def test_canonical_values_are_those_of_the_server(engine: str) -> None:
    """The form that is computed without a server is the one that CONFIG GET returns, for every directive that can be compared."""
    table = table_for(*engine_version(binary(engine)))
    values = {**other_values(table, "live"), **other_values(table, "start"), "notify-keyspace-events": "xlEm$"}
    assert [] == check(values, *engine_version(binary(engine)))
    verdict = judge(binary(engine), values)
    assert () == verdict.problems
    assert {name: verdict.values[name] for name in values} == {name: canonical(name, value, table) for name, value in values.items()}
    assert len(values) > 130
    assert SAMPLES["save"] == values["save"]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_directive_says_what_it_takes(engine: str) -> None:
    """No refusal ends without the values allowed."""
    assert all(describe(directive) for directive in table_for(engine, None).directives.values())
