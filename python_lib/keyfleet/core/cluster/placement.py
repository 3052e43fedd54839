# SPDX-License-Identifier: MIT
"""
Which node replicates which primary: as few changes as possible, and members of a shard on different hosts and zones wherever possible.

A shard is a set of nodes, so that a failover, which swaps two roles within it, changes nothing here.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Optional

SAME_HOST, SAME_ZONE = 10_000, 1


class Place(NamedTuple):
    """Where a node runs; an empty zone is unknown."""

    host: str
    zone: str


class Group:
    """The places of one shard's members; `cost` says how many pairs of them share a host or zone."""

    def __init__(self, places: Iterable[Place] = ()) -> None:
        self.hosts: Counter[str] = Counter()
        self.zones: Counter[str] = Counter()
        self.size = 0
        for place in places:
            self.add(place)

    def add(self, place: Place, by: int = 1) -> None:
        """Count a member in, or out with -1."""
        self.size += by
        self.hosts[place.host] += by
        self.zones[place.zone] += by

    def cost(self, place: Place, without: Optional[Place] = None) -> int:
        """Return what a member at *place* costs beside the others, *without* one of them."""
        hosts, zones = self.hosts[place.host], self.zones[place.zone]
        if without is not None:
            hosts -= without.host == place.host
            zones -= without.zone == place.zone
        return SAME_HOST * hosts + (SAME_ZONE * zones if place.zone else 0)

    def pairs(self) -> int:
        """Return the sum of the costs of all members."""
        hosts = sum(count * (count - 1) for count in self.hosts.values())
        return SAME_HOST * hosts + SAME_ZONE * sum(count * (count - 1) for zone, count in self.zones.items() if zone)

    def fewest_pairs(self, hosts: int, zones: int) -> int:
        """Return what that sum is at least with so many hosts and zones."""
        return SAME_HOST * _even_pairs(self.size, hosts) + SAME_ZONE * _even_pairs(self.size, zones)


def _even_pairs(members: int, places: int) -> int:
    """Return how often one member meets another of its place when they are spread evenly."""
    each, more = divmod(members, places) if places else (0, 0)
    return each * (more * (each + 1) + (places - more) * (each - 1))


class Seats:
    """
    The shards and who sits where, while a placement is computed.

    Args:
        places: Of every node.
        fixed: For each shard, in order, the nodes that stay in it.
        needs: For each shard the least number of movable members.
        current: For each movable node the shard that it is in, None if in none of these.
    """

    def __init__(
        self,
        places: Mapping[str, Place],
        fixed: Mapping[str, Iterable[str]],
        needs: Mapping[str, int],
        current: Mapping[str, Optional[str]],
    ) -> None:
        self.places, self.needs = places, needs
        self.shard_of = dict(current)
        self.groups = {shard: Group(places[node] for node in nodes) for shard, nodes in fixed.items()}
        self.sizes = dict.fromkeys(fixed, 0)
        for node, shard in current.items():
            if shard is not None:
                self._count(node, shard)

    def _count(self, node: str, shard: str, by: int = 1) -> None:
        self.groups[shard].add(self.places[node], by)
        self.sizes[shard] += by

    def move(self, node: str, shard: str) -> None:
        """Let *node* sit in *shard*."""
        former = self.shard_of[node]
        if former is not None:
            self._count(node, former, -1)
        self.shard_of[node] = shard
        self._count(node, shard)

    def cost(self, node: str) -> int:
        """Return what *node* costs where it sits."""
        shard = self.shard_of[node]
        return 0 if shard is None else self.groups[shard].cost(self.places[node], self.places[node])


def place_replicas(
    places: Mapping[str, Place], fixed: Mapping[str, Iterable[str]], needs: Mapping[str, int], current: Mapping[str, Optional[str]]
) -> dict[str, str]:
    """Return the shard of each movable node; arguments as for Seats, and every shard can have what it needs."""
    seats = Seats(places, fixed, needs, current)
    _seat_free_nodes(seats)
    _fill_from_others(seats)
    _separate(seats)
    return {node: shard for node, shard in seats.shard_of.items() if shard is not None}


