# SPDX-License-Identifier: MIT
"""Read every node, and judge whether these nodes may become one cluster; the judging is pure."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Optional

from ..connect.settings import Settings
from ..connect.values import format_nodes, split_address
from ..errors import CredentialsError, RefusedError, UnreachableError
from .model import LISTED, RETIRED, SLOTS, STALE, UNLISTED, ClusterState, Desired, DesiredNode, Member, format_slots
from .node import Node, Report, open_node
from .tables import Entry

CONNECTIONS_AT_A_TIME = 16


@dataclass
class Observed:
    """
    The nodes that answer, by id, and their kinds.

    Attributes:
        nodes: Connections.
        kinds: LISTED, RETIRED or UNLISTED for each.
        gone: Retired addresses that do not answer, as given and as the others know them; names also as what they resolve to.
        expected: Addresses of desired nodes that do not run yet and will be empty, by what stands for the id; in check mode alone.
        answered: Who answers at addresses that tables have, by host and port; also nodes that are none of these.
    """

    nodes: dict[str, Node]
    kinds: dict[str, str]
    gone: tuple[tuple[str, int], ...] = ()
    answered: dict[tuple[str, int], str] = field(default_factory=dict)
    expected: dict[str, str] = field(default_factory=dict)

    def close(self) -> None:
        """End all connections."""
        for node in self.nodes.values():
            node.close()


def connect_nodes(settings: Settings, desired: Desired, expected: Collection[str] = ()) -> Observed:
    """
    Connect to all nodes, those in the tables of others included.

    Args:
        expected: Addresses of desired nodes that are not asked, since they do not run yet.
    Raises:
        RefusedError: naming every desired node that cannot be used, or two addresses of one node.
    """
    observed = Observed({}, {})
    observed.expected = {f"node at {node.address}": node.address for node in desired.nodes if node.address in expected}
    opened = _open(settings, [node.address for node in desired.nodes if node.address not in expected], LISTED, observed)
    _refuse_unusable({address: error for address, error in opened.items() if error is not None}, len(opened))
    retired = _open(settings, desired.retired, RETIRED, observed)
    _refuse_unusable({address: error for address, error in retired.items() if isinstance(error, CredentialsError)}, len(retired))
    silent = [address for address, error in retired.items() if error is not None]
    names = [*silent, *(desired.announced[address] for address in silent if address in desired.announced)]
    observed.gone = tuple(place for name in names for place in _places(name))
    tables = [node.report.table for node in observed.nodes.values()]
    unknown = [entry for table in tables for entry in table.values() if entry.id not in observed.nodes and entry.host and entry.port]
    places = dict.fromkeys(format_nodes([(entry.host, entry.port)]) for entry in unknown)
    _open(settings, places, UNLISTED, observed, {entry.id for entry in unknown})
    return observed


def _open(
    settings: Settings, addresses: Iterable[str], kind: str, observed: Observed, expected: Optional[set[str]] = None
) -> dict[str, Optional[Exception]]:
    """Connect to *addresses*, of which only nodes with *expected* ids count; return for each why it does not answer."""
    found: dict[str, Optional[Exception]] = {}
    places = list(addresses)
    with ThreadPoolExecutor(CONNECTIONS_AT_A_TIME) as pool:
        opened = list(pool.map(lambda place: open_node(settings, *split_address(place)), places))
    for address, (node, error) in zip(places, opened):
        found[address] = error
        if node is None:
            continue
        observed.answered[split_address(address)] = node.id
        if node.id in observed.nodes or (expected is not None and node.id not in expected):
            node.close()
            if expected is None:
                raise RefusedError(f"{address} and {observed.nodes[node.id].address} are the same node ({node.id})")
        else:
            node.address = address
            observed.nodes[node.id], observed.kinds[node.id] = node, kind
    return found


def _places(address: str) -> list[tuple[str, int]]:
    host, port = split_address(address)
    with contextlib.suppress(OSError):
        return [(host, port), *((str(found[4][0]), port) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))]
    return [(host, port)]


def _refuse_unusable(errors: Mapping[str, Exception], count: int) -> None:
    if not errors:
        return
    refusing = [address for address, error in errors.items() if isinstance(error, CredentialsError)]
    if refusing and len(refusing) < count:
        raise RefusedError(f"{', '.join(refusing)} refuse the credentials that the other nodes accept; all nodes need the same ones")
    first = next(iter(errors.values()))
    if len(errors) == 1 or not all(isinstance(error, UnreachableError) for error in errors.values()):
        raise first
    raise RefusedError("; ".join(str(error) for error in errors.values()))


def read_state(observed: Observed, desired: Desired) -> ClusterState:
    """
    Ask all nodes anew and return what they say together.

    Raises:
        RefusedError: if nodes of different clusters would merge.
    """
    with ThreadPoolExecutor(CONNECTIONS_AT_A_TIME) as pool:
        list(pool.map(lambda node: node.read(), observed.nodes.values()))
    reports = {
        **{name: node.report for name, node in observed.nodes.items()},
        **{name: empty_report(name, address) for name, address in observed.expected.items()},
    }
    addresses = {**{name: node.address for name, node in observed.nodes.items()}, **observed.expected}
    kinds = {**observed.kinds, **dict.fromkeys(observed.expected, LISTED)}
    answered = {**observed.answered, **{(node.entry.host, node.entry.port): name for name, node in observed.nodes.items()}}
    state = assemble(reports, addresses, kinds, desired, observed.gone, answered)
    opened = {slot for member in state.members.values() for slot in (*member.importing, *member.migrating)}
    asked = sorted(opened | {slot for slot, owner in enumerate(state.owners) if owner is None})
    strays: dict[int, dict[str, int]] = {}
    for member in state.members.values():
        if member.is_reachable and member.primary is None and member.keys:
            commands = [("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in asked]
            for slot, count in zip(asked, observed.nodes[member.id].ask(*commands, problem="cannot count keys") if commands else []):
                if count:
                    strays.setdefault(slot, {})[member.id] = int(count)
    return ClusterState(state.members, state.owners, strays)


def empty_report(name: str, address: str) -> Report:
    """Return what a node will say that has just been started with empty files."""
    host, port = split_address(address)
    own = Entry(name, host, port, 0, "", frozenset({"myself", "master"}), None, 0, (), {}, {})
    return Report(own, {name: own}, is_ok=False, keys=0, offset=0, is_linked=True)


def assemble(
    reports: Mapping[str, Report],
    addresses: Mapping[str, str],
    kinds: Mapping[str, str],
    desired: Desired,
    gone: Sequence[tuple[str, int]] = (),
    answered: Mapping[tuple[str, int], str] = MappingProxyType({}),
) -> ClusterState:
    """
    Return what the reports of nodes say together; pure.

    Args:
        reports: Of every node that answers, by id.
        addresses, kinds: Of each of them.
        desired: Whose nodes have hosts, zones and weights.
        gone: Retired addresses that do not answer.
        answered: Ids by the host and port at which they answer. A node says its own host only after another has called it.
    """
    ours = main_cluster(reports, addresses, kinds)
    wanted = {node.address: node for node in desired.nodes}
    members = {}
    for name in ours:
        report, node = reports[name], wanted.get(addresses[name])
        members[name] = Member(
            id=name,
            address=addresses[name],
            kind=kinds[name],
            primary=report.own.primary,
            known=frozenset(report.table),
            keys=report.keys,
            offset=report.offset,
            importing=report.own.importing,
            migrating=report.own.migrating,
            **_place(node, report.own),
        )
    silent = _silent_entries(reports, ours)
    taken = {**{(report.own.host, report.own.port): name for name, report in reports.items()}, **answered}
    for entry in silent.values():
        seen = [reports[name].table[entry.id] for name in ours if entry.id in reports[name].table]
        # "fail" is what a majority has agreed on; an entry that few nodes have never gets so far
        is_failed = any("fail" in other.flags for other in seen) or all("fail?" in other.flags for other in seen)
        kind = UNLISTED
        if all(_is_stale(other, taken) for other in seen):
            kind, is_failed = STALE, True
        elif any(port == entry.port and host in (entry.host, entry.hostname) for host, port in gone):
            kind = RETIRED
        known_place = _place(None, entry)
        members[entry.id] = Member(
            id=entry.id, address=entry.address, kind=kind, is_reachable=False, is_failed=is_failed, primary=entry.primary, **known_place
        )
    return ClusterState(members, _owners({name: reports[name] for name in ours}, silent))


def _is_stale(entry: Entry, taken: Mapping[tuple[str, int], str]) -> bool:
    """
    Whether the entry of a node that does not answer leads nowhere: it has no address any more, or another node answers there.

    A node loses the address in a table when that node finds another id at it, which happens at any time after a start with empty files.
    """
    return "noaddr" in entry.flags or not entry.host or taken.get((entry.host, entry.port), entry.id) != entry.id


def _place(node: Optional[DesiredNode], entry: Entry) -> dict[str, Any]:
    if node is None:
        return {"host": entry.hostname or entry.host}
    return {"host": node.host, "zone": node.zone, "weight": node.weight}


def _silent_entries(reports: Mapping[str, Report], ours: Iterable[str]) -> dict[str, Entry]:
    """Return the newest entry of each node that is in a table and does not answer."""
    found: dict[str, Entry] = {}
    for name in ours:
        for entry in reports[name].table.values():
            if entry.id not in reports and (entry.id not in found or _rank(found[entry.id]) < _rank(entry)):
                found[entry.id] = entry
    return found


def _rank(entry: Entry) -> tuple[int, int, bool]:
    return (entry.epoch, sum(last - first for first, last in entry.slots), bool(entry.host))


def _owners(reports: Mapping[str, Report], silent: Mapping[str, Entry]) -> list[Optional[str]]:
    """Return the owner of each slot: of those that claim it the one with the greatest epoch."""
    claims = [report.own for report in reports.values() if report.own.primary is None] + list(silent.values())
    owners: list[Optional[str]] = [None] * SLOTS
    for entry in sorted(claims, key=lambda entry: (entry.epoch, entry.id in reports, entry.id)):
        for first, last in entry.slots:
            owners[first : last + 1] = [entry.id] * (last + 1 - first)
    return owners


def main_cluster(reports: Mapping[str, Report], addresses: Mapping[str, str], kinds: Mapping[str, str]) -> list[str]:
    """
    Return the ids of the nodes that are, or may become, one cluster.

    Raises:
        RefusedError: if a desired node belongs to another cluster, or holds keys or slots that are not of this one.
    """
    parts = [part for part in _connected(reports) if any(kinds[name] == LISTED for name in part)]
    parts.sort(key=lambda part: (-len(_slots(reports, part)), -sum(reports[name].keys for name in part), -len(part), part[0]))
    main = parts[0]
    taken = set(_slots(reports, main))
    has_keys = any(reports[name].keys for name in main)
    for part in parts[1:]:
        slots, keys = _slots(reports, part), sum(reports[name].keys for name in part)
        strangers = [addresses[name] for name in part if kinds[name] == UNLISTED]
        listed = ", ".join(addresses[name] for name in part if kinds[name] == LISTED)
        problem = ""
        if strangers:
            problem = f"belongs to another cluster, of which {', '.join(strangers)} is a member"
        elif keys and (has_keys or taken):
            problem = f"holds {keys} keys and is not a member of the cluster of {addresses[main[0]]}"
        elif not taken.isdisjoint(slots):
            problem = f"owns slots {format_slots(slots)} of another cluster than that of {addresses[main[0]]}"
        if problem:
            raise RefusedError(f"{listed} {problem}; to meet it would merge two clusters. Empty it first (FLUSHALL, CLUSTER RESET HARD)")
        taken |= set(slots)
        has_keys = has_keys or keys > 0
    return [name for name in reports if any(name in part for part in parts)]


def _connected(reports: Mapping[str, Report]) -> list[list[str]]:
    """Return the groups of nodes that know each other, directly or through others."""
    group = {name: name for name in reports}

    def root(name: str) -> str:
        while group[name] != name:
            group[name] = group[group[name]]
            name = group[name]
        return name

    for name, report in reports.items():
        for other in report.table:
            if other in group:
                group[root(other)] = root(name)
    parts: dict[str, list[str]] = {}
    for name in reports:
        parts.setdefault(root(name), []).append(name)
    return list(parts.values())


def _slots(reports: Mapping[str, Report], part: Iterable[str]) -> list[int]:
    return [slot for name in part for first, last in reports[name].own.slots for slot in range(first, last + 1)]
