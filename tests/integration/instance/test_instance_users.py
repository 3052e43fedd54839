# SPDX-License-Identifier: MIT
"""The users of an instance: taken over, changed while it runs, with passwords of before, and a run that dies between any two steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from keyfleet.core.acl.model import ADMIN
from keyfleet.core.errors import CredentialsError, RefusedError
from keyfleet.core.instance.converge import Converged
from redis.exceptions import AuthenticationError
from support.instances import LiveInstance

ON_EVERY_SERVER = True
ADMIN_PASSWORD, NEXT_PASSWORD = "of-the-administrator", "of-the-next-one"
APP = {"name": "app", "passwords": ["battery-of-app"], "commands": ["get", "set", "ping"], "keys": ["app:*"]}
OPS = {"name": "ops", "passwords": ["battery-of-ops"], "categories": ["all"], "keys": ["*"]}
OFF = {"name": "default", "enabled": False}
STEPS = ["write_record", "write_files", "set_users", "set_user_keyfleet", "set_user_ops", "set_user_default", "remove_user_app", "end"]


def administered(live: LiveInstance, *passwords: str, **options: Any) -> None:
    """Give the instance an administrative user from now on."""
    live.host = replace(live.host, admin_passwords=passwords or (ADMIN_PASSWORD,), **options)


def settle(live: LiveInstance, *users: dict[str, Any]) -> Converged:
    """Do what a run does, with these users."""
    live.options["users"] = list(users)
    return live.settle()


def enters(live: LiveInstance, username: str | None, password: str) -> bool:
    """Return whether a client can log in."""
    with live.client(username=username, password=password) as client:
        try:
            client.execute_command("ACL", "WHOAMI")
        except AuthenticationError:
            return False
        except Exception as error:  # noqa: BLE001 - a user who may not ask is one who entered
            return "permissions" in str(error)
        return True


def names(live: LiveInstance) -> list[str]:
    """Return the users that the server has."""
    with live.client(username=ADMIN, password=ADMIN_PASSWORD) as client:
        return sorted(client.acl_users())


def test_an_instance_of_before_is_taken_over(live: LiveInstance) -> None:
    """The administrative user is made with the password of ``default``, which may then be any other, and nothing needs it any more."""
    live.settle(user=["app on nopass ~x +get"])
    administered(live)
    found = live.settle()
    assert (["user keyfleet"], []) == (list(found.live), found.undeclared_users)
    live.options["password"] = "another-one"
    assert ["user default"] == list(live.settle().live)
    assert (True, False) == (enters(live, None, "another-one"), enters(live, None, "battery-staple"))
    assert "unchanged" == live.settle().action
    assert ["user app"] == list(live.settle(user=None).live)  # it was made by keyfleet, which the file of before says
    assert ["default", ADMIN] == names(live)


def test_a_record_of_before_knows_no_users(live: LiveInstance) -> None:
    """Who is in the ACL file of a deployment without such a list was made by keyfleet."""
    live.settle(user=["app on nopass ~x +get"])
    administered(live)
    record = Path(live.layout.record_file)
    stored = json.loads(record.read_text(encoding="utf-8"))
    assert ["app"] == stored.pop("users")
    record.write_text(json.dumps(stored), encoding="utf-8")
    assert ["user keyfleet", "user app"] == list(live.settle(user=None).live)


def test_users_come_change_and_go(live: LiveInstance) -> None:
    """As declared, on the running server and after a crash; one made by hand is reported and stays, until it shall go."""
    administered(live)
    assert "started" == settle(live, APP).action
    live.fill(1, prefix="app")
    with live.client(username="app", password="battery-of-app") as client:
        assert "0" == client.get("app:0")
        found = settle(live, {**APP, "commands": ["get"]}, OPS)
        assert ["user ops", "user app"] == sorted(found.live, reverse=True)
        assert "0" == client.get("app:0")  # the connection stayed
    with live.client(username="ops", password="battery-of-ops") as client:
        client.acl_setuser("by-hand", enabled=True, nopass=True)
    found = settle(live, OPS)
    assert (["user app"], ["by-hand"]) == (list(found.live), found.undeclared_users)
    live.crash()
    assert (["by-hand", "default", ADMIN, "ops"], "adjusted") == (names(live), found.action)
    assert "unchanged" == settle(live, OPS).action  # what was made by hand is in the file
    administered(live, removes_undeclared_users=True)
    found = settle(live, OPS)
    assert (["by-hand"], ["remove the user by-hand"]) == (found.undeclared_users, [step for step in found.steps if "user" in step][-1:])
    assert ["default", ADMIN, "ops"] == names(live)


def test_default_can_be_off_and_come_back(live: LiveInstance) -> None:
    """Without its password, and over a restart; a run still gets in."""
    administered(live)
    settle(live, APP, OFF)
    assert not enters(live, None, live.options["password"])
    live.restart()
    assert "unchanged" == settle(live, APP, OFF).action
    assert ["user default"] == list(settle(live, APP).live)
    assert enters(live, None, live.options["password"])


def test_passwords_change_in_two_phases(live: LiveInstance) -> None:
    """Both are valid after the first, also after a crash and another first one; the old one is dropped by the second."""
    administered(live)
    settle(live, APP)
    administered(live, NEXT_PASSWORD, ADMIN_PASSWORD, keeps_passwords=True)
    new = {**APP, "passwords": ["another-of-app"]}
    live.options["password"] = "another-one"
    assert ["app", "default"] == sorted(settle(live, new).old_passwords)
    live.restart()
    assert ["app", "default"] == sorted(settle(live, new).old_passwords)
    old = [("app", "battery-of-app"), (None, "battery-staple")]
    current = [("app", "another-of-app"), (None, "another-one"), (ADMIN, NEXT_PASSWORD)]
    assert all(enters(live, *login) for login in [*old, *current, (ADMIN, ADMIN_PASSWORD)])
    administered(live, NEXT_PASSWORD, keeps_passwords=False)
    assert ({"user app", "user default", "user keyfleet"}, []) == (set((found := settle(live, new)).live), found.old_passwords)
    assert all(enters(live, *login) for login in current)
    assert not any(enters(live, *login) for login in [*old, (ADMIN, ADMIN_PASSWORD)])


@pytest.mark.parametrize("step", STEPS)
def test_killed_between_two_steps(live: LiveInstance, step: str) -> None:
    """A run that dies before any step, then the server: the administrative user enters, and the next run ends with what is declared."""
    settle(live, APP)
    administered(live)
    reached = live.killed_before(step, lambda: settle(live, OPS, OFF))
    assert reached == (step != "end")
    live.power_off()
    live.manager.start()
    settle(live, OPS, OFF)
    assert ["default", ADMIN, "ops"] == names(live)
    assert (True, False, False) == (
        enters(live, "ops", "battery-of-ops"),
        enters(live, None, live.options["password"]),
        enters(live, "app", "battery-of-app"),
    )
    assert "unchanged" == settle(live, OPS, OFF).action


def test_what_the_server_refuses_is_named_and_changes_nothing(live: LiveInstance) -> None:
    """A category and a command that it does not have, in its own words."""
    administered(live)
    settle(live, APP)
    with pytest.raises(RefusedError, match=r"refused user 'ops': .*'\+@typo': Unknown command or category"):
        settle(live, {**OPS, "categories": ["typo"]})
    assert ["app", "default", ADMIN] == names(live)


def test_without_any_password_a_run_is_refused(live: LiveInstance) -> None:
    """Neither the administrative user's nor that of ``default``."""
    administered(live)
    settle(live, APP)
    administered(live, "lost")
    live.options["password"] = "lost-as-well"
    with pytest.raises(CredentialsError):
        settle(live, APP)
