# SPDX-License-Identifier: MIT
"""The user default after a change by hand: what the run can still do it repairs, and else says how the users come back."""

from __future__ import annotations

import shlex
import subprocess

import pytest
import redis
from keyfleet.core.instance.access import administration_problem
from support.instances import LiveInstance

REPAIRED = {"nopass": ["nopass"], "one more password": [">another-one"], "no keys": ["resetkeys"], "no CONFIG": ["-config"]}
ADVISED = {
    "another password": (["resetpass", ">another-one"], "refuses its password"),
    "off": (["off"], "refuses its password"),
    "hardly a command": (["-@all", "+ping"], "'info' command"),
    "no ACL": (["-acl"], "'acl|list' command"),
}


def change(live: LiveInstance, rules: list[str]) -> None:
    """Change the user default of a running instance."""
    live.settle()
    with live.client() as client:
        client.execute_command("ACL", "SETUSER", "default", *rules)


@pytest.mark.parametrize("what", REPAIRED)
def test_what_can_be_repaired_is_repaired(live: LiveInstance, what: str) -> None:
    """By one run, which reports it; the server keeps its process and is closed again to clients without the password."""
    change(live, REPAIRED[what])
    pid = live.manager.status().pid or 0
    assert "" == administration_problem(live.host, live.instance, pid)
    assert ["user default"] == list(live.settle().live)
    assert (pid, "unchanged") == (live.manager.status().pid, live.settle().action)
    for password in (None, "another-one"):
        with live.client(password=password) as client, pytest.raises((redis.AuthenticationError, redis.ResponseError)):
            client.ping()


@pytest.mark.parametrize("what", ADVISED)
def test_what_cannot_be_repaired_gets_advice_that_works(live: LiveInstance, what: str) -> None:
    """The command of the advice, as it stands, brings the users back."""
    rules, reason = ADVISED[what]
    change(live, rules)
    problem = administration_problem(live.host, live.instance, live.manager.status().pid or 0)
    assert reason in problem
    assert f"take the users of {live.layout.acl_file}" in problem
    command = live.manager.restart_command
    assert f"restart it on the host ({command}; " in problem
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    assert "unchanged" == live.settle().action
