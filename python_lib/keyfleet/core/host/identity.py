# SPDX-License-Identifier: MIT
"""
Which folder of which machine a path means, and which machine a port is on, so that two inventory names of one place are seen; reads only.

Source:
    random(4): ``boot_id`` is made anew at each boot, so that machines cloned from one image differ, which ``/etc/machine-id`` may not. The
    containers of one machine share it; device and inode distinguish their folders,
    and the network namespace (namespaces(7)) their ports.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

BOOT_ID = "/proc/sys/kernel/random/boot_id"
NETWORK = "/proc/self/ns/net"
# What listens on all addresses, by the IP version.
_ALL = {"*": 4, "0.0.0.0": 4, "::": 6, "::*": 6}  # noqa: S104 - names, nothing is bound here


def _boot() -> str:
    with suppress(OSError):
        return Path(BOOT_ID).read_text(encoding="ascii").strip()
    return ""


def network_identity() -> str:
    """Return a text that is equal for two processes exactly if they share ports; empty if it cannot be read."""
    boot = _boot()
    with suppress(OSError):
        return f"{boot}/{Path(NETWORK).readlink()}" if boot else ""
    return ""


def identity_of(path: str) -> str:
    """Return a text that is equal for two paths if they lead to one folder of one machine, there or to be made; empty if not known."""
    boot = _boot()
    if not boot:  # machines cannot be distinguished
        return ""
    place = Path(path)
    missing: list[str] = []
    while True:
        with suppress(OSError):
            status = place.stat()
            return "/".join([boot, f"{status.st_dev}:{status.st_ino}", *reversed(missing)])
        if place == place.parent:  # not even the root can be read
            return ""
        missing.append(place.name)
        place = place.parent


def twins(places: Mapping[str, str]) -> list[list[str]]:
    """
    Return the names that mean one place, a list for each such place.

    Args:
        places: Identity by inventory name; an empty one is not known, and equals no other.
    """
    by_place: dict[str, list[str]] = {}
    for name, place in places.items():
        if place:
            by_place.setdefault(place, []).append(name)
    return [names for names in by_place.values() if len(names) > 1]


@dataclass(frozen=True)
class Listener:
    """
    What an instance listens on.

    Attributes:
        host, instance: Names, for messages.
        addresses: As the directive ``bind`` takes them.
    """

    host: str
    instance: str
    port: int
    addresses: tuple[str, ...]

    def collides(self, other: Listener) -> bool:
        """Return whether the system would refuse the second of both."""
        if self.port != other.port or self.port == 0:
            return False
        mine, theirs = ([_address(address) for address in one.addresses] for one in (self, other))
        return any(one == two or (one[0] == two[0] and "" in (one[1], two[1])) for one in mine for two in theirs)


def _address(text: str) -> tuple[int, str]:
    """Return IP version and address; an empty one for all."""
    plain = text.lstrip("-")
    if plain in _ALL:
        return _ALL[plain], ""
    parsed = ipaddress.ip_address(plain)
    return parsed.version, str(parsed)


def shared_ports(reports: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """
    Yield a sentence for each two instances of different inventory names that want one port of one machine.

    Args:
        reports: By inventory name ``network`` (from `network_identity`) and ``listens``, a list of ``name``, ``port`` and ``bind``.
    """
    by_network: dict[str, list[Listener]] = {}
    for host, report in reports.items():
        if report.get("network"):
            by_network.setdefault(report["network"], []).extend(_listeners(host, report["listens"]))
    for listeners in by_network.values():
        for one, two in combinations(listeners, 2):
            if one.host != two.host and one.collides(two):
                yield (
                    f"{one.host} (instance {one.instance}) and {two.host} (instance {two.instance}) are one machine, and both want port "
                    f"{one.port}: give one of them another port, or another address in bind"
                )


def _listeners(host: str, listens: Iterable[Mapping[str, Any]]) -> list[Listener]:
    return [Listener(host, one["name"], int(one["port"]), tuple(one["bind"])) for one in listens]
