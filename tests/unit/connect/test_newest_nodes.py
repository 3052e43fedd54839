# SPDX-License-Identifier: MIT
"""Which nodes of a cluster modules connect to: those that know the newest epoch and reach most primaries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.connect.sources import newest_nodes
from keyfleet.core.errors import CredentialsError, DeniedError, UnreachableError

PRIMARIES = 3
UNREACHABLE, DENIED = "unreachable", "denied"

# What asking a node gives: the epoch that it knows with whether it reaches the others, or an error.
replies = st.lists(st.tuples(st.integers(1, 4), st.booleans()) | st.sampled_from([UNREACHABLE, DENIED]), min_size=2, max_size=7)


def table(epoch: int, is_cut_off: bool) -> bytes:
    """Return the reply to CLUSTER NODES of the first of three primaries."""
    link = "disconnected" if is_cut_off else "connected"
    rows = [f"{0:040} 127.0.0.1:7000@17000 myself,master - 0 0 {epoch} connected 0-5460"]
    rows += [f"{number:040} 127.0.0.1:{7000 + number}@17000 master - 0 0 1 {link} {number * 5461}" for number in range(1, PRIMARIES)]
    return "\n".join(rows).encode()


@given(replies)
def test_only_connected_nodes_with_the_newest_epoch(found: list[tuple[int, bool] | str]) -> None:
    """Of those that were asked, until most of them are connected; all nodes where there is no such one."""
    nodes = [("127.0.0.1", 7000 + number) for number in range(len(found))]
    asked = []

    def ask(node: tuple[str, int]) -> bytes:
        asked.append(node)
        reply = found[nodes.index(node)]
        if isinstance(reply, str):
            raise UnreachableError("a:1", reply) if reply == UNREACHABLE else DeniedError("cluster", reply)
        return table(*reply)

    chosen = newest_nodes(nodes, ask)
    connected = {node: reply[0] for node, reply in zip(nodes, found) if node in asked and not isinstance(reply, str) and not reply[1]}
    assert chosen == ([node for node, epoch in connected.items() if epoch == max(connected.values())] or nodes)
    assert asked == nodes[: len(asked)]
    assert len(asked) == len(nodes) or 2 * len(connected) > len(nodes)


def test_the_only_node_is_not_asked() -> None:
    """Whoever connects asks it anyway."""
    assert [("a", 1)] == newest_nodes([("a", 1)], lambda _node: pytest.fail("asked"))


def test_a_wrong_password_is_tried_once() -> None:
    """Each try may count towards a lock-out."""
    asked = []

    def ask(node: tuple[str, int]) -> bytes:
        asked.append(node)
        raise CredentialsError("a:1", "wrong password")

    with pytest.raises(CredentialsError):
        newest_nodes([("a", 1), ("b", 2)], ask)
    assert [("a", 1)] == asked
