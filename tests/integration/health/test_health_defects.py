# SPDX-License-Identifier: MIT
"""
Defects of community.general's redis_info and redis (flush, replica) that were seen in a run, each with a test that passes here.

The list is in the project's study of existing modules, section 1b; what concerns keys and connections is tested with redis_key.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.keyfleet.redis.plugins.modules import redis_health, redis_invalidate
from keyfleet.core.connect.client import close
from keyfleet.testing._server import free_port
from keyfleet.testing.servers import Cluster, Server
from support.modules import run_module


def at(server: Server, **options: Any) -> dict[str, Any]:
    """Return the options that reach *server*."""
    return {"login_host": server.host, "login_port": server.port, **options}


def put(server: Server | Cluster, *names: str) -> None:
    """Create keys."""
    client = server.client()
    for name in names:
        client.set(name, "value")
    close(client)


def test_flushing_an_empty_database_changes_nothing(redis_server: Server) -> None:
    """``redis command=flush`` reports changed on an empty database."""
    everything = at(redis_server, all_keys=True)
    assert (False, 0) == (
        run_module("redis_invalidate", everything, check=True).changed,
        run_module("redis_invalidate", everything)["deleted"],
    )
    put(redis_server, "a")
    assert (True, 1) == (
        run_module("redis_invalidate", everything, check=True).changed,
        run_module("redis_invalidate", everything)["deleted"],
    )
    assert not run_module("redis_invalidate", everything).changed


def test_flush_can_be_narrowed_to_a_pattern(redis_server: Server) -> None:
    """``redis command=flush`` knows all or nothing."""
    put(redis_server, "a:1", "a:2", "b:1")
    assert 2 == run_module("redis_invalidate", at(redis_server, patterns=["a:*"]))["deleted"]


def test_flush_of_one_database_leaves_the_others_alone(redis_server: Server) -> None:
    """A selection of every key means the chosen database."""
    put(redis_server, "zero")
    client = redis_server.client(db=1)
    client.set("one", "value")
    assert 1 == run_module("redis_invalidate", at(redis_server, all_keys=True, db=1))["deleted"]
    close(client)
    assert 1 == run_module("redis_invalidate", at(redis_server, all_keys=True))["deleted"]


def test_cluster_check_on_a_single_server_is_skipped_and_raises_nothing(redis_server: Server) -> None:
    """``redis_info cluster=true`` fails on a server that is not in cluster mode."""
    result = run_module("redis_health", at(redis_server))
    assert not result.failed
    assert [("skipped", "cluster mode is off")] == [(c["status"], c["reason"]) for c in result["checks"] if c["name"] == "cluster"]


@pytest.mark.parametrize("module", ["redis_health", "redis_invalidate"])
def test_result_has_the_documented_keys(redis_cluster: Cluster, module: str) -> None:
    """``redis_info`` documents the key ``cluster`` and returns ``cluster_info``."""
    arguments: dict[str, Any] = {"startup_nodes": [f"{node.host}:{node.port}" for node in redis_cluster.nodes]}
    returned, documentation = {
        "redis_health": ("verdict", redis_health.RETURN),
        "redis_invalidate": ("matched", redis_invalidate.RETURN),
    }[module]
    result = run_module(module, arguments if module == "redis_health" else {**arguments, "prefix": "a", "tags": ["t"]})
    documented = yaml.safe_load(documentation)
    assert returned in documented
    assert set(documented) - {"error"} == set(result) - {"changed", "invocation"}
    for name in ("checks", "nodes"):
        for entry in result.get(name, []):
            assert set(documented[name]["contains"]) == set(entry)


def test_cluster_fields_are_those_of_the_whole_cluster(redis_cluster: Cluster) -> None:
    """Each primary is asked, not one node that happens to answer."""
    arguments = {"startup_nodes": [f"{redis_cluster.nodes[0].host}:{redis_cluster.nodes[0].port}"]}
    result = run_module("redis_health", arguments)
    assert 3 == len({entry["node"] for entry in result["checks"] if entry["name"] == "ping"})


def test_words_of_the_server_are_not_swallowed(redis_server: Server) -> None:
    """``redis command=replica`` says "Unable to set replica mode" whatever the server said."""
    client = redis_server.client()
    client.execute_command("REPLICAOF", "127.0.0.1", free_port("127.0.0.1"))
    try:
        health = run_module("redis_health", at(redis_server))
        deletion = run_module("redis_invalidate", at(redis_server, prefix="a"))
    finally:
        client.execute_command("REPLICAOF", "NO", "ONE")
        close(client)
    assert "the replication link to 127.0.0.1" in health["msg"]
    assert ("RefusedError", True) == (deletion["error"], "is a replica" in deletion["msg"])


def test_plain_server_needs_no_option_about_tls(redis_server: Server) -> None:
    """``redis_data`` speaks TLS by default, so that a plain server times out."""
    assert "ok" == run_module("redis_health", at(redis_server))["verdict"]
    assert not run_module("redis_invalidate", at(redis_server, prefix="a")).failed


def test_deleting_works_for_every_type(redis_server: Server) -> None:
    """``redis_data state=absent`` fails with WRONGTYPE on anything but a string."""
    client = redis_server.client()
    client.set("t:string", "x")
    client.hset("t:hash", "f", "x")
    client.rpush("t:list", "x")
    client.sadd("t:set", "x")
    client.zadd("t:zset", {"x": 1})
    client.xadd("t:stream", {"f": "x"})
    close(client)
    assert (
        6
        == run_module("redis_invalidate", at(redis_server, keys=["string", "hash", "list", "set", "zset", "stream"], prefix="t:"))[
            "deleted"
        ]
    )


def test_check_mode_predicts_a_deletion(redis_server: Server) -> None:
    """``redis_data`` reports no change in check mode for a delete that it then does."""
    put(redis_server, "a")
    arguments = at(redis_server, keys=["a"])
    assert (True, True, False) == tuple(run_module("redis_invalidate", arguments, check=check).changed for check in (True, False, False))


def test_diff_is_there(redis_server: Server) -> None:
    """No redis module of community.general has a diff."""
    put(redis_server, "a")
    diff = run_module("redis_invalidate", at(redis_server, keys=["a"]), diff=True)["diff"]
    assert ({"matching_keys": 1, "first_names": ["a"]}, {"matching_keys": 0, "first_names": []}) == (diff["before"], diff["after"])
