# SPDX-License-Identifier: MIT
"""Whose turn it is: replicas first, primaries after a handover, each once, and none while a member is not well."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.errors import RefusedError, ServerError
from keyfleet.core.rolling.turn import Waiting, hand_over_each, take_turn


@dataclass
class ModelMembers:
    """
    Shards of some members, of which the first is the primary.

    Attributes:
        shards: Addresses.
        down: Those that do not answer.
        calls: What was asked, in order.
    """

    shards: list[list[str]]
    down: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """Raise if a member is down."""
        self.calls.append("settle")
        if self.down:
            raise ServerError("is down", ",".join(self.down))

    def is_primary(self, address: str) -> bool:
        """Return whether it is the first of its shard."""
        return any(shard[0] == address for shard in self.shards)

    def hand_over(self, address: str) -> str | None:
        """Put the next one in front."""
        self.calls.append(f"hand over {address}")
        shard = next(shard for shard in self.shards if shard[0] == address)
        if len(shard) == 1:
            return None
        shard.append(shard.pop(0))
        return shard[0]


SHARDS = st.lists(st.integers(1, 3), min_size=1, max_size=4).map(
    lambda sizes: [[f"s{shard}n{node}:1" for node in range(size)] for shard, size in enumerate(sizes)]
)


@given(SHARDS, st.data())
def test_each_restarts_once_and_no_primary_with_replicas(shards: list[list[str]], data: st.DataObject) -> None:
    """Whoever waits, in whatever order; replicas go before the primaries of then."""
    everyone = [address for shard in shards for address in shard]
    waiting = [Waiting(address, "h", address) for address in data.draw(st.permutations(everyone)) if data.draw(st.booleans())]
    members, order, wanted = ModelMembers(shards), [], {one.address for one in waiting}
    replicas = {address for shard in shards for address in shard[1:]}
    while waiting:
        turn = take_turn(members, waiting)
        shard = next(shard for shard in members.shards if turn.waiting.address in shard)
        assert len(shard) == 1 or shard[0] != turn.waiting.address
        assert members.calls[0] == "settle"
        assert turn.successor is None or members.calls[-1] == "settle"
        members.calls.clear()
        waiting.remove(turn.waiting)
        order.append(turn.waiting.address)
    assert (sorted(wanted), len(order)) == (sorted(order), len(set(order)))
    first_primary = next((place for place, address in enumerate(order) if address not in replicas), len(order))
    assert not replicas & set(order[first_primary:])


def test_none_restarts_while_a_member_is_down() -> None:
    """Not even a replica."""
    members = ModelMembers([["a:1", "b:1"], ["c:1", "d:1"]], down={"c:1"})
    with pytest.raises(ServerError, match="is down"):
        take_turn(members, [Waiting("b:1", "h", "b")])
    with pytest.raises(RefusedError, match="no member waits"):
        take_turn(ModelMembers([["a:1"]]), [])


@given(SHARDS)
def test_each_primary_hands_over_once(shards: list[list[str]]) -> None:
    """A successor does not hand back, and a primary without a replica stays."""
    primaries, sizes = [shard[0] for shard in shards], [len(shard) for shard in shards]
    members = ModelMembers(shards)
    found = hand_over_each(members, [address for shard in shards for address in shard])
    assert primaries == list(found)
    assert [size > 1 for size in sizes] == [bool(successor) for successor in found.values()]
    assert all(members.is_primary(successor or primary) for primary, successor in found.items())
