# SPDX-License-Identifier: MIT
"""The three-way comparison of desired, active and previously applied directives."""

from __future__ import annotations

from keyfleet.core.directives.plan import DirectivePlan, plan, table_for

REDIS = table_for("redis", "7.0")
VALKEY = table_for("valkey", "8.1")
DEFAULTS = {"maxmemory": "0", "databases": "16", "hz": "10", "replica-priority": "100", "slave-priority": "100", "dbfilename": "dump.rdb"}


def test_named_directives_are_enforced() -> None:
    """Live where the server allows it, else by a restart."""
    desired = {**DEFAULTS, "maxmemory": "5", "databases": "32", "dbfilename": "a.rdb"}
    found = plan(desired, DEFAULTS, ["maxmemory", "databases", "dbfilename", "hz"], [], REDIS)
    assert {"maxmemory": ("0", "5")} == found.live
    assert {"databases": ("16", "32"), "dbfilename": ("dump.rdb", "a.rdb")} == found.restart


def test_directives_never_named_are_kept() -> None:
    """What an operator sets by hand survives a run."""
    assert DirectivePlan() == plan(DEFAULTS, {**DEFAULTS, "hz": "50"}, ["maxmemory"], [], REDIS)


def test_directives_named_before_return_to_the_default() -> None:
    """Taking a directive out of the inventory undoes it."""
    assert {"hz": ("50", "10")} == plan(DEFAULTS, {**DEFAULTS, "hz": "50"}, [], ["hz"], REDIS).live


def test_the_other_name_of_a_directive_is_the_same_directive() -> None:
    """Renaming slave-priority to replica-priority in the inventory changes nothing on the server."""
    active = {**DEFAULTS, "replica-priority": "5", "slave-priority": "5"}
    assert DirectivePlan() == plan(active, active, ["replica-priority"], ["slave-priority"], REDIS)
    assert {"replica-priority": ("5", "100")} == plan(DEFAULTS, active, [], ["slave-priority"], REDIS).live


def test_what_the_running_server_does_not_know_waits_for_a_restart() -> None:
    """The binary is newer than the process; the same holds for a directive that no table knows."""
    assert {"hz": (None, "10")} == plan(DEFAULTS, {}, ["hz"], [], REDIS).restart
    assert {"zork": ("1", "2")} == plan({"zork": "2"}, {"zork": "1"}, ["zork"], [], REDIS).restart


def test_what_config_get_cannot_return_is_no_part_of_the_plan() -> None:
    """Those are compared by text."""
    names = ["rename-command", "user", "loadmodule", "bf.error-rate"]
    assert DirectivePlan() == plan(dict.fromkeys(names, "x"), {}, names, names, REDIS)


def test_secrets_are_hidden() -> None:
    """The representation does not hold them."""
    found = plan({"primaryauth": "hush"}, {"primaryauth": "old-hush"}, ["masterauth"], [], VALKEY)
    assert {"primaryauth": ("old-hush", "hush")} == found.live
    assert "hush" not in repr(found)
