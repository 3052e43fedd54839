# SPDX-License-Identifier: MIT
"""Hosts that cannot be a replication are refused before any is asked; those that can become the options of the module."""

from __future__ import annotations

from typing import Any

import pytest
from keyfleet.core.instance.model import Instance
from keyfleet.core.instance.validation import problems
from keyfleet.core.replication.inventory import groups_of, inventory_problems
from keyfleet.core.replication.model import LISTED, RETIRED, Member, ReplicationState
from keyfleet.core.replication.proof import judge_members


def said(address: str, *, names: tuple[str, ...] = ("default",), retired: bool = False, **options: Any) -> dict[str, Any]:
    """Return what a host says, with an instance for each name."""
    instances = [{"name": name, "address": f"{address}:{6379 + number}"} for number, name in enumerate(names)]
    common = {"primary": "", "force": False, "min_replicas_to_write": -1, "wait_seconds": 60}
    return {"instances": instances, "is_retired": retired, **common, **options}


def test_instances_of_one_name_form_a_replication() -> None:
    """Each has a name, its members in the order of the inventory, and the guard that fits its number of replicas."""
    hosts = {
        "one": said("10.0.0.1", names=("default", "sessions")),
        "two": said("10.0.0.2", names=("default", "sessions")),
        "three": said("10.0.0.3"),
        "four": said("10.0.0.4", retired=True),
    }
    assert [] == inventory_problems("orders", hosts)
    assert [
        {
            "service": "orders",
            "members": ["10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"],
            "retired": ["10.0.0.4:6379"],
            "min_replicas_to_write": 1,
        },
        {"service": "orders-sessions", "members": ["10.0.0.1:6380", "10.0.0.2:6380"], "retired": [], "min_replicas_to_write": 0},
    ] == groups_of("orders", hosts)


@pytest.mark.parametrize(
    ("hosts", "reason"),
    [
        ({"one": said("10.0.0.1")}, "has 1 instances on 1 hosts, and redis_topology is 'replication', which needs 2 or more"),
        ({"one": said("10.0.0.1", names=("default", "x")), "two": said("10.0.0.2")}, "the replication orders-x"),
        ({"one": said("10.0.0.1"), "two": said("10.0.0.1")}, "one/default and two/default at the same place, 10.0.0.1:6379"),
        ({"one": said("127.0.0.1"), "two": said("10.0.0.2")}, "redis_server_bind of one has loopback alone"),
        ({"one": said("10.0.0.1", force=True), "two": said("10.0.0.2")}, "redis_replication_force differs"),
        (
            {"one": said("10.0.0.1", primary="10.0.0.9:1"), "two": said("10.0.0.2", primary="10.0.0.9:1")},
            "redis_replication_primary is '10.0.0.9:1'; the addresses of orders are 10.0.0.1:6379, 10.0.0.2:6379",
        ),
        (
            {"one": said("10.0.0.1", min_replicas_to_write=2), "two": said("10.0.0.2", min_replicas_to_write=2)},
            "min_replicas_to_write is 2; allowed: 0 to 1",
        ),
    ],
)
def test_what_is_refused(hosts: dict[str, Any], reason: str) -> None:
    """Each with the variable and what is found."""
    assert reason in " ".join(inventory_problems("orders", hosts))


def test_the_last_member_may_be_alone_while_others_leave() -> None:
    """That is the way back to a single node."""
    assert [] == inventory_problems("orders", {"one": said("10.0.0.1"), "two": said("10.0.0.2", retired=True)})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"directives": {"min-replicas-to-write": 1}}, "set redis_replication_min_replicas_to_write instead"),
        ({"directives": {"rename-command": "REPLICAOF x"}}, "renames REPLICAOF, which replication needs"),
        ({"directives": {"masterauth": "x"}}, "directives.masterauth is given"),
        ({"port": 0, "unix_socket": True}, "port is 0: a member of a replication needs one"),
    ],
)
def test_what_an_instance_must_not_say(options: dict[str, Any], reason: str) -> None:
    """In the table of bad inputs, for a replication alone."""
    variables = variables_with({"name": "default", **options})
    assert reason in " ".join(problems({**variables, "topology": "replication"}))
    assert reason not in " ".join(problems({**variables, "topology": "single"}))


def variables_with(instance: dict[str, Any]) -> dict[str, Any]:
    """Return the variables of the role with one instance."""
    archive = {"source": "", "sha256": "", "make_flags": [], "jobs": 0, "keep": 2}
    return {
        "deployment": "redis",
        "engine": "redis",
        "install_method": "distro",
        "version": "",
        "archive": archive,
        "repo": {},
        "service_manager": "auto",
        "root": "/",
        "bind": ["10.0.0.1"],
        "directives": {},
        "users": [],
        "credential_rules": {},
        "log": "file",
        "log_keep_days": 7,
        "memory_percent": 60,
        "start_timeout_seconds": 300,
        "instances": [instance],
    }


def test_a_replica_announces_where_it_listens() -> None:
    """The address that the others reach, whatever its connections come from; one that listens everywhere is seen by its connections."""
    announced = {"replica-announce-ip": "10.0.0.1", "replica-announce-port": "6379"}
    for bind, expected in (
        (("127.0.0.1", "10.0.0.1"), announced),
        (("127.0.0.3",), {**announced, "replica-announce-ip": "127.0.0.3"}),
        (("*",), {"replica-announce-port": "6379"}),
    ):
        assert expected == Instance("default", bind=bind, topology="replication").announced()
    assert {"replica-announce-port": "6379"} == Instance(
        "default", bind=("10.0.0.1",), topology="replication", directives={"replica-announce-ip": "192.0.2.1"}
    ).announced()


def test_the_verdict_on_members() -> None:
    """One primary that all follow; a replica out of sync degrades it, and a server that leaves counts for nothing."""
    primary, replica = Member("a:1", replicas=1), Member("b:1", follows="a:1")
    leaving = Member("c:1", RETIRED, follows="b:1", is_linked=False)
    for members, named, status in (
        ((primary, replica, leaving), None, "ok"),
        ((primary, replica), "a:1", "ok"),
        ((primary, replica), "b:1", "failed"),
        ((primary, Member("b:1", LISTED, follows="a:1", is_linked=False)), None, "degraded"),
        ((primary, Member("b:1", follows="c:1")), None, "failed"),
        ((primary, Member("b:1")), None, "failed"),
        ((replica,), None, "failed"),
    ):
        assert status == judge_members(ReplicationState({one.address: one for one in members}, named=named)).status
