# SPDX-License-Identifier: MIT
"""The module redis_invalidate: its options and results on real servers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from keyfleet.core.connect.client import close
from keyfleet.testing.servers import Cluster, Server, start_server
from support.modules import DEBIAN_PYTHON, assert_check_predicts, run_module
from support.targets import at

PYTHONS = pytest.mark.parametrize("python", [sys.executable, DEBIAN_PYTHON], ids=["current redis-py", "redis-py 4.3.4"])
COUNTS = ("matched", "deleted", "unconfirmed")


def put(server: Server | Cluster, names: Iterable[str | bytes]) -> None:
    """Create string keys."""
    client = server.client()
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.set(name, "value")
        pipe.execute()
    close(client)


def left(server: Server | Cluster) -> set[bytes]:
    """Return the names of all keys."""
    client = server.client()
    try:
        return set(client.scan_iter(count=1000))
    finally:
        close(client)


def calls(server: Server) -> dict[str, int]:
    """Return how often each command ran."""
    client = server.client()
    try:
        return {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in client.info("commandstats").items()}
    finally:
        close(client)


def counts(result: Mapping[str, Any]) -> tuple[int, ...]:
    """Return matched, deleted and unconfirmed."""
    return tuple(result[name] for name in COUNTS)


@PYTHONS
def test_first_run_deletes_and_second_run_changes_nothing(redis_server: Server, python: str) -> None:
    """Only what matches is deleted; check mode foretells both runs."""
    put(redis_server, ["page:1", "page:2", "pages", "other"])
    first = assert_check_predicts("redis_invalidate", at(redis_server, patterns=["page:*"]), python=python)
    second = assert_check_predicts("redis_invalidate", at(redis_server, patterns=["page:*"]), python=python)
    assert (True, (2, 2, 0)) == (first.changed, counts(first))
    assert (False, (0, 0, 0)) == (second.changed, counts(second))
    assert {b"pages", b"other"} == left(redis_server)
    assert [{"node": f"{redis_server.host}:{redis_server.port}", "matched": 2, "deleted": 2, "unconfirmed": 0}] == first["nodes"]


def test_keys_created_again_are_deleted_again(redis_server: Server) -> None:
    """A change between two runs is seen."""
    for names in (["a:1"], ["a:2", "a:3"]):
        put(redis_server, names)
        assert len(names) == run_module("redis_invalidate", at(redis_server, prefix="a:"))["deleted"]


def test_check_mode_counts_and_deletes_nothing(redis_server: Server) -> None:
    """Each key counts once, also where patterns and names overlap."""
    put(redis_server, ["a:1", "a:2", "ab", "b"])
    arguments = at(redis_server, patterns=["a*", "a:*", "?:2"], keys=["a:1", "ab", "missing"])
    predicted = run_module("redis_invalidate", arguments, check=True)
    assert (True, (3, 0, 0)) == (predicted.changed, counts(predicted))
    assert 4 == len(left(redis_server))
    assert 3 == run_module("redis_invalidate", arguments)["deleted"]


def test_missing_selection_is_refused(redis_server: Server) -> None:
    """Neither nothing nor an empty prefix means everything."""
    put(redis_server, ["a"])
    for options in ({}, {"prefix": ""}, {"patterns": [], "keys": []}):
        result = run_module("redis_invalidate", at(redis_server, **options))
        assert ("RefusedError", True) == (result["error"], "nothing is selected" in result["msg"])
    assert {b"a"} == left(redis_server)


@pytest.mark.parametrize("pattern", ["*", "**", "?*"])
def test_pattern_for_every_key_needs_all_keys(redis_server: Server, pattern: str) -> None:
    """Also in check mode; with all_keys it is done."""
    put(redis_server, ["a", "b"])
    for check in (True, False):
        refused = run_module("redis_invalidate", at(redis_server, patterns=["x", pattern]), check=check)
        assert ("RefusedError", True) == (refused["error"], "set all_keys" in refused["msg"])
    assert 2 == run_module("redis_invalidate", at(redis_server, patterns=[pattern], all_keys=True))["deleted"]


def test_wrong_options_are_refused(redis_server: Server) -> None:
    """The message names what is allowed."""
    put(redis_server, ["a"])
    assert "string, hash, list, set, zset, stream" in run_module("redis_invalidate", at(redis_server, prefix="a", types=["json"]))["msg"]
    assert "allowed are numbers above 0" in run_module("redis_invalidate", at(redis_server, prefix="a", keys_per_second=0))["msg"]
    assert "allowed are 0 and above" in run_module("redis_invalidate", at(redis_server, prefix="a", max_keys=-1))["msg"]
    assert "max_keys" in run_module("redis_invalidate", at(redis_server, prefix="a", max_keys="many"))["msg"]
    assert {b"a"} == left(redis_server)


def test_prefix_is_literal(redis_server: Server) -> None:
    """Glob characters in it match themselves, in patterns, names and alone."""
    names = ["a*b:1", "a*b:2", "aXb:1", "a[1]:1", "a1:1", "a\\:1", "a?:1", "ab:1"]
    put(redis_server, names)
    assert 1 == run_module("redis_invalidate", at(redis_server, prefix="a*b:", patterns=["[1]"]))["deleted"]
    assert 1 == run_module("redis_invalidate", at(redis_server, prefix="a*b:"))["deleted"]
    assert 1 == run_module("redis_invalidate", at(redis_server, prefix="a[1]:"))["deleted"]
    assert 1 == run_module("redis_invalidate", at(redis_server, prefix="a\\:"))["deleted"]
    assert 1 == run_module("redis_invalidate", at(redis_server, prefix="a?", keys=[":1"]))["deleted"]
    assert {b"aXb:1", b"a1:1", b"ab:1"} == left(redis_server)


def test_prefix_of_the_environment_is_the_default(redis_server: Server) -> None:
    """It keeps a selection of every key below it; the option replaces it."""
    environ = {"REDIS_URL": f"redis://{redis_server.host}:{redis_server.port}", "REDIS_KEY_PREFIX": "app:"}
    put(redis_server, ["app:1", "app:2", "1", "other:1"])
    assert 1 == run_module("redis_invalidate", {"keys": ["1"]}, environ=environ)["deleted"]
    assert 1 == run_module("redis_invalidate", {"all_keys": True}, environ=environ)["deleted"]
    assert 1 == run_module("redis_invalidate", {"prefix": "other:"}, environ=environ)["deleted"]
    assert {b"1"} == left(redis_server)


def test_names_are_no_patterns(redis_server: Server) -> None:
    """A star in a name is a star."""
    put(redis_server, ["a*", "ab"])
    assert 1 == run_module("redis_invalidate", at(redis_server, keys=["a*"]))["deleted"]
    assert {b"ab"} == left(redis_server)


def test_binary_and_unicode_names(redis_server: Server) -> None:
    """Bytes that are no text are matched, deleted and shown as escapes."""
    put(redis_server, [b"bin:\xff\x00\n", "bin:ä", b"other"])
    result = run_module("redis_invalidate", at(redis_server, prefix="bin:"), diff=True)
    assert (2, 2, 0) == counts(result)
    assert {"bin:\\xff\x00\n", "bin:ä"} == set(result["diff"]["before"]["first_names"])
    assert {b"other"} == left(redis_server)


@PYTHONS
def test_types_filter(redis_server: Server, python: str) -> None:
    """Only keys of the types asked for are deleted, by pattern and by name."""
    client = redis_server.client()
    client.set("t:string", "x")
    client.hset("t:hash", "f", "x")
    client.sadd("t:set", "x")
    client.rpush("t:list", "x")
    close(client)
    assert (2, 2, 0) == counts(
        assert_check_predicts("redis_invalidate", at(redis_server, prefix="t:", types=["hash", "set"]), python=python)
    )
    named = at(redis_server, prefix="t:", keys=["string", "list", "missing"], types=["list"])
    assert (1, 1, 0) == counts(assert_check_predicts("redis_invalidate", named, python=python))
    assert {b"t:string"} == left(redis_server)


def test_diff_shows_counts_and_the_first_names(redis_server: Server) -> None:
    """Before and after, also as a prediction; ten names at most."""
    put(redis_server, [f"a:{number}" for number in range(25)])
    predicted, real = (
        run_module("redis_invalidate", at(redis_server, prefix="a:"), check=check, diff=True)["diff"] for check in (True, False)
    )
    assert predicted == real
    assert ((25, 10), {"matching_keys": 0, "first_names": []}) == (
        (real["before"]["matching_keys"], len(real["before"]["first_names"])),
        real["after"],
    )


def test_max_keys_refuses_and_deletes_nothing(redis_server: Server) -> None:
    """One key too many is too many; exactly as many are deleted."""
    put(redis_server, [f"a:{number}" for number in range(5)])
    for check in (True, False):
        result = run_module("redis_invalidate", at(redis_server, patterns=["a:*", "a*"], max_keys=4), check=check)
        assert ("RefusedError", True) == (result["error"], "more than 4 keys match" in result["msg"])
    assert 5 == len(left(redis_server))
    assert (5, 5, 0) == counts(assert_check_predicts("redis_invalidate", at(redis_server, patterns=["a:*", "a*"], max_keys=5)))


def test_max_keys_of_zero_allows_nothing(redis_server: Server) -> None:
    """It asserts that no key matches."""
    assert not run_module("redis_invalidate", at(redis_server, prefix="a", max_keys=0)).failed
    put(redis_server, ["a"])
    assert run_module("redis_invalidate", at(redis_server, prefix="a", max_keys=0)).failed


def test_20_000_keys_are_deleted_in_one_pass_with_exact_counts(redis_server: Server) -> None:
    """The pages are as large as COUNT says, each costs one SCAN and at most one UNLINK, and another prefix is untouched."""
    put(redis_server, (f"gone:{number}" for number in range(20_000)))
    put(redis_server, (f"kept:{number}" for number in range(5_000)))
    before = calls(redis_server)
    result = run_module("redis_invalidate", at(redis_server, prefix="gone:"))
    after = calls(redis_server)
    scans, unlinks = (after.get(name, 0) - before.get(name, 0) for name in ("scan", "unlink"))
    assert (20_000, 20_000, 0) == counts(result)
    assert scans <= 1.2 * 25_000 / 2_000  # the server may return a few more for each page, never fewer
    assert unlinks <= scans
    names = left(redis_server)
    assert (5_000, set()) == (len(names), {name for name in names if not name.startswith(b"kept:")})


def test_named_keys_are_deleted_without_a_scan(redis_server: Server) -> None:
    """5,000 names cost three commands to delete them."""
    put(redis_server, (f"a:{number}" for number in range(5_000)))
    before = calls(redis_server)
    result = run_module("redis_invalidate", at(redis_server, keys=[f"a:{number}" for number in range(5_000)]))
    after = calls(redis_server)
    assert (5_000, 5_000, 0) == counts(result)
    assert (3, 0) == tuple(after.get(name, 0) - before.get(name, 0) for name in ("unlink", "scan"))


@PYTHONS
def test_cluster_deletes_on_every_primary(redis_cluster: Cluster, python: str) -> None:
    """Patterns and names across all slots; the counts by node add up."""
    put(redis_cluster, (f"gone:{number}" for number in range(3_000)))
    put(redis_cluster, (f"{{tag}}:{number}" for number in range(100)))
    put(redis_cluster, ["kept:1", "kept:2", "name:1", "name:2"])
    options = at(redis_cluster, patterns=["gone:*", "{tag}:*"], keys=["name:1", "name:2", "name:3"])
    result = assert_check_predicts("redis_invalidate", options, python=python)
    assert (3_102, 3_102, 0) == counts(result)
    assert [f"{node.host}:{node.port}" for node in redis_cluster.primaries()] == [node["node"] for node in result["nodes"]]
    assert 3_102 == sum(node["deleted"] for node in result["nodes"])
    assert {b"kept:1", b"kept:2"} == left(redis_cluster)


def test_one_node_of_a_cluster_is_refused(redis_cluster: Cluster) -> None:
    """It would silently leave most keys where they are."""
    put(redis_cluster, ["a:1", "a:2", "a:3"])
    result = run_module("redis_invalidate", at(redis_cluster.nodes[0], prefix="a:"))
    assert ("RefusedError", True) == (result["error"], "name the cluster's nodes" in result["msg"])
    assert 3 == len(left(redis_cluster))


def test_unix_socket(tmp_path: Path) -> None:
    """A server without a port."""
    with start_server(tmp_path, unix_socket=True) as server:
        put(server, ["a:1"])
        result = run_module("redis_invalidate", {"login_unix_socket": server.unix_socket, "prefix": "a:"})
    assert (1, f"unix:{server.unix_socket}") == (result["deleted"], result["nodes"][0]["node"])


@PYTHONS
def test_server_down(tmp_path: Path, python: str) -> None:
    """The address and the reason are named."""
    with start_server(tmp_path) as server:
        options = at(server, prefix="a:")
    result = run_module("redis_invalidate", options, python=python)
    assert (True, False, "UnreachableError") == (result.failed, result.changed, result["error"])
    assert f"cannot reach {server.host}:{server.port}" in result["msg"]


@PYTHONS
def test_wrong_password(password_server: Server, python: str) -> None:
    """It is named as such, and does not leak; the right one works."""
    put(password_server, ["a:1"])
    wrong = run_module("redis_invalidate", at(password_server, prefix="a:", login_password="not-the-secret"), python=python)
    assert (True, False, "CredentialsError") == (wrong.failed, wrong.changed, wrong["error"])
    assert "not-the-secret" not in wrong.stdout + wrong.stderr
    right = run_module("redis_invalidate", at(password_server, prefix="a:", login_password=password_server.password), python=python)
    assert 1 == right["deleted"]
    assert str(password_server.password) not in right.stdout + right.stderr


@pytest.mark.parametrize(
    ("rules", "denied", "options"),
    [
        ("+@all -scan", "scan", {"prefix": "a:"}),
        ("+@all -unlink -del", "del", {"prefix": "a:"}),
        ("+@all -exists", "exists", {"keys": ["a:1"]}),
        ("+@all -type", "type", {"keys": ["a:1"], "types": ["string"]}),
    ],
)
@PYTHONS
def test_denied_command_is_named_and_nothing_is_deleted(
    tmp_path: Path, rules: str, denied: str, options: dict[str, Any], python: str
) -> None:
    """The failure says which command is missing, and truthfully that nothing changed."""
    with start_server(tmp_path, directives={"user": [f"app on >app-secret ~* {rules}"]}) as server:
        put(server, ["a:1"])
        result = run_module("redis_invalidate", at(server, login_user="app", login_password="app-secret", **options), python=python)
        assert {b"a:1"} == left(server)
    assert (True, False, "DeniedError", denied) == (result.failed, result.changed, result["error"], result["command"])
    assert 0 == result["deleted"]


@PYTHONS
def test_denied_unlink_falls_back_to_del(tmp_path: Path, python: str) -> None:
    """More than one page, so that the fallback holds for the rest; INFO is not needed either."""
    with start_server(tmp_path, directives={"user": ["app on >app-secret ~* +@all -unlink -info"]}) as server:
        put(server, (f"a:{number}" for number in range(4_500)))
        before = calls(server)
        result = run_module("redis_invalidate", at(server, prefix="a:", login_user="app", login_password="app-secret"), python=python)
        after = calls(server)
        assert set() == left(server)
    assert (4_500, 4_500, 0) == counts(result)
    assert 3 == after["del"] - before.get("del", 0)


def test_missing_unlink_falls_back_to_del(tmp_path: Path) -> None:
    """As on a server that does not know the command."""
    with start_server(tmp_path, directives={"rename-command": ['UNLINK ""']}) as server:
        put(server, ["a:1", "a:2"])
        assert (2, 2, 0) == counts(run_module("redis_invalidate", at(server, prefix="a:")))


def test_denied_keys_are_named(tmp_path: Path) -> None:
    """A user who may not touch the keys gets the error that says so."""
    with start_server(tmp_path, directives={"user": ["app on >app-secret ~app:* +@all"]}) as server:
        put(server, ["app:1", "other:1"])
        user = {"login_user": "app", "login_password": "app-secret"}
        denied = run_module("redis_invalidate", at(server, prefix="other:", **user))
        allowed = run_module("redis_invalidate", at(server, prefix="app:", **user))
        assert {b"other:1"} == left(server)
    assert (True, False, "DeniedError", 0) == (denied.failed, denied.changed, denied["error"], denied["deleted"])
    assert 1 == allowed["deleted"]
