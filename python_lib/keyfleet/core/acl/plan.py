# SPDX-License-Identifier: MIT
"""
What to do so that a server has exactly the declared users; pure.

The ACL file is written first and the server is changed after it, so that a crash in between comes back with users that were declared
before, or are now. The administrative user comes first in both, and ``default`` last: it may be the one that is switched off.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Optional

from ..directives.values import HIDDEN
from .meaning import Commands, same_user
from .model import ADMIN, DEFAULT, User


@dataclass(frozen=True)
class UserPlan:
    """
    What to do for the users of one server.

    Attributes:
        result: Every user afterwards, in the order of the ACL file.
        changed: Those to be set, in this order.
        removed: Names of those to be removed afterwards.
        undeclared: Names of users that keyfleet did not make and the inventory does not list.
        old_passwords: Names of users that still have passwords which are not declared.
        before: Users that change or go, as they are now.
        file_differs: Whether the ACL file says something else than *result*. Texts are no sign of that: Redis 7.0 writes the same rules in
            another order in each process.
    """

    result: tuple[User, ...]
    changed: tuple[User, ...] = ()
    removed: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()
    old_passwords: tuple[str, ...] = ()
    before: tuple[User, ...] = ()
    file_differs: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether the server has the desired users."""
        return not (self.changed or self.removed)

    @property
    def file_text(self) -> str:
        """The ACL file, without plain text of any password."""
        return "".join(f"{user.line()}\n" for user in self.result)

    def differences(self) -> dict[str, tuple[Optional[str], Optional[str]]]:
        """Return ``{name: (now, then)}`` without hashes; None for a user that is not there."""
        before = {user.name: user for user in self.before}
        found: dict[str, tuple[Optional[str], Optional[str]]] = {}
        for user in self.changed:
            found[user.name] = _described(before.get(user.name), user)
        for name in self.removed:
            found[name] = (before[name].describe(), None)
        return found

    def phrases(self) -> list[str]:
        """Return what is done, for people."""
        known = {user.name for user in self.before}
        words = {
            "make": [user.name for user in self.changed if user.name not in known],
            "change": [user.name for user in self.changed if user.name in known],
            "remove": list(self.removed),
        }
        return [f"{verb} the user{'' if len(names) == 1 else 's'} {', '.join(names)}" for verb, names in words.items() if names]


def plan_users(
    declared: Iterable[User],
    active: Mapping[str, User],
    commands: Commands,
    *,
    in_file: Optional[Mapping[str, User]] = None,
    made: Collection[str] = (),
    removes_undeclared: bool = False,
    keeps_passwords: bool = False,
) -> UserPlan:
    """
    Compare the users of a server with the declared ones.

    Args:
        declared: Every user that shall be, the administrative one and ``default`` among them, as the server writes them.
        active: Users of the running server, or of its ACL file while it is stopped.
        commands: Of the server.
        in_file: Users in the ACL file; None if there is none.
        made: Names of users that keyfleet made; those that are not declared any more are removed.
        removes_undeclared: Remove users that were made by hand, too.
        keeps_passwords: Leave the passwords of before valid beside the declared ones, for clients that have not moved yet.
    """
    listed = tuple(declared)
    desired = {user.name: _keeping(user, active.get(user.name)) if keeps_passwords else user for user in listed}
    undeclared = [name for name in active if name not in desired and name not in made]
    removed = [name for name in active if name not in desired and (name in made or removes_undeclared)]
    kept = [active[name] for name in undeclared if name not in removed]
    changed = [user for name, user in desired.items() if name not in active or not same_user(user, active[name], commands)]
    names = {user.name for user in changed}.union(removed)
    result = tuple(_ordered([*desired.values(), *kept]))
    return UserPlan(
        result=result,
        changed=tuple(_ordered(changed)),
        removed=tuple(removed),
        undeclared=tuple(undeclared),
        old_passwords=tuple(user.name for user in listed if desired[user.name].hashes - user.hashes),
        before=tuple(user for user in active.values() if user.name in names),
        file_differs=in_file is None or not _same_users(result, in_file, commands),
    )


def _same_users(users: Iterable[User], others: Mapping[str, User], commands: Commands) -> bool:
    listed = {user.name: user for user in users}
    return listed.keys() == others.keys() and all(same_user(user, others[name], commands) for name, user in listed.items())


def _keeping(user: User, active: Optional[User]) -> User:
    """Return the user with its passwords of before; if it could not log in with one, or shall not, there is none to keep."""
    if active is None or user.nopass or not (user.enabled and active.enabled):
        return user
    return replace(user, hashes=user.hashes | active.hashes)


def _ordered(users: Iterable[User]) -> list[User]:
    return sorted(users, key=lambda user: (user.name != ADMIN, user.name == DEFAULT))


def _described(before: Optional[User], after: User) -> tuple[Optional[str], str]:
    """Return a user without hashes now and then, saying where only passwords differ, which the hashes alone would show."""
    if before is None:
        return None, after.describe()
    texts = before.describe(), after.describe()
    new, dropped = len(after.hashes - before.hashes), len(before.hashes - after.hashes)
    if not (new or dropped):
        return texts
    return texts[0], f"{texts[1]} {HIDDEN}: {new} new, {dropped} dropped"
