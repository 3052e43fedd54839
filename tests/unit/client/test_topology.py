# SPDX-License-Identifier: MIT
"""What servers say about the topology and about themselves."""

from __future__ import annotations

import pytest
from keyfleet._protocol.discovery import Shard, Watched, read_sentinel_replicas, read_slots, read_watched
from keyfleet._protocol.identity import Identity, read_redirection
from keyfleet._protocol.resp import ErrorReply
from keyfleet.core.connect.members import read_members


def test_slots_name_primaries_and_replicas() -> None:
    """An empty or unknown host means the server that was asked; further fields of a node are not ours."""
    reply = [
        [0, 5460, [b"10.0.0.1", 7000, b"id1", []], [b"10.0.0.4", 7003, b"id4", [b"hostname", b"h4"]]],
        [5461, 5461, [b"", 7001, b"id2"]],
        [5462, 16383, [b"?", 7002, b"id3"], [None, 7004]],
    ]
    assert [
        Shard(0, 5460, ("10.0.0.1", 7000), (("10.0.0.4", 7003),), ("id1", "id4")),
        Shard(5461, 5461, ("asked", 7001), (), ("id2",)),
        Shard(5462, 16383, ("asked", 7002), (("asked", 7004),)),
    ] == read_slots(reply, "asked")


def test_a_redirection_names_slot_and_address() -> None:
    """Also without a host, and with an IPv6 address."""
    assert (3999, ("127.0.0.1", 6381)) == read_redirection("MOVED 3999 127.0.0.1:6381", "asked")
    assert (1, ("asked", 6381)) == read_redirection("ASK 1 :6381", "asked")
    assert (1, ("fe80::1", 6381)) == read_redirection("MOVED 1 fe80::1:6381", "asked")


def test_replicas_that_cannot_serve_are_left_out() -> None:
    """Down for one Sentinel or for all, gone, or without contact to the primary."""

    def replica(port: bytes, flags: bytes, link: bytes) -> list[bytes]:
        return [b"name", b"x", b"ip", b"127.0.0.1", b"port", port, b"flags", flags, b"master-link-status", link]

    reply = [
        replica(b"1", b"slave", b"ok"),
        replica(b"2", b"slave,s_down", b"ok"),
        replica(b"3", b"s_down,o_down,slave,disconnected", b"err"),
        replica(b"4", b"slave", b"err"),
    ]
    assert [("127.0.0.1", 1)] == read_sentinel_replicas(reply)


NODES = (
    "aaa 10.0.0.1:6379@16379,host myself,master - 0 0 7 connected 0-100 200 [300->-bbb]\n"
    "bbb 10.0.0.2:6379@16379 master{b} - 0 0 9 {link} 101-199\n"
    "ccc 10.0.0.3:6379@16379 slave bbb 0 0 9 connected\n"
    "ddd 10.0.0.4:6379@16379 master,fail - 0 0 3 disconnected\n"
)


@pytest.mark.parametrize(("b", "link", "is_cut_off"), [("", "connected", False), (",fail?", "connected", True), ("", "disconnected", True)])
def test_nodes_report_epochs_and_who_is_cut_off(b: str, link: str, is_cut_off: bool) -> None:
    """Primaries without slots have no say; half of the others is no majority."""
    members = read_members(NODES.format(b=b, link=link).encode())
    assert (frozenset({"aaa", "bbb", "ccc", "ddd"}), "aaa", 9, frozenset({"ddd"})) == members[:4]
    assert is_cut_off == members.is_cut_off


def test_a_cluster_of_one_shard_has_no_majority_to_lose() -> None:
    """Its only primary decides alone."""
    assert not read_members(
        b"aaa 1.1.1.1:1@2 myself,master - 0 0 1 connected 0-16383\nbbb 1.1.1.2:1@2 slave,fail? aaa 0 0 1 disconnected\n"
    ).is_cut_off


def test_a_sentinel_reports_epoch_and_sight() -> None:
    """An error, where the user may not ask, yields neither."""
    assert Watched(4, False) == read_watched([b"flags", b"master", b"config-epoch", b"4"])
    assert Watched(4, True) == read_watched([b"flags", b"s_down,master", b"config-epoch", b"4"])
    assert Watched(0, False) == read_watched(ErrorReply("NOPERM no"))


GREETING = [b"server", b"redis", b"proto", 2, b"mode", b"cluster", b"role", b"master", b"modules", []]


@pytest.mark.parametrize(
    ("identity", "replies", "trouble"),
    [
        (Identity(), [], None),
        (Identity("cluster"), [GREETING], None),
        (Identity("sentinel"), [GREETING], "runs in cluster mode"),
        (Identity(role="master"), [GREETING], None),
        (Identity(role="replica"), [GREETING], "it is a master"),
        (Identity("cluster", node_id="a"), [GREETING, b"a"], None),
        (Identity("cluster", node_id="a"), [GREETING, b"b"], "it is node b and not a"),
        (Identity("cluster", "master", "a"), [ErrorReply("NOPERM no"), ErrorReply("NOPERM no")], None),
    ],
)
def test_who_answers_is_compared_with_who_is_meant(identity: Identity, replies: list[object], trouble: str | None) -> None:
    """What the user may not ask is not held against the server."""
    assert len(replies) == identity.introduction(reads_only=False)[1]
    found = identity.mismatch(replies)
    assert found is None if trouble is None else trouble in str(found)
