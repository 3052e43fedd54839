# SPDX-License-Identifier: MIT
"""Users of a running server: read them, and change those that differ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..directives.values import HIDDEN
from ..errors import RefusedError
from .model import DEFAULT, User, users_in
from .plan import UserPlan

if TYPE_CHECKING:
    import redis

try:
    from redis.exceptions import ResponseError
except ImportError:  # connecting reports that redis-py is missing
    ResponseError = RefusedError  # type: ignore[assignment,misc]


def read_users(client: redis.Redis) -> dict[str, User]:
    """Return every user by name."""
    lines = client.acl_list()
    return users_in(line.decode("utf-8", "surrogateescape") if isinstance(line, bytes) else str(line) for line in lines)


def apply_users(client: redis.Redis, plan: UserPlan) -> Iterator[str]:
    """
    Carry out a plan, yielding the name of each step before it is taken; its result must be in the ACL file already.

    A user is set as a whole by one command, which the server carries out entirely or not at all, so that repeating it is harmless. Its
    connections stay; those of a removed user are closed. Neither ACL LOAD, which on Redis 7.0 closes the connections of every named user,
    nor ACL SAVE is used.

    Raises:
        RefusedError: if the server refuses a user, in its own words, without hashes.
    """
    for user in plan.changed:
        if user.name != DEFAULT:
            yield f"set_user_{user.name}"
            _set(client, user)
    for name in plan.removed:
        yield f"remove_user_{name}"
        client.execute_command("ACL DELUSER", name)  # type: ignore[no-untyped-call,unused-ignore]
    for user in plan.changed:  # after all others: the caller may be logged in as default, and lose its rights by this
        if user.name == DEFAULT:
            yield f"set_user_{user.name}"
            _set(client, user)


def _set(client: redis.Redis, user: User) -> None:
    try:
        client.execute_command("ACL SETUSER", user.name, "reset", *user.words())  # type: ignore[no-untyped-call,unused-ignore]
    except ResponseError as error:
        text = re.sub("#[0-9A-Za-z]+", HIDDEN, str(error))
        raise RefusedError(f"the server refused user {user.name!r}: {text}") from error
