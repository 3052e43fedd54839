# SPDX-License-Identifier: MIT
"""What rules mean on a server: which commands they allow, whatever their text; pure."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .model import Permissions, User


@dataclass(frozen=True)
class Commands:
    """
    The commands of one server.

    Attributes:
        names: Every command in lower case; a subcommand as ``config|get``.
        categories: By name, the commands of each.
    """

    names: frozenset[str] = field(repr=False)
    categories: Mapping[str, frozenset[str]] = field(repr=False)

    @functools.cached_property
    def families(self) -> Mapping[str, frozenset[str]]:
        """Each command with its subcommands."""
        found: dict[str, set[str]] = {name: {name} for name in self.names}
        for name in self.names:
            found.setdefault(name.partition("|")[0], set()).add(name)
        return {name: frozenset(family) for name, family in found.items()}


@dataclass(frozen=True)
class Allowed:
    """
    What the rules for commands allow.

    Attributes:
        later: Whether commands that a module brings later are allowed.
        names: Commands of this server.
        first_arguments: Commands that are allowed with one first argument, as ``select|0``.
        unknown: Rules for what this server does not have.
    """

    later: bool
    names: frozenset[str]
    first_arguments: frozenset[str]
    unknown: tuple[str, ...]


def allowed(rules: Iterable[str], commands: Commands) -> Allowed:
    """
    Return what rules allow that the server applies in turn, starting from nothing.

    Source:
        ``ACLSetSelector`` and ``ACLChangeSelectorPerm`` in acl.c of Redis 7.0: a rule for a command holds for its subcommands and takes its
        first arguments back, and one for a category is one for each of its commands.
    """
    later, names, first, unknown = False, set[str](), set[str](), list[str]()
    for rule in rules:
        adds, name = rule[0] == "+", rule[1:].lower()
        command = name.partition("|")[0]
        if name == "@all":
            later, names, first = adds, set(commands.names) if adds else set(), set()
            continue
        if name not in commands.names and command in commands.names:
            first.add(command + rule[1 + len(command) :])
            continue
        named = commands.categories.get(name[1:]) if name.startswith("@") else {name} & commands.names
        if not named:
            unknown.append(rule)
        touched = {member for each in named or () for member in commands.families[each]}
        names = names | touched if adds else names - touched
        first = {pair for pair in first if pair.partition("|")[0] not in touched}
    return Allowed(later, frozenset(names), frozenset(pair for pair in first if pair.partition("|")[0] not in names), tuple(unknown))


def same_user(one: User, other: User, commands: Commands) -> bool:
    """Return whether two users may enter and do the same; their names are not compared."""
    return _meaning(one, commands) == _meaning(other, commands)


def _meaning(user: User, commands: Commands) -> tuple[Any, ...]:
    selectors = frozenset(_of_permissions(selector, commands) for selector in user.selectors)
    access = (user.enabled, user.nopass, user.hashes, user.skips_sanitizing)
    return (*access, _of_permissions(user.own, commands), selectors)


def _of_permissions(permissions: Permissions, commands: Commands) -> tuple[Any, ...]:
    keys = frozenset(permissions.keys.items())
    return (allowed(permissions.commands, commands), keys, permissions.channels, frozenset(permissions.others))
