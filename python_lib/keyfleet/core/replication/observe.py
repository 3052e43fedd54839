# SPDX-License-Identifier: MIT
"""Connect to every server and Sentinel of a replication, and read its state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Optional

from ..connect.settings import Settings
from ..connect.values import split_address
from ..errors import CredentialsError, KeyfleetError, RefusedError, UnreachableError
from .model import LISTED, RETIRED, DesiredReplication, Member, ReplicationState
from .node import ReplicationNode, Report, format_place, open_node, places_of
from .sentinels import Sentinel, Watched, agreed, open_sentinels, refuse_silent

CONNECTIONS_AT_A_TIME = 16


@dataclass
class Observed:
    """
    Connections to what answers.

    Attributes:
        nodes: Servers by address, in the order of the inventory.
        kinds: LISTED or RETIRED for each.
        unreachable: Retired addresses that do not answer.
        sentinels: Those that watch this replication.
        expected: Addresses of listed servers that do not run yet and will be empty; in check mode alone.
    """

    nodes: dict[str, ReplicationNode] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    unreachable: tuple[str, ...] = ()
    sentinels: list[Sentinel] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def close(self) -> None:
        """End all connections."""
        for node in (*self.nodes.values(), *self.sentinels):
            node.close()

    def address_of(self, place: tuple[str, int], reports: Mapping[str, Report]) -> str:
        """Return the address of the server that others call *place*; the place itself if it is none of these."""
        for candidates in ({place}, places_of(*place)):
            for address, node in self.nodes.items():
                if candidates & node.places:
                    return address
        known = [address for address in reports if self._announced(address, reports) == place]
        return known[0] if len(known) == 1 else format_place(place)

    def _announced(self, address: str, reports: Mapping[str, Report]) -> Optional[tuple[str, int]]:
        """Return the address that a replica announces to its primary, if it can be no other replica."""
        own = reports[address]
        for other in reports.values():
            places = [place for place, offset in other.replicas.items() if offset == own.offset and other.history == own.history]
            if len(places) == 1 and len(other.replicas) == 1 and own.follows is not None:
                return places[0]
        return None


def connect_members(
    settings: Settings, sentinel_settings: Settings, desired: DesiredReplication, expected: Collection[str] = ()
) -> Observed:
    """
    Connect to all servers and Sentinels.

    Args:
        expected: Addresses of listed servers that are not asked, since they do not run yet.
    Raises:
        RefusedError: naming every listed server that cannot be used, or two addresses of one server.
        ServerError: if so many Sentinels do not answer that the primary cannot be asked for.
    """
    observed = Observed()
    observed.expected = tuple(address for address in desired.members if address in expected)
    listed = _open(settings, [address for address in desired.members if address not in expected], LISTED, observed)
    _refuse_unusable(listed)
    retired = _open(settings, desired.retired, RETIRED, observed)
    _refuse_unusable({address: error for address, error in retired.items() if isinstance(error, CredentialsError)})
    observed.unreachable = tuple(retired)
    sentinels, errors = open_sentinels(sentinel_settings, desired.sentinels)
    refuse_silent(errors, len(desired.sentinels))
    for sentinel in sentinels:
        if sentinel.watched(desired.service) is None:  # it watches others, and this one not yet
            sentinel.close()
        else:
            observed.sentinels.append(sentinel)
    return observed


def _open(settings: Settings, addresses: Iterable[str], kind: str, observed: Observed) -> dict[str, KeyfleetError]:
    """Connect to *addresses*; return for each that does not answer why."""
    errors: dict[str, KeyfleetError] = {}
    places = list(addresses)
    with ThreadPoolExecutor(CONNECTIONS_AT_A_TIME) as pool:
        opened = list(pool.map(lambda place: open_node(settings, *split_address(place)), places))
    for address, (node, error) in zip(places, opened):
        if node is None:
            errors[address] = error or UnreachableError(address, "it does not answer")
            continue
        twin = next((one for one, other in observed.nodes.items() if other.report.run_id == node.report.run_id), None)
        if twin is not None:
            node.close()
            raise RefusedError(f"{address} and {twin} are the same server")
        observed.nodes[address], observed.kinds[address] = node, kind
    return errors


def _refuse_unusable(errors: Mapping[str, KeyfleetError]) -> None:
    if len(errors) == 1:
        raise next(iter(errors.values()))
    if errors:
        raise RefusedError(f"{len(errors)} servers cannot be used: {'; '.join(f'{address}: {error}' for address, error in errors.items())}")


def read_state(observed: Observed, service: str) -> ReplicationState:
    """Return what all servers and Sentinels say now."""
    reports = {address: node.read() for address, node in observed.nodes.items()}
    view = read_view(observed, service)
    members = {address: Member(address, history=f"{number:040x}") for number, address in enumerate(observed.expected, 1)}
    for address, report in reports.items():
        follows = None if report.follows is None else observed.address_of(report.follows, reports)
        members[address] = Member(
            address=address,
            kind=observed.kinds[address],
            follows=follows,
            is_linked=report.is_linked,
            offset=report.offset,
            history=report.history,
            former_history=report.former_history,
            former_until=report.former_until,
            keys=report.keys,
            replicas=len(report.replicas),
        )
    named = None if view is None else observed.address_of(view.primary, reports)
    watched = frozenset(observed.address_of(place, reports) for place in view.servers) if view else frozenset[str]()
    return ReplicationState(members, observed.unreachable, named, watched)


def read_view(observed: Observed, service: str) -> Optional[Watched]:
    """Return what a majority of the Sentinels that watch the replication says; None without one."""
    views = [view for view in (sentinel.watched(service) for sentinel in observed.sentinels) if view is not None]
    return agreed(views, len(views))


def what_is_unsettled(observed: Observed, service: str) -> str:
    """Return why the state cannot be judged yet: data that is loaded, a failover in progress; empty if it can."""
    for node in observed.nodes.values():
        if node.read().is_loading:
            return f"{node.address} loads its data"
    views = [view for view in (sentinel.watched(service) for sentinel in observed.sentinels) if view is not None]
    if not views:
        return ""
    view = agreed(views, len(views))
    if view is None:
        return f"the Sentinels do not agree on the primary of {service}, or fail over"
    reports = {address: node.report for address, node in observed.nodes.items()}
    named = observed.nodes.get(observed.address_of(view.primary, reports))
    if named is not None and named.report.follows is not None:
        return f"the Sentinels name {named.address} as the primary of {service}, and it is a replica"
    if named is None and format_place(view.primary) in observed.unreachable:
        return f"the Sentinels name {format_place(view.primary)} as the primary of {service}, and it does not answer"
    return ""
