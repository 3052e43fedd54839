# SPDX-License-Identifier: MIT
"""What a run says about memory and logs, and when it says nothing."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.instance.advice import advice
from keyfleet.core.instance.model import ROLE_OPTIONS, Instance

GIB = 1 << 30
POLICIES = ("noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-ttl", "volatile-random")
FITS = {"cache": "allkeys-", "store": "noeviction", "mixed": "volatile-"}


def given(instance: Instance, maxmemory: int = GIB, policy: str = "noeviction", **given: Any) -> list[str]:
    """Return the advice for one instance on a host of 16 GB under systemd."""
    desired = {"total_bytes": 16 * GIB, "manager": "systemd", "root": "/", "keep_days": 14, **given}
    return advice([instance], {instance.name: {"maxmemory_bytes": maxmemory, "policy": policy}}, desired.pop("total_bytes"), **desired)


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    """A limit that the host bears, no stated use, logs that are rotated."""
    assert [] == given(Instance("a"))
    assert [] == given(Instance("a", log="manager"), manager="process")
    assert [] == given(Instance("a"), manager="process", keep_days=0)
    assert [] == advice([Instance("a")], {}, GIB, manager="systemd", root="/", keep_days=14)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("use", ROLE_OPTIONS["use"].choices)
def test_policy_is_compared_with_the_stated_use(use: str, policy: str) -> None:
    """One line that names instance, use, policy and what to set; none where it fits."""
    lines = given(Instance("a", use=use), policy=policy)
    assert policy.startswith(FITS[use]) == (lines == [])
    for line in lines:
        assert f"instance a is used as {use} and its maxmemory-policy is {policy}: " in line
        assert f"set {FITS[use]}" in line


def test_server_without_a_limit_is_named() -> None:
    """With what it can take at most, if that is known."""
    (line,) = given(Instance("a"), maxmemory=0)
    assert "instance a has no maxmemory: it grows until the host's 16 GB are used up" in line
    (line,) = given(Instance("a"), maxmemory=0, total_bytes=0)
    assert "the host's memory is used up" in line


def test_limits_of_all_instances_are_added_up() -> None:
    """More than the host bears while it saves."""
    found = {name: {"maxmemory_bytes": 7 * GIB, "policy": "noeviction"} for name in "ab"}
    desired: dict[str, Any] = {"manager": "systemd", "root": "/", "keep_days": 14}
    (line,) = advice([Instance("a"), Instance("b")], found, 16 * GIB, **desired)
    assert "maxmemory of all instances is 14 GB of the host's 16 GB, more than 75 %" in line
    assert [] == advice([Instance("a"), Instance("b")], found, 20 * GIB, **desired)
    assert [] == advice([Instance("a"), Instance("b")], found, 0, **desired)


def test_logs_without_rotation_are_named() -> None:
    """With the file for logrotate, and the other way."""
    (line,) = given(Instance("a"), manager="process", root="/srv/x")
    assert "/srv/x/etc/logrotate.d/keyfleet-a, or set redis_server_log: manager" in line


def test_every_file_for_logrotate_is_named() -> None:
    """As words of a shell, so that the line can be copied."""
    found = {name: {"maxmemory_bytes": GIB, "policy": "noeviction"} for name in "ab"}
    (line,) = advice([Instance("a"), Instance("b")], found, 16 * GIB, manager="process", root="/srv/x y", keep_days=7)
    assert "'/srv/x y/etc/logrotate.d/keyfleet-a' '/srv/x y/etc/logrotate.d/keyfleet-b', or set" in line


def test_maxclients_that_the_server_lowered_is_named() -> None:
    """Unless the inventory names one, or it is the default."""
    found = {"maxmemory_bytes": GIB, "policy": "noeviction"}
    host: dict[str, Any] = {"total_bytes": 16 * GIB, "manager": "systemd", "root": "/", "keep_days": 14}
    (line,) = advice([Instance("a")], {"a": {**found, "maxclients": 4064}}, **host)
    assert "instance a has maxclients 4064 in place of the server's default 10000" in line
    assert "ulimit -n" in line
    assert [] == advice([Instance("a")], {"a": {**found, "maxclients": 10000}}, **host)
    assert [] == advice([Instance("a", directives={"maxclients": 4064})], {"a": {**found, "maxclients": 4064}}, **host)


def test_the_old_form_of_users_names_the_new_one() -> None:
    """Who is in the directive, and where it is written now."""
    (line,) = given(Instance("a", directives={"user": ["app on nopass", "ops on nopass"]}))
    assert line.startswith("Users: instance a has app, ops from directives.user")
    assert "redis_server_users" in line


def test_users_as_a_directive_are_named_with_their_new_form() -> None:
    """The directive works for one version more; a run names its users and the variable that replaces it."""
    (line,) = given(Instance("a", directives={"user": ["app on nopass ~* +@read", "ops on nopass ~* +@all"]}))
    assert "app, ops from directives.user" in line
    assert "as redis_server_users" in line
