# SPDX-License-Identifier: MIT
"""What tables say, alone and together: recorded ones of Redis 7.0 and Valkey 9.1."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.cluster.model import LISTED, RETIRED, STALE, UNLISTED, ClusterState, Desired, DesiredNode
from keyfleet.core.cluster.node import Report
from keyfleet.core.cluster.observe import assemble
from keyfleet.core.cluster.tables import parse_table
from keyfleet.core.errors import RefusedError

RECORDED = """\
fd7be5 127.0.0.3:7000@17000 master - 0 1795778750159 3 connected 100-101 300-400
91623e 127.0.0.2:7000@17000,b.example.com myself,slave 871f4c 0 0 2 connected
871f4c :7001@17001 master - 0 1795778751162 1 connected 0-99 7 [100-<-fd7be5] [5->-91623e]
a0 ::1:7000@17000 handshake - 0 0 0 disconnected
b0 :0@0 slave,fail,noaddr 871f4c 1 1 0 disconnected
"""


def report(text: str, keys: int = 0) -> Report:
    """Return what a node says whose table is *text*."""
    everyone = parse_table(text)
    own = next(entry for entry in everyone.values() if "myself" in entry.flags)
    return Report(own, {entry.id: entry for entry in everyone.values() if not entry.is_transient}, True, keys, 0, True)


def lone(name: str, slots: str = "", keys: int = 0, epoch: int = 0) -> Report:
    """Return the report of a node that knows no other."""
    return report(f"{name} {name}.example:1@2 myself,master - 0 0 {epoch} connected {slots}", keys)


def together(
    *reports: Report,
    gone: tuple[tuple[str, int], ...] = (),
    kinds: dict[str, str] | None = None,
    answered: dict[tuple[str, int], str] | None = None,
) -> ClusterState:
    """Return the state of nodes that are listed, if *kinds* says nothing else."""
    found = {item.own.id: item for item in reports}
    addresses = {name: f"{name}:1" for name in found}
    nodes = tuple(DesiredNode(address, f"host-{address}") for address in addresses.values())
    return assemble(found, addresses, {**dict.fromkeys(found, LISTED), **(kinds or {})}, Desired(nodes), gone, answered or {})


def test_a_table_is_read() -> None:
    """Names, missing addresses, IPv6, open slots."""
    table = parse_table(RECORDED)
    assert ("127.0.0.2", 7000, 17000, "b.example.com") == tuple(table["91623e"][1:5])
    assert "b.example.com:7000" == table["91623e"].address
    assert ("871f4c", ()) == (table["91623e"].primary, table["91623e"].slots)
    assert ("", ((0, 99), (7, 7)), {100: "fd7be5"}, {5: "91623e"}) == (
        table["871f4c"].host,
        table["871f4c"].slots,
        table["871f4c"].importing,
        table["871f4c"].migrating,
    )
    assert ("::1", True, "[::1]:7000") == (table["a0"].host, table["a0"].is_transient, table["a0"].address)


def test_the_newest_claim_owns_a_slot() -> None:
    """Of two that claim it, and of a table that is outdated."""
    first = report("a a.example:1@2 myself,master - 0 0 3 connected 0-10\nc c.example:1@2 master - 0 0 1 connected 5-20")
    second = report("b b.example:1@2 myself,master - 0 0 4 connected 5-10\na a.example:1@2 master - 0 0 3 connected 0-10")
    state = together(first, second)
    assert [*["a"] * 5, *["b"] * 6, *["c"] * 10, None] == list(state.owners[:22])


def test_silent_entries_are_classified() -> None:
    """Stale where another node answers or no address is left, retired where the user says so, else not named."""
    table = """\
