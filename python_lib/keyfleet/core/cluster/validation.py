# SPDX-License-Identifier: MIT
"""The user's nodes, checked before any server is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ..connect.values import ConversionError, format_nodes, split_address
from ..errors import SettingsError
from .model import SMALLEST_CLUSTER, Desired, DesiredNode, Limits


def parse_desired(
    nodes: Sequence[Mapping[str, Any]],
    retired: Sequence[str] = (),
    *,
    replicas: int = 1,
    shards: Optional[int] = None,
    rebalance: bool = False,
    assign_lost_slots: bool = False,
    announced: Optional[Mapping[str, str]] = None,
) -> Desired:
    """
    Return the desired cluster.

    Args:
        nodes: Each with ``address``, and perhaps ``host``, ``zone`` and ``weight``.
        announced: Of nodes in *retired*, where the others know them.
    Raises:
        SettingsError: for every problem: no address, an address twice, a weight that is not above 0, too few nodes.
    """
    problems: list[str] = []
    parsed = [_parse_node(node, number, problems) for number, node in enumerate(nodes)]
    seen: dict[str, str] = {}
    leaving = [_parse_address(address, f"retired[{number}]", problems) for number, address in enumerate(retired)]
    names = [f"nodes[{number}]" for number in range(len(parsed))] + [f"retired[{number}]" for number in range(len(leaving))]
    for name, address in zip(names, [*(node.address for node in parsed), *leaving]):
        if address in seen:
            problems.append(f"{name} is {address}, and so is {seen[address]}; name each node once")
        seen.setdefault(address, name)
    known = {address: _parse_address(place, f"announced[{address}]", problems) for address, place in (announced or {}).items()}
    problems += [f"announced has {address}, which is not in retired" for address in known if address not in leaving]
    if replicas < 0:
        problems.append(f"replicas is {replicas}; allowed: 0 or more")
    if shards is not None and shards < SMALLEST_CLUSTER:
        problems.append(f"shards is {shards}; allowed: {SMALLEST_CLUSTER} or more")
    if problems:
        raise SettingsError(*problems)
    return Desired(tuple(parsed), tuple(leaving), replicas, shards, rebalance, assign_lost_slots, known)


def parse_limits(keys: int, slots: int, wait_seconds: float) -> Limits:
    """
    Return how much is done at a time.

    Raises:
        SettingsError: if one of them is too small.
    """
    problems = [f"{name} is {value}; allowed: 1 or more" for name, value in (("batch_keys", keys), ("batch_slots", slots)) if value < 1]
    if not wait_seconds > 0:
        problems.append(f"wait_seconds is {wait_seconds:g}; allowed: more than 0")
    if problems:
        raise SettingsError(*problems)
    return Limits(keys, slots, wait_seconds)


def _parse_node(node: Mapping[str, Any], number: int, problems: list[str]) -> DesiredNode:
    name = f"nodes[{number}]"
    address = _parse_address(str(node["address"]), f"{name}.address", problems)
    weight = 1.0 if node.get("weight") is None else float(node["weight"])
    if not 0 < weight < float("inf"):
        problems.append(f"{name}.weight is {weight:g}; allowed: more than 0")
    return DesiredNode(address, node.get("host") or address.rpartition(":")[0], node.get("zone") or "", weight)


def _parse_address(address: str, name: str, problems: list[str]) -> str:
    try:
        return format_nodes([split_address(address)])
    except ConversionError:
        problems.append(f"{name} is {address!r}; allowed: host:port, an IPv6 address in brackets")
        return address
