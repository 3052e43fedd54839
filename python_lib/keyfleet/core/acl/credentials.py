# SPDX-License-Identifier: MIT
"""What a managed service demands of users and passwords, beyond what the server itself does; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .model import DEFAULT

RULES = ("server", "elasticache")
SHORTEST, LONGEST = 16, 128
MOST_PASSWORDS, MOST_USERS = 2, 100  # of one user, and of a group
# Of the user default it is the AUTH token, whose signs are fewer.
_TOKEN = re.compile("[A-Za-z0-9!&#$^<>-]+")
_PASSWORD = re.compile("[!-~]+")
_NOT_IN_PASSWORD = re.compile('[,"/@]')


def password_problem(password: str, rules: str, *, of_default: bool = False) -> str:
    """
    Return why a password breaks the rules, without the password; empty if it does not.

    Source:
        Amazon ElastiCache: AUTH (16 to 128 printable characters, of the signs only ``! & # $ ^ < > -``) and role-based access control
        (16 to 128 printable characters without comma, quote, slash and at sign).
    """
    if rules == "server":
        return ""
    if not SHORTEST <= len(password) <= LONGEST:
        return f"has {len(password)} characters: {rules} takes {SHORTEST} to {LONGEST}"
    if of_default and not _TOKEN.fullmatch(password):
        return f"has a character that {rules} takes in no AUTH token: use letters, digits and ! & # $ ^ < > -"
    if not _PASSWORD.fullmatch(password) or _NOT_IN_PASSWORD.search(password):
        return f'has a character that {rules} takes in no password: use printable ASCII without spaces and without , " / @'
    return ""


def credential_problems(listed: Sequence[Mapping[str, Any]], rules: str) -> Iterator[str]:
    """Yield how declared users, for which ``user_problems`` found nothing, break the rules; each begins with ``[NAME]``."""
    if rules == "server":
        return
    if len(listed) > MOST_USERS:
        yield f" has {len(listed)} users: {rules} takes {MOST_USERS} in a group"
    for options in listed:
        where = f"[{options['name']}]"
        passwords = options.get("passwords") or []
        problems = (password_problem(password, rules, of_default=options["name"] == DEFAULT) for password in passwords)
        yield from (f"{where}.passwords has one that {problem}" for problem in problems if problem)
        if len(passwords) > MOST_PASSWORDS:
            yield f"{where}.passwords has {len(passwords)}: {rules} takes {MOST_PASSWORDS}"
        if options.get("password_hashes"):
            yield f"{where}.password_hashes cannot be held against the rules of {rules}: give passwords"
