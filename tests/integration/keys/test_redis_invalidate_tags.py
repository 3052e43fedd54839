# SPDX-License-Identifier: MIT
"""The option tags of redis_invalidate: what the Python client has cached is not served any more."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from keyfleet import Client
from keyfleet.core.connect.client import close
from keyfleet.testing.servers import Cluster, Server
from support.capabilities import full
from support.modules import DEBIAN_PYTHON, assert_check_predicts, run_module
from support.targets import at

pytestmark = pytest.mark.client
PYTHONS = pytest.mark.parametrize("python", [sys.executable, DEBIAN_PYTHON], ids=["current redis-py", "redis-py 4.3.4"])


def cached(client: Client, count: int) -> list[Any]:
    """Return what the cache serves of *count* entries."""
    return [client.cache.get(f"k{number}") for number in range(count)]


def fill(client: Client, count: int) -> None:
    """Store *count* entries, every other one with the tag ``odd``."""
    for number in range(count):
        client.cache.set(f"k{number}", number, 3600, tags=["odd"] if number % 2 else ["even"])


@PYTHONS
@pytest.mark.parametrize("topology", ["server", "cluster"])
def test_entries_with_the_tag_are_not_served(request: pytest.FixtureRequest, topology: str, python: str) -> None:
    """The second run has nothing to invalidate; check mode foretells both."""
    target: Server | Cluster = request.getfixturevalue(f"redis_{topology}")
    with Client.from_settings(target.settings(key_prefix="shop:")) as client:
        fill(client, 10)
        first = assert_check_predicts("redis_invalidate", at(target, prefix="shop:", tags=["odd", "none"]), python=python)
        assert (True, {"odd": True, "none": False}, 0) == (first.changed, first["tags"], first["deleted"])
        assert [0, None, 2, None, 4, None, 6, None, 8, None] == cached(client, 10)
        unused = assert_check_predicts("redis_invalidate", at(target, prefix="shop:", tags=["none"]), python=python)
        assert not unused.changed
        assert 10 == len(list(client.scan("k*")))


def test_keys_and_tags_in_one_task(redis_server: Server) -> None:
    """Keys first: where they are refused, no tag is invalidated."""
    with Client.from_settings(redis_server.settings()) as client:
        fill(client, 10)
        refused = run_module("redis_invalidate", at(redis_server, patterns=["k*"], tags=["odd"], max_keys=5))
        assert refused["failed"]
        assert list(range(10)) == cached(client, 10)
        result = run_module("redis_invalidate", at(redis_server, patterns=["k[0-4]"], tags=["odd"]))
        assert (5, {"odd": True}) == (result["deleted"], result["tags"])
        assert [None] * 5 + [None, 6, None, 8, None] == cached(client, 10)


def test_a_full_server(redis_server: Server) -> None:
    """INCR needs memory; the counter is deleted then."""
    with Client.from_settings(redis_server.settings()) as client:
        fill(client, 4)
        with full(redis_server):
            result = run_module("redis_invalidate", at(redis_server, tags=["odd"]))
            assert (True, {"odd": True}) == (result["changed"], result["tags"])
            assert [0, None, 2, None] == cached(client, 4)


def test_an_empty_tag_is_refused(redis_server: Server) -> None:
    """Naming it, before anything is changed."""
    with Client.from_settings(redis_server.settings()) as client:
        fill(client, 4)
        result = run_module("redis_invalidate", at(redis_server, tags=["odd", ""]))
        assert "a tag is ''" in result["msg"]
        assert [0, 1, 2, 3] == cached(client, 4)


def test_a_single_command_for_each_tag(redis_server: Server) -> None:
    """No script: users of Ansible need no right to run one."""
    with Client.from_settings(redis_server.settings()) as client:
        fill(client, 4)
    raw = redis_server.client()
    raw.execute_command("ACL", "SETUSER", "ansible", "on", ">secret", "~*", "+@connection", "+incr", "+pexpire", "+get")
    try:
        result = run_module("redis_invalidate", at(redis_server, login_user="ansible", login_password="secret", tags=["odd"]))
        assert {"odd": True} == result["tags"]
    finally:
        raw.execute_command("ACL", "DELUSER", "ansible")
        close(raw)
