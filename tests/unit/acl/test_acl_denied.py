# SPDX-License-Identifier: MIT
"""Users without the commands that ElastiCache denies."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.acl.declared import declared_user, user_problems
from keyfleet.core.acl.denied import contradictions, denied_commands, restricted
from keyfleet.core.acl.meaning import Commands, allowed
from keyfleet.core.instance.model import from_variables, rules_of
from keyfleet.core.instance.validation import problems
from support.managed import DENIED_ON_NODES, DENIED_ON_SERVERLESS

COMMANDS = Commands(frozenset(["get", "set", "config", "config|get", "keys", "cluster", "cluster|meet", "cluster|slots"]), {})
APP = {"name": "app", "passwords": ["correct-horse-16"], "categories": ["all"], "keys": ["*"]}
SELECTING = {**APP, "categories": [], "selectors": [{"categories": ["all"], "keys": ["x:*"]}]}


def allows(options: Any, place: int = -1) -> frozenset[str]:
    """Return the commands that a user may run, by its own permissions or by those of a selector."""
    user = declared_user(options)
    return allowed((user.own if place < 0 else user.selectors[place]).commands, COMMANDS).names


def test_what_the_documentation_denies_is_denied() -> None:
    """The lists of the tests are read from the documentation apart from those of the code."""
    assert set(DENIED_ON_NODES) <= set(denied_commands("elasticache", "redis"))
    assert {*DENIED_ON_NODES, *DENIED_ON_SERVERLESS} <= set(denied_commands("serverless", "redis"))
    assert {"commandlog"} == {*denied_commands("serverless", "valkey")} - {*denied_commands("serverless", "redis")}
    assert () == denied_commands("server", "valkey")


def test_users_and_selectors_lose_what_is_denied() -> None:
    """Whatever their categories give, a command with all its subcommands; other rights stay, and nothing is given."""
    denied = denied_commands("elasticache", "redis")
    default, app, selecting, few = restricted([APP, {**SELECTING, "name": "sel"}, {**APP, "name": "few", "categories": []}], denied)
    expected = {"get", "set", "keys", "cluster", "cluster|slots"}
    assert [expected, expected, expected] == [allows(default), allows(app), allows(selecting, 0)]
    assert [set(), set()] == [allows(selecting), allows(few)]
    assert "keys" not in allows(restricted([APP], denied_commands("serverless", "redis"))[1])


def test_default_is_restricted_where_it_is_not_listed() -> None:
    """It has every other right then. One that is listed stays what it is, and without rules nothing changes."""
    denied = denied_commands("elasticache", "redis")
    assert ["default", "app"] == [options["name"] for options in restricted([APP], denied)]
    assert [False] == [declared_user(options).enabled for options in restricted([{"name": "default", "enabled": False}], denied)]
    assert [APP] == restricted([APP], ())


def test_instances_have_the_restricted_users() -> None:
    """Those of the role and those of an instance; what a module gets is still what the server can be given."""
    own = {"name": "b", "users": [{**APP, "name": "ops"}]}
    variables = {"instances": [{"name": "a"}, own], "users": [APP], "command_rules": "elasticache", "engine": "redis"}
    names = [[line.partition(" ")[0] for line in rules_of(instance)] for instance in from_variables(variables)]
    assert [["default", "app"], ["default", "ops"]] == names
    assert all("-config" in line for instance in from_variables(variables) for line in rules_of(instance))
    assert [] == user_problems(list(from_variables(variables)[1].users)[1:])


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"commands": ["config|get"]}, "[app].commands has 'config|get'"),
        ({"commands": ["+CONFIG"]}, "[app].commands has '+CONFIG'"),
        ({"selectors": [{"commands": ["cluster|meet"]}]}, "[app].selectors[0].commands has 'cluster|meet'"),
    ],
)
def test_a_user_that_shall_run_what_is_denied_is_refused(given: dict[str, Any], place: str) -> None:
    """As ElastiCache refuses such an access string; a whole container, of which a part is denied, is none."""
    (problem,) = contradictions([{**APP, **given}], "elasticache", "redis")
    assert problem.startswith(f"{place}, which elasticache denies")
    assert [] == list(contradictions([{**APP, "commands": ["cluster", "-config", "get"]}], "elasticache", "redis"))
    assert [] == list(contradictions([{**APP, **given}], "server", "redis"))


def test_wrong_rules_and_users_that_they_do_not_reach_are_refused() -> None:
    """Users of the directive ``user`` are given to the server as they are."""
    role: dict[str, Any] = {"engine": "redis", "service_manager": "process", "root": "/srv/x"}
    found = problems({**role, "instances": [{"name": "a"}], "command_rules": "aws"})
    assert ["redis_server_command_rules is 'aws': use server or elasticache or serverless"] == found
    listed = [{"name": "a", "directives": {"user": ["app on #" + "0" * 64 + " ~* +@all"]}}]
    (problem,) = problems({**role, "instances": listed, "command_rules": "elasticache"})
    assert "directives.user is given, and redis_server_command_rules is 'elasticache'" in problem
    assert [] == problems({**role, "instances": listed, "command_rules": "server"})