a a.example:1@2 myself,master - 0 0 3 connected 0-10
b a.example:1@2 master,fail - 0 0 2 disconnected
c :0@0 master,noaddr - 0 0 2 disconnected
d 10.0.0.4:1@2 slave,fail? a 0 0 2 disconnected
e 10.0.0.5:1@2 slave a 0 0 2 connected
f 10.0.0.6:1@2 slave,fail a 0 0 2 connected
"""
    state = together(report(table), gone=(("10.0.0.4", 1), ("10.0.0.5", 1)))
    assert {"a": LISTED, "b": STALE, "c": STALE, "d": RETIRED, "e": RETIRED, "f": UNLISTED} == {
        name: member.kind for name, member in state.members.items()
    }
    assert {"b", "c", "d", "f"} == {name for name, member in state.members.items() if member.is_failed}


@given(st.data())
def test_a_node_whose_address_is_lost_or_taken_is_gone(data: st.DataObject) -> None:
    """Whatever each table still says of it, and whether or not the node at its address knows its own host; else it is not named."""
    count = data.draw(st.integers(1, 4))
    entries = {
        "no address": "z :0@0 {flags},noaddr - 0 0 9 disconnected 0-99",
        "taken": "z 10.0.0.9:1@2 {flags} - 0 0 9 connected 0-99",
        "free": "z 10.0.0.8:1@2 {flags} - 0 0 9 disconnected 0-99",
    }
    seen = [data.draw(st.sampled_from(list(entries))) for _number in range(count)]
    tables = []
    for number, kind in enumerate(seen):
        flags = data.draw(st.sampled_from(["master", "master,fail", "master,fail?"]))
        others = [f"n{other} 10.0.0.{other}:1@2 master - 0 0 1 connected" for other in range(count) if other != number]
        own = f"n{number} 10.0.0.{number}:1@2 myself,master - 0 0 1 connected"
        tables.append(report("\n".join([own, *others, entries[kind].format(flags=flags)])))
    knows_host = data.draw(st.booleans())
    tables.append(report(f"new {'10.0.0.9' if knows_host else ''}:1@2 myself,master - 0 0 0 connected"))
    kinds = {"new": data.draw(st.sampled_from([LISTED, RETIRED]))}
    state = together(*tables, kinds=kinds, answered={} if knows_host else {("10.0.0.9", 1): "new"})
    lost = state.members["z"]
    assert (STALE if "free" not in seen else UNLISTED) == lost.kind
    assert lost.is_failed or "free" in seen
    assert ["z"] * 100 == list(state.owners[:100])


def test_a_node_that_no_one_names_took_the_address() -> None:
    """It is none of the observed nodes, and answers where the lost one was."""
    table = "a a.example:1@2 myself,master - 0 0 1 connected 0-9\nz 10.0.0.9:1@2 master,fail - 0 0 9 disconnected 10-19"
    assert STALE == together(report(table), answered={("10.0.0.9", 1): "other"}).members["z"].kind
    assert UNLISTED == together(report(table), answered={("10.0.0.9", 1): "z"}).members["z"].kind


def test_what_a_killed_creation_left_may_meet() -> None:
    """Nodes without keys that own different slots and know no other."""
    state = together(lone("a", "0-99", epoch=1), lone("b", "100-199", epoch=2), lone("c"))
    assert {"a", "b", "c"} == set(state.members)


@pytest.mark.parametrize(
    ("stranger", "kinds", "reason"),
    [
        (lone("b", "50"), {}, "b:1 owns slots 50 of another cluster than that of a:1"),
        (lone("b", "", keys=3), {}, "b:1 holds 3 keys and is not a member of the cluster of a:1"),
        (
            report("b b.example:1@2 myself,master - 0 0 0 connected\nx x.example:1@2 master - 0 0 0 connected"),
            {"x": UNLISTED},
            "b:1 belongs to another cluster, of which x:1 is a member",
        ),
    ],
)
def test_two_clusters_do_not_merge(stranger: Report, kinds: dict[str, str], reason: str) -> None:
    """A node of another cluster brings all the others of it."""
    others = [replace(lone(name), table={}) for name in kinds]
    with pytest.raises(RefusedError, match=reason):
        together(lone("a", "0-99", keys=1), stranger, *others, kinds=kinds)


def test_a_retired_node_that_has_left_is_none_of_this_cluster() -> None:
    """It runs, knows no other and is known by none."""
    assert {"a"} == set(together(lone("a", "0-99"), lone("r"), kinds={"r": RETIRED}).members)
