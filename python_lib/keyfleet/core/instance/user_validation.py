# SPDX-License-Identifier: MIT
"""What is wrong with the users of the inventory, and with passwords; found from the inventory alone, pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..acl.credentials import RULES, credential_problems, password_problem
from ..acl.declared import user_problems
from ..acl.denied import RULES as COMMAND_RULES
from ..acl.denied import contradictions
from .model import Instance, rules_of

# Ansible masks passwords wherever they occur in a result, also inside of other words.
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD_BYTES = 16_384  # the server takes no longer argument from a connection that has not authenticated


def declared_problems(variables: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the lists of users, the common one and those of instances, each taken alone."""
    lists = {"redis_server_users": variables.get("users")}
    lists.update((f"redis_server_instances[{options['name']}].users", options.get("users")) for options in variables["instances"])
    rules = str(variables.get("credential_rules") or RULES[0])
    if rules not in RULES:
        return [f"redis_server_credential_rules is {rules!r}: use {' or '.join(RULES)}"]
    denies = str(variables.get("command_rules") or COMMAND_RULES[0])
    if denies not in COMMAND_RULES:
        return [f"redis_server_command_rules is {denies!r}: use {' or '.join(COMMAND_RULES)}"]
    found = []
    for where, listed in lists.items():
        if listed is not None:
            problems = user_problems(listed)
            problems = problems or [*credential_problems(listed, rules), *contradictions(listed, denies, str(variables.get("engine")))]
            found += [f"{where}{problem}" for problem in problems]
    return found


def clashes(instance: Instance) -> Iterator[str]:
    """Return what is wrong with the users of an instance together, beginning with the option."""
    declared = {options["name"] for options in instance.users}
    for name in [line.partition(" ")[0] for line in rules_of(instance)[: -len(instance.users) or None]]:
        if name in declared:
            yield f"directives.user and users both have the user {name!r}: take it out of directives.user"
    if not instance.is_public:
        return
    for line in rules_of(instance):
        name, *rules = line.split()
        if _enters_without_password(rules):
            yield (
                f"bind is {' '.join(instance.bind)!r} and the user {name!r} needs no password (nopass): anyone who reaches the port owns "
                "the data that its rules give away; give it a password, or bind to loopback"
            )


def _enters_without_password(rules: Iterable[str]) -> bool:
    """Return whether a user needs no password after all of its rules, which the server applies in turn."""
    enabled = open_to_all = False
    for rule in rules:
        word = rule.lower()
        if word in ("on", "off"):
            enabled = word == "on"
        elif word == "nopass":
            open_to_all = True
        elif word in ("reset", "resetpass") or word.startswith("#"):
            enabled, open_to_all = enabled and word != "reset", False
    return enabled and open_to_all


def password_problems(variables: Mapping[str, Any], instances: Iterable[Instance]) -> Iterator[str]:
    """Return which passwords no client could give, or would be found inside of other words of a result, where Ansible masks them."""
    rules = str(variables.get("credential_rules") or RULES[0])
    given = {f"redis_server_{name}": variables.get(name) for name in ("password", "previous_password")}
    given.update((f"redis_server_instances[{options['name']}].password", options.get("password")) for options in variables["instances"])
    broken = {where: password_problem(password, rules, of_default=True) for where, password in given.items() if password}
    yield from (f"{where} {problem}" for where, problem in broken.items() if problem and not where.endswith("_previous_password"))
    for instance in instances:
        for options in instance.users:
            secrets = enumerate(options.get("passwords") or [])
            given.update({f"redis_server_users[{options['name']}].passwords[{index}]": password for index, password in secrets})
    for where, password in given.items():
        if password:
            yield from (f"{where} {problem}" for problem in _shape(password))
            yield from (
                f"{where} is a part of the instance name {instance.name!r}: use another one; Ansible hides a password wherever it occurs "
                "in a result, so the name would be hidden too"
                for instance in instances
                if password in instance.name
            )


def _shape(password: str) -> Iterator[str]:
    if re.search(r"[\r\n\0]", password):
        yield "has a line end or a zero byte, which no profile can hold: remove it (a file often ends with one)"
    if len(password.encode()) > LONGEST_PASSWORD_BYTES:
        yield f"has {len(password.encode())} bytes: use at most {LONGEST_PASSWORD_BYTES}; the server refuses a longer AUTH"
    if len(password) < SHORTEST_PASSWORD:
        yield (
            f"has {len(password)} characters: use at least {SHORTEST_PASSWORD}; Ansible hides a password wherever it occurs in a result, "
            "and a short one is soon guessed"
        )
