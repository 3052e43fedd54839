# SPDX-License-Identifier: MIT
"""The users of an instance: those declared, the administrative one and ``default``; judged by its binary, compared with what it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Optional

from ..acl.judge import JudgedUsers, judge_users
from ..acl.model import DEFAULT, User, administrator, default_user, digest, replicator, watcher
from ..acl.plan import UserPlan, plan_users
from ..directives.plan import render
from ..errors import RefusedError
from ..topology.validation import REPLICATION, SINGLE
from .model import Host, Instance, rules_of
from .starting import conditions, server_account


def rules_by_name(instance: Instance, admin_passwords: Iterable[str]) -> dict[str, list[str]]:
    """Return the rules of every user that the instance shall have; its password must be known."""
    if instance.password is None:
        raise ValueError(f"the password of instance {instance.name!r} is not known yet")
    rules = {name: words for name, *words in (line.split(" ") for line in rules_of(instance))}
    default = rules.get(DEFAULT) or default_user(instance.password).words()
    if DEFAULT in rules:
        default = [*default, f"#{digest(instance.password)}" if instance.password else "nopass"]
    passwords = tuple(admin_passwords)
    first = [administrator(passwords)] if passwords else []
    first += [replicator(passwords)] if passwords and instance.topology != SINGLE else []
    first += [watcher(passwords)] if passwords and instance.topology == REPLICATION else []
    return {**{user.name: user.words() for user in first}, **rules, DEFAULT: default}


def judge(host: Host, instance: Instance) -> JudgedUsers:
    """Return what the instance's binary says of its users."""
    lines = render(instance.directives)
    return judge_users(host.binary, rules_by_name(instance, host.admin_passwords), lines, conditions(host, server_account(host)))


def user_problems(host: Host, instance: Instance) -> list[str]:
    """Return which users the server refuses, in its words; the password need not be known."""
    known = instance if instance.password is not None else replace(instance, password="")
    return [f"user {name!r}: the server refused it: {problem}" for name, problem in judge(host, known).problems.items()]


def users_to_do(
    host: Host, instance: Instance, active: Mapping[str, User], in_file: Optional[Mapping[str, User]], made: Iterable[str]
) -> Optional[UserPlan]:
    """
    Return what to do so that the instance has its users; None while its password is not known.

    Args:
        active: Its users now.
        in_file: Users in its ACL file, where a start finds them; None if no server can read it.
        made: Names of those that keyfleet made.
    Raises:
        RefusedError: if the server refuses one.
    """
    if instance.password is None:
        return None
    judged = judge(host, instance)
    for name, problem in judged.problems.items():
        raise RefusedError(f"the server refused user {name!r}: {problem}")
    return plan_users(
        judged.users.values(),
        active,
        judged.commands,
        in_file=in_file,
        made=tuple(made),
        removes_undeclared=host.removes_undeclared_users,
        keeps_passwords=host.keeps_passwords,
    )
