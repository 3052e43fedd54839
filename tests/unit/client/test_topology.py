# SPDX-License-Identifier: MIT
"""What servers say about who serves what."""

from __future__ import annotations

from keyfleet._protocol.discovery import Shard, read_redirection, read_sentinel_replicas, read_slots


def test_slots_name_primaries_and_replicas() -> None:
    """An empty or unknown host means the server that was asked; further fields of a node are not ours."""
    reply = [
        [0, 5460, [b"10.0.0.1", 7000, b"id1", []], [b"10.0.0.4", 7003, b"id4", [b"hostname", b"h4"]]],
        [5461, 5461, [b"", 7001, b"id2"]],
        [5462, 16383, [b"?", 7002, b"id3"], [None, 7004]],
    ]
    assert [
        Shard(0, 5460, ("10.0.0.1", 7000), (("10.0.0.4", 7003),)),
        Shard(5461, 5461, ("asked", 7001), ()),
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
