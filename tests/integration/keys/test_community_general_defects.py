# SPDX-License-Identifier: MIT
"""
Defects that were seen in runs of community.general's ``redis_data`` modules, each as a test that passes here.

They were run at commit ade4f3ecc1 against redis-server 7.0.15 with ansible-core 2.19.14 and redis-py 8.1.0.
"""

from __future__ import annotations

import sys

import pytest
from keyfleet.testing.servers import Server
from support.modules import DEBIAN_PYTHON, run_module

pytestmark = pytest.mark.parametrize("python", [sys.executable, DEBIAN_PYTHON], ids=["current", "distribution"])


def test_plain_server_is_reached_without_a_tls_option(redis_server: Server, python: str) -> None:
    """There: ``tls`` is true by default, so that a plain server is a "Timeout connecting to server"."""
    result = run_module("redis_key", {"login_host": "127.0.0.1", "login_port": redis_server.port, "key": "k", "value": "v"}, python=python)
    assert (False, True) == (result.failed, result.changed)


def test_same_value_is_no_change(redis_server: Server, python: str) -> None:
    """There: the stored bytes are compared with the text of the task, so that every run reports a change."""
    redis_server.client().set("k", "é")
    result = run_module("redis_key", {"login_port": redis_server.port, "key": "k", "value": "é"}, python=python)
    assert (False, False) == (result.failed, result.changed)


def test_same_ttl_is_no_change(redis_server: Server, python: str) -> None:
    """There: a task with an expiration reports a change in every run."""
    task = {"login_port": redis_server.port, "key": "k", "value": "v", "ttl_seconds": 1000}
    assert [True, False] == [run_module("redis_key", task, python=python).changed for _turn in range(2)]


def test_key_of_another_type_is_deleted(redis_server: Server, python: str) -> None:
    """There: the value is read with GET first, so that WRONGTYPE aborts even ``state: absent``."""
    client = redis_server.client()
    client.rpush("k", "a")
    result = run_module("redis_key", {"login_port": redis_server.port, "key": "k", "state": "absent"}, python=python)
    assert (False, True, 0) == (result.failed, result.changed, client.exists("k"))


def test_check_mode_foresees_a_change(redis_server: Server, python: str) -> None:
    """There: check mode reports ``changed=false`` for a change that the run then makes."""
    client = redis_server.client()
    client.set("k", "old")
    task = {"login_port": redis_server.port, "key": "k", "value": "new"}
    assert (True, b"old") == (run_module("redis_key", task, check=True, python=python).changed, client.get("k"))
    assert (True, b"new") == (run_module("redis_key", task, python=python).changed, client.get("k"))


def test_check_mode_foresees_a_deletion(redis_server: Server, python: str) -> None:
    """There: check mode reports ``changed=false`` for a deletion that the run then makes."""
    client = redis_server.client()
    client.set("k", "v")
    task = {"login_port": redis_server.port, "key": "k", "state": "absent"}
    assert (True, 1) == (run_module("redis_key", task, check=True, python=python).changed, client.exists("k"))
    assert (True, 0) == (run_module("redis_key", task, python=python).changed, client.exists("k"))
