# SPDX-License-Identifier: MIT
"""What the tables of a cluster's nodes, and Sentinels, say about the deployment as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.connect.members import ListedNode, read_members, read_nodes
from keyfleet.core.errors import DeniedError, ServerError
from keyfleet.core.health.members import SentinelView, judge_members, judge_sentinels, sentinel_view

SHARDS = ("a", "b", "c")
RANGES = dict(zip(SHARDS, ("0-5460", "5461-10922", "10923-16383")))


def address(name: str) -> str:
    """Return the address of a node of the tests."""
    return f"127.0.0.{sum(name.encode()) % 200}:7000"


@dataclass
class Nodes:
    """A cluster of three shards, each with one replica (``a`` has ``a1``), as its primaries list it."""

    flags: dict[str, str] = field(default_factory=dict)
    unlinked: set[tuple[str, str]] = field(default_factory=set)
    ranges: dict[tuple[str, str], str] = field(default_factory=dict)
    without: set[str] = field(default_factory=set)

    def table(self, viewer: str) -> list[ListedNode]:
        """Return the table of *viewer*."""
        found = []
        for shard in SHARDS:
            for name, primary in ((shard, None), (f"{shard}1", shard)):
                if name in self.without:
                    continue
                flags = {"master" if primary is None else "slave", *self.flags.get(name, "").split()}
                flags |= {"myself"} if name == viewer else set()
                slots = (self.ranges.get((viewer, name), RANGES[shard]),) if primary is None else ()
                found.append(ListedNode(name, address(name), frozenset(flags), primary, 1, (viewer, name) not in self.unlinked, slots))
        return found

    def tables(self) -> dict[str, Any]:
        """Return the tables of the primaries by address."""
        return {address(name): self.table(name) for name in SHARDS}

    def online(self) -> dict[str, int]:
        """Return how many replicas each primary has in sync."""
        return {address(name): int(f"{name}1" not in self.without) for name in SHARDS}


def test_a_whole_cluster_is_ok() -> None:
    """With the numbers of nodes."""
    check = judge_members(Nodes().tables(), Nodes().online())
    assert ("ok", "") == (check.status, check.reason)
    assert {"nodes": 6, "primaries": 3, "replicas": 3, "failed": [], "suspected": [], "without_replica": []} == check.found


def test_a_cluster_without_replicas_is_ok() -> None:
    """No shard was given one."""
    nodes = Nodes(without={"a1", "b1", "c1"})
    assert "ok" == judge_members(nodes.tables(), nodes.online()).status


@pytest.mark.parametrize(
    ("nodes", "reasons"),
    [
        (Nodes(flags={"a1": "fail"}), [f"node {address('a1')} has failed, say 3 of the 3", f"the shard of {address('a')} has no replica"]),
        (Nodes(flags={"b": "fail?"}), [f"node {address('b')} may have failed, say 3 of the 3"]),
        (Nodes(unlinked={("a", "c1")}), [f"node {address('a')} has no link to node {address('c1')}"]),
        (Nodes(without={"c1"}), [f"the shard of {address('c')} has no replica"]),
        (
            Nodes(ranges={("b", "a"): "0-5459", ("b", "b"): "5460-10922"}),
            [f"the nodes {address('a')} and {address('b')} do not agree on the owner of the slots 0-5459, …"],
        ),
    ],
)
def test_what_is_wrong_is_named(nodes: Nodes, reasons: list[str]) -> None:
    """The check is degraded: keys that no node serves fail the check ``cluster``."""
    check = judge_members(nodes.tables(), nodes.online())
    assert "degraded" == check.status
    assert [] == [reason for reason in reasons if reason not in check.reason], check.reason


@pytest.mark.parametrize(("least", "status", "reasons"), [(0, "ok", ""), (1, "degraded", "has 0 of 1"), (2, "degraded", "has 1 of 2")])
def test_shards_have_the_replicas_that_are_expected(least: int, status: str, reasons: str) -> None:
    """Each shard that has fewer is named once, with both numbers."""
    nodes = Nodes(without={"c1"})
    check = judge_members(nodes.tables(), nodes.online(), least)
    assert (status, True) == (check.status, reasons in check.reason)
    lacking = [name for name in SHARDS if int(name != "c") < least]
    assert [check.reason.count(f"the shard of {address(name)} has") for name in SHARDS] == [int(name in lacking) for name in SHARDS]
    assert [address("c")] * (least > 0) == check.found["without_replica"]


def test_a_replica_that_is_not_connected_is_counted() -> None:
    """The table lists it, and INFO of its primary does not."""
    check = judge_members(Nodes().tables(), {**Nodes().online(), address("b"): 0})
    assert f"of the 1 replicas of {address('b')}, 0 are connected and in sync" == check.reason


def test_one_answer_is_enough_and_a_denied_command_skips() -> None:
    """A user without CLUSTER gets no verdict from it."""
    nodes = Nodes()
    assert "ok" == judge_members({**nodes.tables(), address("a"): DeniedError("CLUSTER", "no")}, nodes.online()).status
    denied = judge_members({"x": DeniedError("CLUSTER NODES", "no permissions")}, {})
    assert ("skipped", True) == (denied.status, "CLUSTER NODES" in denied.reason)
    assert "skipped" == judge_members({}, {}).status


@given(
    st.dictionaries(st.sampled_from(["a", "a1", "b", "b1", "c1"]), st.sampled_from(["fail", "fail?"])),
    st.sets(st.tuples(st.sampled_from(SHARDS), st.sampled_from(["a1", "b1", "c1"]))),
)
def test_every_node_that_is_not_well_is_named_once(flags: dict[str, str], unlinked: set[tuple[str, str]]) -> None:
    """Whatever comes together; a missing link to a node that failed is no problem of its own."""
    nodes = Nodes(flags, unlinked)
    check = judge_members(nodes.tables(), {})
    parts = check.reason.split("; ")
    for name, flag in flags.items():
        verb = "has failed" if flag == "fail" else "may have failed"
        assert 1 == sum(part.startswith(f"node {address(name)} {verb},") for part in parts)
    links = {(viewer, name) for viewer, name in unlinked if name not in flags}
    assert len(links) == sum("has no link" in part for part in parts)
    assert bool(flags or links) == (check.status != "ok")


def test_tables_are_read() -> None:
    """One parser for health and for the choice of a node; a slot that moves is owned by its owner alone."""
    text = (
        b"1 127.0.0.1:7000@17000,name myself,master - 0 0 3 connected 0-5460 [77->-2]\n"
        b"2 :0@0 master,fail,noaddr - 1 1 5 disconnected 5461-16383\n"
        b"3 ::1:7001@17001 slave 1 0 0 3 connected\n"
    )
    first, second, third = read_nodes(text)
    assert ("127.0.0.1:7000", ("0-5460",), True, None) == (first.address, first.slots, first.is_linked, first.primary)
    assert (":0", False, "1") == (second.address, second.is_linked, third.primary)
    members = read_members(text)
    assert ({"1", "2", "3"}, "1", 5, {"2"}, True) == (members.ids, members.own_id, members.epoch, members.failed, members.is_cut_off)
    check = judge_members({"x": [first, second, third]}, {})
    assert "node with id 2 has failed" in check.reason


WELL = SentinelView("127.0.0.1:6379", is_down=False, replicas=2, other_sentinels=2, quorum=2, no_failover="")


def test_sentinels_that_agree_are_ok() -> None:
    """With what they know."""
    check = judge_sentinels({"s1": WELL, "s2": WELL, "s3": WELL})
    assert "ok" == check.status
    expected = {"sentinels": 3, "answering": 3, "primaries": {"127.0.0.1:6379": ["s1", "s2", "s3"]}, "quorum": 2, "replicas": 2}
    assert expected == check.found


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (WELL._replace(primary="127.0.0.2:6379"), "do not agree on the primary: 127.0.0.1:6379 (s1, s2); 127.0.0.2:6379 (s3)"),
        (WELL._replace(is_down=True), "Sentinel s3 holds the primary 127.0.0.1:6379 for down"),
        (WELL._replace(no_failover="NOQUORUM 1 usable Sentinels"), "Sentinel s3 could not fail over: NOQUORUM 1 usable Sentinels"),
        (WELL._replace(other_sentinels=0), "Sentinel s3 knows 0 other Sentinels, and 3 are configured"),
        (ServerError("no such master", "s3"), "Sentinel s3 gives no answer: no such master"),
    ],
)
def test_what_a_sentinel_lacks_is_named(view: Any, reason: str) -> None:
    """The primary may be well, so the check is degraded."""
    check = judge_sentinels({"s1": WELL, "s2": WELL, "s3": view})
    assert ("degraded", True) == (check.status, reason in check.reason), check.reason


def test_flags_are_read_as_both_clients_give_them() -> None:
    """redis-py parses them into a set; a denied CKQUORUM says nothing."""
    fields = {"ip": "::1", "port": 6379, "flags": {"master", "s_down"}, "num-slaves": 1, "num-other-sentinels": 2, "quorum": 2}
    parsed = sentinel_view(fields, DeniedError("SENTINEL CKQUORUM", "no"))
    assert parsed == sentinel_view({**fields, "flags": "master,s_down", "port": "6379", "quorum": "2"}, "OK 3 usable")
    assert ("[::1]:6379", True, "") == (parsed.primary, parsed.is_down, parsed.no_failover)
    assert "NOQUORUM" == sentinel_view(fields, ServerError("NOQUORUM", "s")).no_failover