def _seat_free_nodes(seats: Seats) -> None:
    """Seat nodes that are in no shard: first where members are missing, then where the fewest are."""
    free: dict[Place, list[str]] = {}
    for node in reversed([node for node, shard in seats.shard_of.items() if shard is None]):  # popped from the end
        free.setdefault(seats.places[node], []).append(node)
    count = sum(map(len, free.values()))
    while count:
        shard = min(seats.sizes, key=lambda name: (seats.sizes[name] >= seats.needs[name], seats.sizes[name]))
        crowded = sorted(free, key=lambda place: -len(free[place]))  # the fullest host first, or its nodes are left for themselves
        best = crowded[0]
        for place in crowded:
            if seats.groups[shard].cost(place) < seats.groups[shard].cost(best):
                best = place
            if not seats.groups[shard].cost(best):
                break
        seats.move(free[best].pop(), shard)
        if not free[best]:
            del free[best]
        count -= 1


def _fill_from_others(seats: Seats) -> None:
    """Let shards that have more than they need give to those that lack."""
    for shard in [name for name in seats.sizes if seats.sizes[name] < seats.needs[name]]:
        while seats.sizes[shard] < seats.needs[shard]:
            givers = {name: seats.sizes[name] - seats.needs[name] for name in seats.sizes}
            spare = [node for node, own in seats.shard_of.items() if own is not None and givers[own] > 0]
            if not spare:
                return
            group = seats.groups[shard]
            seats.move(min(spare, key=lambda node: (group.cost(seats.places[node]), -givers[seats.shard_of[node] or ""], node)), shard)


def _separate(seats: Seats) -> None:
    """Swap members of different shards as long as fewer pairs share a host or zone."""
    hosts = len({place.host for place in seats.places.values()})
    zones = len({place.zone for place in seats.places.values()} - {""})
    order = list(seats.shard_of)
    crowded = True
    while crowded:
        crowded = False
        for node in order:
            group = seats.groups[seats.shard_of[node] or ""]
            if seats.cost(node) and group.pairs() > group.fewest_pairs(hosts, zones) and _swap(seats, node, order):
                crowded = True


def _swap(seats: Seats, node: str, order: list[str]) -> bool:
    """Swap *node* with the first other one that lowers the cost of both shards together."""
    own, here = seats.shard_of[node] or "", seats.places[node]
    group, cost = seats.groups[own], seats.cost(node)
    seen = set()
    for other in order:
        shard, there = seats.shard_of[other] or "", seats.places[other]
        if shard == own or there == here or (shard, there) in seen:
            continue
        seen.add((shard, there))
        before = cost + seats.groups[shard].cost(there, there)
        after = group.cost(there, here) + seats.groups[shard].cost(here, there)
        if after < before:
            seats.move(node, shard)
            seats.move(other, own)
            return True
    return False


def spread(candidates: Iterable[str], places: Mapping[str, Place], count: int, taken: Iterable[str] = ()) -> list[str]:
    """Return *count* of the *candidates*, each from the zone and host that hold the fewest of those chosen and *taken*."""
    group = Group(places[node] for node in taken)
    waiting: dict[Place, list[str]] = {}
    for node in candidates:
        waiting.setdefault(places[node], []).append(node)
    zones: dict[str, list[tuple[int, int, Place]]] = {}
    for order, place in enumerate(waiting):
        zones.setdefault(place.zone, []).append((group.hosts[place.host], order, place))
    for heap in zones.values():
        heapq.heapify(heap)
    chosen: list[str] = []
    while len(chosen) < count:
        zone = min(zones, key=lambda name: group.zones[name])
        _count, order, place = heapq.heappop(zones[zone])
        chosen.append(waiting[place].pop(0))
        group.add(place)
        if waiting[place]:
            heapq.heappush(zones[zone], (group.hosts[place.host], order, place))
        if not zones[zone]:
            del zones[zone]
    return chosen


def crowded_shards(places: Mapping[str, Place], members: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return for each shard whose members share a host or zone what they share."""
    found = {}
    for shard, nodes in members.items():
        group = Group(places[node] for node in nodes)
        shared = [f"host {host}" for host, count in group.hosts.items() if count > 1]
        shared += [f"zone {zone}" for zone, count in group.zones.items() if count > 1 and zone]
        if shared:
            found[shard] = ", ".join(shared)
    return found
