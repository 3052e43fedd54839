# SPDX-License-Identifier: MIT
"""The distribution's package of an engine: its version, and the unit that it brings."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..host.commands import run
from ..host.text_files import read_lines

# Commands that print the state and the version of an installed package.
_VERSION_COMMANDS = {
    "apt": ["dpkg-query", "-W", "-f=${db:Status-Status} ${Version}"],
    "dnf": ["rpm", "-q", "--queryformat=installed %{EVR}"],
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
    if package.manager == "apk":
        lines = [line for database in APK_DATABASES for line in read_lines(str(Path(root, database)))]
        following = lines[lines.index(f"P:{package.name}") :] if f"P:{package.name}" in lines else []
        return next((line[2:] for line in following if line.startswith("V:")), "")
    with contextlib.suppress(OSError):
        done = run([*_VERSION_COMMANDS[package.manager], package.name])
        status, _unused, version = done.stdout.partition(" ")
        return version if status == "installed" else ""
    return ""


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
