# SPDX-License-Identifier: MIT
"""Directives from the inventory: what is refused before anything is touched, and with which words."""

from __future__ import annotations

import pytest
from keyfleet.core.directives.plan import (
    SECRET_DIRECTIVES,
    acl_lines,
    canonical,
    check,
    config_command,
    config_command_in,
    render,
    startup_only_changes,
    table_for,
)
from keyfleet.core.errors import RefusedError
from support.directives import BAD, GOOD, HASH

REDIS_7 = table_for("redis", "7.0.15")
SECRET = "hush-hush-hush"


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD.items() for value in values])
def test_possible_values_pass(name: str, value: object) -> None:
    """Values as YAML gives them naturally are accepted, also where lists are taken."""
    assert [] == check({name: value}, "redis", "7.0.15")
    assert isinstance(render({name: value}), list)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_impossible_values_are_refused(name: str, value: object) -> None:
    """Each bad value gives one problem that names the directive, the value found and what is allowed."""
    (problem,) = check({name: value}, "redis", "7.0.15")
    assert name == problem.directive
    assert problem.found in str(problem)
    assert problem.allowed in str(problem)
    assert problem.allowed


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "maxmemory",
            "12 apples",
            "maxmemory: wrong value; found '12 apples', allowed: a size in bytes, or with a unit: 100mb (k, kb, m, mb, g, gb)",
        ),
        ("tcp-keepalive", "x", "tcp-keepalive: wrong value; found 'x', allowed: a whole number of at least 0"),
        ("io-threads", 500, "io-threads: wrong value; found 500, allowed: a whole number from 1 to 128"),
        ("appendfsync", "never", "appendfsync: wrong value; found 'never', allowed: one of: everysec, always, no"),
        ("appendonly", "on", "appendonly: wrong value; found 'on', allowed: true or false"),
        ("hz", [1], "hz: takes one value, not a list; found [1], allowed: a whole number of at least 0"),
        ("hz", None, 'hz: has no value: write "" to clear it; found None, allowed: a whole number of at least 0'),
        ("maxmemroy", 1, "maxmemroy: is no directive of redis 7.0; found (hidden), allowed: did you mean maxmemory?"),
        ("max_memory", 1, "max_memory: is no directive of redis 7.0; found (hidden), allowed: did you mean maxmemory?"),
        (
            "availability-zone",
            "a",
            "availability-zone: is no directive of redis 7.0, but of valkey 8.1; found 'a', allowed: a name that this server has",
        ),
        ("port", 7000, "port: is not for this dictionary; found 7000, allowed: use the instance option port"),
        ("logfile", "/x", "logfile: is not for this dictionary; found '/x', allowed: set by keyfleet"),
        ("replicaof", "a 1", "replicaof: is not for this dictionary; found 'a 1', allowed: not supported by this role yet"),
        (
            "bf.error-rate",
            1,
            "bf.error-rate: is no directive of redis 7.0; found (hidden), allowed: a directive of a module together with loadmodule",
        ),
        ("lua-replicate-commands", True, "lua-replicate-commands: is ignored by this version; found True, allowed: nothing: remove it"),
    ],
)
def test_refusals_say_what_to_write(name: str, value: object, words: str) -> None:
    """The sentence is complete: an operator needs no manual."""
    assert [words] == [str(problem) for problem in check({name: value}, "redis", "7.0")]


@pytest.mark.parametrize(
    "name", ["bind", "unixsocket", "unixsocketperm", "requirepass", "aclfile", "dir", "daemonize", "include", "tls-port", "cluster-enabled"]
)
def test_what_keyfleet_sets_is_reserved(name: str) -> None:
    """A directive that a variable of the role decides cannot be set behind its back."""
    assert ["is not for this dictionary"] == [problem.reason for problem in check({name: "x"}, "redis", None)]


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("default on nopass", "line 1 is the user 'default'"),
        ([f"a on {HASH}", f"a on {HASH}"], "line 2 is the user 'a' a second time"),
        (f"a on >{SECRET}", "line 1 holds a password in plain text"),
        (f"a on <{SECRET}", "line 1 holds a password in plain text"),
        ("a on #abc", "line 1 holds something that is no SHA-256 hash"),
        ("a", "line 1 names no rules"),
        ("", "line 1 names no rules"),
        ([["a", f"on >{SECRET}"]], "line 1 holds a password in plain text"),  # the file is split at every blank
    ],
)
def test_users_hold_hashes_only(user: object, reason: str) -> None:
    """Users are refused with the line and the reason, and what they hold is not repeated."""
    (problem,) = check({"user": user}, "redis", "7.0")
    assert reason == problem.reason
    assert "(hidden)" == problem.found
    assert SECRET not in str(problem)


