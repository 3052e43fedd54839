# SPDX-License-Identifier: MIT
"""The user for health checks on docs/operations/users.md: it makes every check, and may do nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from keyfleet import Client
from keyfleet.core.acl.declared import declared_user, user_problems
from keyfleet.testing.servers import start_cluster, start_server
from support.modules import ROOT, run_module
from support.rights import read_page, statuses

pytestmark = pytest.mark.client
ON_EVERY_SERVER = True
PASSWORD = "battery-of-health"


def health_user(*more: str) -> dict[str, Any]:
    """Return the user that the page gives, with *more* commands."""
    page = (ROOT / "docs/operations/users.md").read_text(encoding="utf-8")
    block = re.search(r"## A user for health checks.*?```yaml\n(.*?)```", page, re.DOTALL)
    assert block is not None
    (user,) = yaml.safe_load(block[1])["redis_server_users"]
    return {**user, "passwords": [PASSWORD], "commands": [*user["commands"], *more]}


def test_the_page_gives_the_smallest_rights() -> None:
    """Those that a server was found to ask for."""
    user = health_user()
    assert ([], sorted(user["commands"])) == (user_problems([user]), read_page()["redis_health: write_probe"])


def test_health_is_asked_for_and_nothing_else(tmp_path: Path, redis_engine: str) -> None:
    """Every check comes out as it does for a user with every right; keys, configuration and users are out of reach."""
    user = declared_user(health_user())
    with start_server(tmp_path, engine=redis_engine) as server, server.client() as admin:
        admin.execute_command("ACL", "SETUSER", user.name, *user.words())
        admin.set("of-an-application", "1")
        login = {"login_host": server.host, "login_port": server.port, "write_probe": True}
        found = run_module("redis_health", {**login, "login_user": user.name, "login_password": PASSWORD})
        everything = run_module("redis_health", login)
        checks = [[(one["name"], one["status"], one["reason"]) for one in result["checks"]] for result in (found, everything)]
        assert ("ok", checks[1]) == (found["verdict"], checks[0])
        with Client.from_settings(server.settings(username=user.name, password=PASSWORD)) as client, server.client() as other:
            with Client.from_settings(server.settings()) as free:
                assert statuses(free.health(write_probe=True)) == statuses(client.health(write_probe=True))
            assert 1 == other.dbsize()
        with server.client(username=user.name, password=PASSWORD) as tried:
            for words in (["GET", "of-an-application"], ["SET", "x", "1"], ["CONFIG", "GET", "*"], ["ACL", "LIST"], ["KEYS", "*"]):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    tried.execute_command(*words)


def test_on_cluster_three_commands_more(tmp_path: Path) -> None:
    """As the page says: every primary is asked, its members are compared."""
    user = declared_user(health_user("cluster|info", "cluster|nodes", "cluster|slots"))
    with start_cluster(tmp_path, directives={"user": [user.line().partition(" ")[2]]}) as cluster:
        found = []
        for login in ({"username": user.name, "password": PASSWORD}, {}):
            with Client.from_settings(cluster.settings(**login)) as client:
                found.append(client.health(write_probe=True))
    assert ("ok", statuses(found[1])) == (found[0].verdict, statuses(found[0]))
    assert {"ok"} == {status for name, status, _reason in statuses(found[0]) if name in ("cluster", "members", "round_trip")}
