"""Directives that decide which file holds the data, through site.yml: crashes, kills and neighbours, with every key counted."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest
from keyfleet.core.instance.carry_out import KILL_VARIABLE
from support.playbooks import Deployment, free_port

KEYS = 100


def fill(deployment: Deployment, port: int, db: int = 0) -> None:
    """Write keys and save them."""
    with deployment.client(port, db=db) as client:
        client.mset({f"key:{number}": number for number in range(KEYS)})
        client.save()


def lose(deployment: Deployment, name: str = "default") -> None:
    """Kill supervisor and server, as a lost machine would end them."""
    status = json.loads((deployment.root() / f"run/keyfleet/{name}/status.json").read_text(encoding="utf-8"))
    for kind in ("runner_pid", "server_pid"):
        os.kill(status[kind], signal.SIGKILL)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"appendonly": True}, {"appendonly": True, "appenddirname": "other"}),
        ({}, {"dbfilename": "other.rdb"}),
    ],
    ids=["appenddirname", "dbfilename"],
)
def test_a_reported_move_then_a_crash(deployment: Deployment, port: int, before: Any, after: Any) -> None:
    """What waits is not in the file: the lost machine comes back with its keys, and the next run moves them."""
    deployment.run(redis_server_directives=before).ok()
    fill(deployment, port)
    reported = deployment.run(redis_server_directives=after, redis_server_restart_policy="report").ok()
    assert "must be restarted (redis_server_restart_policy is report" in reported.output
    lose(deployment)
    run = deployment.run(redis_server_directives=after).ok()
    assert any("under the name" in step for step in run.result("redis_instances")["instances"][0]["steps"])
    with deployment.client(port) as client:
        assert KEYS == client.dbsize()
        assert {"other", "other.rdb"} & set(client.config_get("*name").values())
    assert [] == deployment.run(redis_server_directives=after).ok().changed


def test_a_run_killed_between_writing_and_applying(deployment: Deployment, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed with the file written and the append-only file still on, then the machine lost: the next run has every key."""
    deployment.run(redis_server_directives={"appendonly": True}).ok()
    with deployment.client(port) as client:
        client.mset({f"key:{number}": number for number in range(KEYS)})
    monkeypatch.setenv(KILL_VARIABLE, "switch_off")
    assert 2 == deployment.run(redis_server_directives={"appendonly": False}).rc
    monkeypatch.delenv(KILL_VARIABLE)
    lose(deployment)
    deployment.run(redis_server_directives={"appendonly": False}).ok()
    with deployment.client(port) as client:
        assert (KEYS, "no") == (client.dbsize(), client.config_get("appendonly")["appendonly"])


def test_a_neighbour_that_cannot_be_changed(deployment: Deployment, port: int) -> None:
    """The database that holds keys is named, and the instance beside is as it was, in its files too."""
    other = free_port()
    both = [{"name": "default", "port": port}, {"name": "extra", "port": other}]
    deployment.run(redis_server_instances=both).ok()
    fill(deployment, other, db=3)
    text = (deployment.root() / "etc/keyfleet/default/keyfleet.conf").read_text(encoding="utf-8")
    wrong = [{**both[0], "directives": {"appendonly": True}}, {**both[1], "directives": {"databases": 2}}]
    run = deployment.run(redis_server_instances=wrong)
    assert (2, True) == (run.rc, f"database 3 holds {KEYS} keys" in run.failures)
    assert text == (deployment.root() / "etc/keyfleet/default/keyfleet.conf").read_text(encoding="utf-8")
    with deployment.client(port) as client:
        assert "no" == client.config_get("appendonly")["appendonly"]
    with deployment.client(other, db=3) as client:
        assert KEYS == client.dbsize()


def test_restarts_of_several_hosts_are_one_after_the_other(deployment: Deployment, port: int) -> None:
    """Each instance of two hosts restarts once, a host's first and second, then those of the next."""
    deployment.hosts = ("node1", "node2")
    ports = {host: {name: free_port() for name in ("first", "second")} for host in deployment.hosts}
    deployment.variables["ports"] = ports
    deployment.variables["redis_server_instances"] = [
        {"name": name, "port": "{{ ports[inventory_hostname]." + name + " }}"} for name in ("first", "second")
    ]
    deployment.run().ok()
    run = deployment.run(redis_server_directives={"databases": 4}).ok()
    done = [record for record in run.records if record["action"] == "keyfleet.redis.redis_restart" and record["outcome"] == "changed"]
    assert ["first", "second"] * 2 == [record["result"]["instances"][0]["name"] for record in done]
    assert [] == deployment.run(redis_server_directives={"databases": 4}).ok().changed
