# SPDX-License-Identifier: MIT
"""In which order instances take each other's ports: generated moves, carried out one by one on a table of who has which port."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyfleet.core.errors import RefusedError
from keyfleet.core.instance.order import PortMove, port_order

NAMES = ("a", "b", "c", "d", "e")


@st.composite
def moves(draw: st.DrawFn) -> dict[str, PortMove]:
    """Instances with ports of their own before and after, of few ports, so that they meet; 0 is a stopped one, or one with a socket."""
    count = draw(st.integers(1, len(NAMES)))
    before, after = (draw(st.permutations(range(7001, 7008))) for _unused in range(2))
    silent = [draw(st.booleans()) for _unused in range(2 * count)]
    return {
        name: PortMove(0 if silent[2 * index] else before[index], 0 if silent[2 * index + 1] else after[index])
        for index, name in enumerate(NAMES[:count])
    }


@given(moves())
def test_no_instance_takes_a_port_that_another_has(planned: dict[str, PortMove]) -> None:
    """Every instance goes once, and each finds its port free."""
    order, parked = port_order(planned)
    assert sorted(planned) == sorted(order)
    ports = {name: move.before for name, move in planned.items()}
    for name in parked:
        ports[name] = 8000 + NAMES.index(name)
    for name in order:
        others = {port for other, port in ports.items() if other != name and port}
        assert planned[name].after not in others
        ports[name] = planned[name].after


@given(moves())
def test_only_rings_are_parked(planned: dict[str, PortMove]) -> None:
    """One instance of each ring, and nothing where all can go in some order; without moves, the order stays."""
    _order, parked = port_order(planned)
    holders = {move.before: name for name, move in planned.items() if move.before}
    for name in parked:
        chain = [name]
        while chain[-1] in planned and (following := holders.get(planned[chain[-1]].after)) not in (None, *chain):
            chain.append(str(following))
        assert planned[chain[-1]].after == planned[name].before
        assert [name] == [one for one in chain if one in parked]
    assert (list(planned), []) == port_order({name: PortMove(move.before, move.before) for name, move in planned.items()})


def test_port_that_waits_for_a_restart_is_not_taken() -> None:
    """Both are named, and what to do."""
    with pytest.raises(RefusedError, match="instance b shall have port 7001, which instance a has until its restart: give a its new"):
        port_order({"a": PortMove(7001, 7001), "b": PortMove(7002, 7001)})
    with pytest.raises(RefusedError, match="instance a shall have port 7002, which instance b has until its restart: give b its new"):
        port_order({"a": PortMove(7001, 7001, 7002), "b": PortMove(7002, 7002, 7001)})
    assert (["b", "a"], []) == port_order({"a": PortMove(7001, 7002), "b": PortMove(7002, 7003)})
    assert (["a", "b"], []) == port_order({"a": PortMove(7001, 7001, 7002), "b": PortMove(7002, 7003)})
