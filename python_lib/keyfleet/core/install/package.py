# SPDX-License-Identifier: MIT
"""The distribution's package of an engine: its version, and the unit that it brings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..host.commands import run
from ..host.text_files import read_lines

# Commands that print name, state and version of packages, a line each.
_VERSION_COMMANDS = {
    "apt": ["dpkg-query", "-W", r"-f=${Package} ${db:Status-Status} ${Version}\n"],
    "dnf": ["rpm", "-q", r"--queryformat=%{NAME} installed %{EVR}\n"],
}
APK_DATABASES = ("lib/apk/db/installed", "usr/lib/apk/db/installed")  # the second since apk 3
PACKAGE_MANAGERS = (*_VERSION_COMMANDS, "apk")


@dataclass(frozen=True)
class Package:
    """
    What the distribution's package brings along.

    Attributes:
        unit: Its own systemd unit.
        config: Its own configuration file.
        name: Its name.
        manager: Which package manager knows it: one of ``PACKAGE_MANAGERS``.
    """

    unit: str
    config: str
    name: str
    manager: str = "apt"


@dataclass(frozen=True)
class PackageRequest:
    """
    A package that shall be installed.

    Attributes:
        name: Without a version; ``@`` marks a module of dnf.
        version: The exact one; empty for whatever is there.
        argument: Both, as the package manager takes them.
    """

    name: str
    version: str
    argument: str


@dataclass
class PackageUnit:
    """
    State of the package's own unit.

    Attributes:
        in_the_way: It must not run: it has, or would have, a port of keyfleet's; or it comes with the package that this run
            installs, enabled and without a password.
    """

    installed: bool = False
    active: bool = False
    enabled: bool = False
    masked: bool = False
    in_the_way: bool = False


def installed_version(package: Package, root: str = "/") -> str:
    """Return the version of a package as its manager writes it, with the epoch if it has one; empty if it is not installed."""
    return installed_versions([package.name], package.manager, root).get(package.name, "")


def installed_versions(names: Sequence[str], manager: str, root: str = "/") -> dict[str, str]:
    """
    Return the versions of those packages that are installed, in one call of the package manager.

    Args:
        manager: One of ``PACKAGE_MANAGERS``.
        root: Where the database of apk is.
    """
    if manager == "apk":
        return _apk_versions(names, root)
    with contextlib.suppress(OSError):  # a package that is not known makes the call fail, and the others are printed all the same
        rows = [line.split(" ") for line in run([*_VERSION_COMMANDS[manager], *names]).stdout.splitlines()]
        return {row[0]: row[2] for row in rows if len(row) == 3 and row[1] == "installed"}
    return {}


def _apk_versions(names: Sequence[str], root: str) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for line in (line for database in APK_DATABASES for line in read_lines(str(Path(root, database)))):
        if line.startswith("P:"):
            name = line[2:]
        elif line.startswith("V:") and name in names:
            found.setdefault(name, line[2:])
    return found


def missing_packages(requests: Iterable[PackageRequest], manager: str, root: str = "/") -> list[str]:
    """
    Return which packages are not installed, or not in the version that is asked for, as the package manager takes them.

    A module of dnf (``@``) is not judged: it decides what is installed, and not whether.

    Args:
        manager: One of ``PACKAGE_MANAGERS``.
        root: Where the database of apk is.
    """
    judged = [request for request in requests if not request.name.startswith("@")]
    installed = installed_versions([request.name for request in judged], manager, root)
    return [request.argument for request in judged if request.name not in installed or request.version not in ("", installed[request.name])]


def package_unit(properties: Mapping[str, str], *, collides: bool, installs: bool) -> PackageUnit:
    """
    Return the state of the package's own unit.

    Args:
        properties: As ``systemctl show`` prints them.
        collides: Whether its configuration has a port of keyfleet's.
        installs: Whether this run installs the package if it is not there.
    """
    unit = PackageUnit(
        installed=properties.get("LoadState") == "loaded",
        active=properties.get("ActiveState") in ("active", "activating", "reloading"),
        enabled=properties.get("UnitFileState") == "enabled",
        masked=properties.get("LoadState") == "masked",
    )
    unit.in_the_way = not unit.masked and (collides and (unit.active or unit.enabled) if unit.installed else installs)
    return unit