def test_a_plain_password_is_answered_with_the_command_that_hashes_it() -> None:
    """The refusal says how to get the hash."""
    (problem,) = check({"user": "a on >x"}, "redis", "7.0")
    assert "sha256sum" in problem.allowed


@pytest.mark.parametrize(
    "name", [*sorted(SECRET_DIRECTIVES), "master_auth", "requirepassword", "requirepas", "mastrauth", "tls-key-file-pas"]
)
def test_secrets_are_not_repeated(name: str) -> None:
    """A refused secret is named and not shown, whatever is wrong with it."""
    (problem,) = check({name: [SECRET]}, "redis", "7.0")
    assert SECRET not in str(problem) + repr(problem)


@pytest.mark.parametrize(
    ("value", "reasons"),
    [
        ("CONFIG admin-config", []),
        (['FLUSHALL ""', ["DEBUG", ""]], []),
        ('info ""', ["removes INFO, which this role needs to see what runs"]),
        (
            ["ACL x", "BGSAVE y"],
            ["removes ACL, which this role needs to apply users", "removes BGSAVE, which this role needs to save before a restart"],
        ),
        (["AUTH", "x"], None),
    ],
)
def test_commands_that_the_role_needs_keep_their_names(value: object, reasons: list[str] | None) -> None:
    """Without them later runs could neither see nor save what runs; CONFIG is found under its new name."""
    found = [problem.reason for problem in check({"rename-command": value}, "redis", None)]
    assert (["wrong value"] if reasons is None else reasons) == found


def test_one_directive_under_two_names_is_refused() -> None:
    """The server would take the last one, whichever that is."""
    (problem,) = check({"slave-priority": 1, "replica-priority": 2}, "redis", "7.0")
    assert "slave-priority: is another name of replica-priority, which is given too; found 1, allowed: one of them" == str(problem)


def test_every_problem_is_reported_at_once() -> None:
    """One run reports everything that is wrong."""
    assert ["hz", "zork", "port"] == [problem.directive for problem in check({"hz": "x", "zork": 1, "port": 1}, "redis", "7.0")]


@pytest.mark.parametrize(
    ("engine", "version", "directive", "accepted"),
    [
        ("redis", "7.0.15", {"locale-collate": "C"}, False),
        ("redis", "8.0.2", {"locale-collate": "C"}, True),
        ("redis", "5:8.0.2-3+deb13u1", {"locale-collate": "C"}, True),
        ("redis", "7.2", {"locale-collate": "C"}, True),  # between two tables: what one of them knows
        ("redis", "7.2", {"zork": "C"}, False),
        ("redis", None, {"locale-collate": "C"}, True),
        ("redis", None, {"maxmemory-samples": 100}, True),  # 7.0 allows it, 8.0 stops at 64
        ("redis", "8.0", {"maxmemory-samples": 100}, False),
        ("redis", None, {"primaryauth": "x"}, False),
        ("valkey", "8.1", {"primaryauth": "x"}, True),
        ("valkey", "7.2", {"primaryauth": "x"}, True),  # older than every table: the oldest one judges
        ("valkey", "9.1", {"tls-auto-reload-interval": 5}, True),  # newer than every table: the binary will judge
        ("valkey", "9.1", {"maxmemory-policy": "volatile-new"}, True),
        ("valkey", "9.1", {"maxmemory": "x"}, False),
        ("valkey", "9.1", {"Bad Name": "x"}, False),
        ("valkey", "9.1", {"zork": {"a": 1}}, False),
    ],
)
def test_the_nearest_table_judges(engine: str, version: str | None, directive: dict[str, object], accepted: bool) -> None:
    """An exact version is judged strictly, an unknown one by all tables, and a newer one leaves unknown words to its binary."""
    assert accepted == (check(directive, engine, version) == [])


def test_directives_of_modules_need_the_module() -> None:
    """Names with a dot are taken together with loadmodule, since only the module knows them."""
    assert [] == check({"loadmodule": "/m.so", "bf.error-rate": "0.1"}, "redis", "7.0")


