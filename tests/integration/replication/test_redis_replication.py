# SPDX-License-Identifier: MIT
"""Replications on real servers: created, healed, handed over; what would lose data is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from keyfleet.core.errors import KeyfleetError, RefusedError
from keyfleet.testing._server import wait_until
from support.modules import DEBIAN_PYTHON, Result, assert_check_predicts, run_module
from support.replications import PASSWORD, Replication, Start, address

ON_EVERY_SERVER = True


def options(replication: Replication, **more: Any) -> dict[str, Any]:
    """Return options that name all servers."""
    return {"members": [address(server) for server in replication.servers], "login_password": PASSWORD, **more}


def run(replication: Replication, *, check: bool = False, **more: Any) -> Result:
    """Run the module, and assert that it shows no password."""
    result = run_module("redis_replication", options(replication, **more), check=check, diff=True)
    assert PASSWORD not in result.stdout + result.stderr
    return result


def test_create_repeat_and_check(start_servers: Start) -> None:
    """Check mode says what the run does; the second run changes nothing. With the distribution's Python."""
    replication = start_servers()
    first = address(replication.servers[0])
    predicted = run(replication, check=True)
    assert ["", "", ""] == replication.roles()
    done = run_module("redis_replication", options(replication), diff=True, python=DEBIAN_PYTHON)
    assert done.changed, done.data
    assert (first, predicted["steps"], predicted["diff"]) == (done["primary"], done["steps"], done["diff"])
    assert ["", first, first] == replication.roles()
    assert not assert_check_predicts("redis_replication", options(replication)).changed


def test_roles_survive_restarts(start_servers: Start) -> None:
    """Each server wrote its role into its file: whatever restarts, nothing is to do."""
    replication = start_servers()
    replication.form()
    for server in replication.servers:
        server.stop()
    for server in reversed(replication.servers):
        server.start()
    assert [] == replication.form().steps


def test_a_single_server_with_data_becomes_the_primary(start_servers: Start) -> None:
    """Wherever the inventory lists it; two with data are refused, until the user names the one that stays."""
    replication = start_servers()
    first, second, third = replication.servers
    replication.run_on(second, "SET", "kept", "1")
    assert address(second) == replication.form([first, second]).primary
    assert {b"kept"} == replication.keys_on(first)
    replication.run_on(third, "SET", "other", "1")
    for check in (True, False):
        with pytest.raises(RefusedError, match=re.escape(f"{address(third)} has 1 keys")):
            replication.form(check=check)
    assert {b"other"} == replication.keys_on(third)
    replication.form(primary=address(second))
    assert [{b"kept"}] * 3 == [replication.keys_on(server) for server in replication.servers]


def test_handover_by_the_servers(start_servers: Start) -> None:
    """All roles are swapped and written into the files; the same run again hands over again, a plain one changes nothing."""
    replication = start_servers()
    first, second = (address(server) for server in replication.servers[:2])
    replication.form()
    replication.run_on(replication.servers[0], "SET", "kept", "1")
    assert f"hand over from {first} to {second}" in replication.form(hands_over=True, check=True).steps
    assert second == replication.form(hands_over=True).primary
    assert [second, "", second] == replication.roles()
    assert [{b"kept"}] * 3 == [replication.keys_on(server) for server in replication.servers]
    for server in replication.servers:
        server.stop()
        server.start()
    assert [second, "", second] == replication.roles()
    assert [] == replication.form().steps


def test_a_primary_retires(start_servers: Start) -> None:
    """A replica takes over; gone without that, the best replica does, if the user says so."""
    replication = start_servers()
    first, second, third = replication.servers
    replication.form()
    replication.run_on(first, "SET", "kept", "1")
    assert address(second) == replication.form([second, third], [first]).primary
    assert [address(second), "", address(second)] == replication.roles()
    second.kill()
    for retired in ([second], []):
        with pytest.raises(RefusedError, match=re.escape(address(second))):
            replication.form([third], retired)
    assert address(third) == replication.form([third], [second], is_forced=True).primary
    assert {b"kept"} == replication.keys_on(third)


def test_two_primaries(start_servers: Start) -> None:
    """The one that took over wins while the old one has written nothing since; afterwards it is refused."""
    replication = start_servers(2)
    first, second = replication.servers
    replication.form()
    replication.run_on(first, "CONFIG", "SET", "repl-ping-replica-period", 3600)  # a ping that only one of them has counts as a write
    replication.run_on(first, "SET", "one", "1")
    replication.form()
    wait_until(lambda: {b"one"} == replication.keys_on(second), "the replica to have the write")
    replication.run_on(second, "REPLICAOF", "NO", "ONE")
    replication.run_on(second, "SET", "two", "1")
    assert address(second) == replication.form().primary
    replication.run_on(first, "REPLICAOF", "NO", "ONE")
    for server in (first, second):
        replication.run_on(server, "SET", f"of {address(server)}", "1")
    with pytest.raises(RefusedError, match="several servers are primaries with data of their own"):
        replication.form()


def test_what_is_refused(start_servers: Start) -> None:
    """Before any change, each with its reason."""
    replication = start_servers(2)
    first, second = (address(server) for server in replication.servers)
    cases = [
        ({"members": [first, "127.0.0.1:1"]}, "cannot reach 127.0.0.1:1"),
        ({"members": [first, second.replace("127.0.0.1", "localhost"), second]}, "are the same server"),
        ({"members": [first, first]}, f"members[1] is {first}, and so is members[0]"),
        ({"members": []}, "members is empty"),
        ({"members": ["a:b"]}, "members[0] is 'a:b'"),
        ({"members": [first], "sentinels": [second]}, "service is not"),
        ({"members": [first], "primary": second}, "which is not in members"),
    ]
    for given, reason in cases:
        result = run(replication, **given)
        assert result.failed
        assert reason in result["msg"]
    assert ["", ""] == replication.roles()


def test_a_replica_that_cannot_log_in_is_named(start_servers: Start) -> None:
    """The run waits, fails and says which; with the right password the next one finishes."""
    replication = start_servers(2)
    replication.run_on(replication.servers[1], "CONFIG", "SET", "masterauth", "wrong")
    members = [address(server) for server in replication.servers]
    result = run_module("redis_replication", options(replication, wait_seconds=1))
    assert f"{members[1]} is not in sync with {members[0]}" in result["msg"]
    replication.run_on(replication.servers[1], "CONFIG", "SET", "masterauth", PASSWORD)
    assert [] == replication.form().steps
    with pytest.raises(KeyfleetError, match="which is neither listed nor retired"):
        replication.form(replication.servers[1:])
