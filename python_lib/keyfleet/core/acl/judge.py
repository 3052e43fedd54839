# SPDX-License-Identifier: MIT
"""What the real binary thinks of users: a throw-away server is given them, and asked how it writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..directives.throwaway import AS_THIS_PROCESS, AnswerError, Ask, Conditions, throwaway
from ..directives.values import HIDDEN
from .meaning import Commands
from .model import User, users_in

_DIRECTIVES = ("acl-pubsub-default", "loadmodule")  # those that decide what a user may do, and which commands there are


@dataclass(frozen=True)
class JudgedUsers:
    """
    The answer of the throw-away server.

    Attributes:
        users: By name, as the server writes them; those that it refused are missing.
        problems: By name, the server's words about what it refused, without hashes.
        commands: Its commands and categories.
    """

    users: Mapping[str, User]
    problems: Mapping[str, str]
    commands: Commands = field(repr=False)


def judge_users(
    binary: str, rules: Mapping[str, Sequence[str]], lines: Sequence[str] = (), conditions: Conditions = AS_THIS_PROCESS
) -> JudgedUsers:
    """
    Give users to a throw-away server and return them as it writes them.

    Args:
        binary: Path of the server.
        rules: By name of the user, words of the ACL language that make a new user this one.
        lines: Configuration of the server; of these directives, those count that say what users are.
        conditions: State of the process that is asked.
    Raises:
        RefusedError: if the binary cannot be run.
        StartFailedError: if it does not start with its modules.
    """
    with throwaway(binary, [line for line in lines if line.startswith(_DIRECTIVES)], conditions=conditions) as ask:
        return ask_for_users(ask, rules)


def ask_for_users(ask: Ask, rules: Mapping[str, Sequence[str]]) -> JudgedUsers:
    """Return the same of a server that runs for this only; the users go by other names there, ``default`` stays as it is."""
    problems, names = {}, {}
    for number, (name, words) in enumerate(rules.items()):
        judged = f"judged-{number}"
        names[judged] = name
        try:
            ask("ACL", "SETUSER", judged, "reset", *words)
        except AnswerError as error:
            problems[name] = re.sub("#[0-9A-Za-z]+", HIDDEN, str(error)).removeprefix("ERR ")
    listed = users_in(str(line) for line in ask("ACL", "LIST"))
    users = {name: User(**{**vars(listed[judged]), "name": name}) for judged, name in names.items() if name not in problems}
    return JudgedUsers(users, problems, read_commands(ask))


def read_commands(ask: Ask) -> Commands:
    """Return the commands and categories of a server."""
    categories = {str(name): frozenset(str(each).lower() for each in ask("ACL", "CAT", name)) for name in ask("ACL", "CAT")}
    listed = frozenset(str(name).lower() for name in ask("COMMAND", "LIST"))
    return Commands(listed.union(*categories.values()), categories)