def test_an_unknown_engine_or_version_is_refused() -> None:
    """Both name the value found and the values allowed."""
    with pytest.raises(RefusedError, match="engine is 'keydb', allowed: redis, valkey"):
        check({}, "keydb", None)
    with pytest.raises(RefusedError, match="version is 'latest'"):
        check({}, "redis", "latest")


def test_lines_are_sorted_quoted_and_safe() -> None:
    """The same dictionary gives the same lines, and no value can end its line."""
    lines = render(
        {
            "proc-title-template": '{title} "x" \\',
            "maxmemory": "1gb",
            "masterauth": "two words",
            "hz": 5,
            "appendonly": True,
            "shutdown-on-sigint": ["save", "now"],
            "rename-command": ['CONFIG ""', ["DEBUG", "it's"]],
            "user": f"app on {HASH}",
        }
    )
    assert [
        "appendonly yes",
        "hz 5",
        'masterauth "two words"',
        "maxmemory 1gb",
        'proc-title-template "{title} \\"x\\" \\\\"',
        'rename-command CONFIG ""',
        'rename-command DEBUG "it\'s"',
        "shutdown-on-sigint save now",
    ] == lines
    with pytest.raises(ValueError, match="control character"):
        render({"masterauth": "x\nport 1"})


def test_save_lines_replace_those_read_before() -> None:
    """The server adds save lines to those of files read before, so ours begin with an empty one."""
    assert ['save ""', "save 3600 1", "save 300 100"] == render({"save": ["3600 1", [300, 100]]})
    assert ['save ""'] == render({"save": ""}) == render({"save": []})


def test_users_go_to_the_acl_file() -> None:
    """The ACL file splits at blanks and knows no quotes."""
    users = {"user": [f"app on {HASH} ~it's", ["web", "on", "nopass"]]}
    assert [f"user app on {HASH} ~it's", "user web on nopass"] == acl_lines(users)
    assert [] == render(users) == acl_lines({})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("maxmemory", "1gb", "1073741824"),
        ("maxmemory", "1g", "1000000000"),
        ("maxmemory", "1GB", "1073741824"),
        ("maxmemory-clients", "5%", "5%"),
        ("notify-keyspace-events", "KEA", "AKE"),
        ("notify-keyspace-events", "Kg$lshzxetd", "AK"),
        ("notify-keyspace-events", "xEl", "lxE"),
        ("notify-keyspace-events", "", ""),
        ("client-output-buffer-limit", "replica 1mb 0 60", "normal 0 0 0 slave 1048576 0 60 pubsub 33554432 8388608 60"),
        ("save", ["3600 1", "300 100"], "3600 1 300 100"),
        ("save", "", ""),
        ("appendonly", True, "yes"),
        ("appendfsync", False, "no"),
        ("shutdown-on-sigint", ["FORCE", "save"], "save force"),
        ("latency-tracking-info-percentiles", [50.0, "99.90"], "50 99.9"),
        ("unixsocketperm", "0770", "770"),
        ("slave-priority", 7, "7"),
        ("bind", ["127.0.0.1", "-::1"], "127.0.0.1 -::1"),
        ("some-later-name", ["a", "b"], "a b"),
    ],
)
def test_values_in_the_form_of_the_server(name: str, value: object, expected: str) -> None:
    """The value that CONFIG GET would return, without a server."""
    assert expected == canonical(name, value, REDIS_7)


def test_the_new_name_of_config() -> None:
    """From the inventory and from the lines a process was started with; None where the command is disabled."""
    for directives, name in (({}, "CONFIG"), ({"rename-command": "config zorro"}, "zorro"), ({"rename-command": ['CONFIG ""']}, None)):
        assert name == config_command(directives)
        assert name == config_command_in(["# rename-command CONFIG x", "hz 10", *render(directives)])


def test_startup_only_directives_are_compared_by_text() -> None:
    """CONFIG GET cannot return them, so they are read from the file that the process was started with."""
    started = ["# ours", "hz 10", "rename-command DEBUG x", "loadmodule /a.so", "loadmodule /b.so", "bf.error-rate 0.1"]
    desired = ["hz 20", "loadmodule /b.so", "loadmodule /a.so", "bf.error-rate 0.1"]
    assert {} == startup_only_changes(started, started)
    assert {
        "loadmodule": ("loadmodule /a.so\nloadmodule /b.so", "loadmodule /b.so\nloadmodule /a.so"),
        "rename-command": ("rename-command DEBUG x", ""),
    } == startup_only_changes(desired, started)
    assert ["hz", "loadmodule", "rename-command"] == list(startup_only_changes(desired, started, every=True))
