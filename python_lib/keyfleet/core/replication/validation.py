# SPDX-License-Identifier: MIT
"""The user's servers, checked before any is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from ..connect.values import ConversionError, format_nodes, split_address
from ..errors import SettingsError
from .model import DesiredReplication


def parse_desired(
    members: Sequence[str],
    retired: Sequence[str] = (),
    sentinels: Sequence[str] = (),
    *,
    service: str = "",
    primary: Optional[str] = None,
    is_forced: bool = False,
    hands_over: bool = False,
    min_replicas_to_write: Optional[int] = None,
) -> DesiredReplication:
    """
    Return the desired replication.

    Raises:
        SettingsError: for every problem: no member, no address, an address twice, Sentinels without a service.
    """
    problems: list[str] = []
    lists = {"members": members, "retired": retired}
    parsed = {name: _parse_all(name, given, problems) for name, given in {**lists, "sentinels": sentinels}.items()}
    seen: dict[str, str] = {}
    for name in lists:
        for number, address in enumerate(parsed[name]):
            if address in seen:
                problems.append(f"{name}[{number}] is {address}, and so is {seen[address]}; name each server once")
            seen.setdefault(address, f"{name}[{number}]")
    if min_replicas_to_write is not None and not 0 <= min_replicas_to_write < max(len(members), 1):
        problems.append(f"min_replicas_to_write is {min_replicas_to_write}; allowed: 0 to {len(members) - 1}, the number of replicas")
    if not members:
        problems.append("members is empty; name at least one server")
    if sentinels and not service:
        problems.append("sentinels are given, and service is not: name the replication as the Sentinels know it")
    (wanted,) = _parse_all("primary", [primary], problems) if primary else (None,)
    if wanted is not None and wanted not in parsed["members"]:
        problems.append(f"primary is {primary}, which is not in members")
    if problems:
        raise SettingsError(*problems)
    return DesiredReplication(
        members=parsed["members"],
        retired=parsed["retired"],
        primary=wanted,
        service=service,
        sentinels=parsed["sentinels"],
        is_forced=is_forced,
        hands_over=hands_over,
        min_replicas_to_write=min_replicas_to_write,
    )


def _parse_all(name: str, addresses: Sequence[str], problems: list[str]) -> tuple[str, ...]:
    found = []
    for number, address in enumerate(addresses):
        try:
            found.append(format_nodes([split_address(address)]))
        except ConversionError:
            problems.append(f"{name}[{number}] is {address!r}; allowed: host:port, an IPv6 address in brackets")
    return tuple(found)
