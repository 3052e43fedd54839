# SPDX-License-Identifier: MIT
"""What a distribution calls the packages of an engine, and what it does not have; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .package import Package, PackageRequest

BASE = "base"  # the table whose values hold where that of a system says nothing
# Identifiers of os-release(5), its own or one that it says it is like, and the name of the family in the tables.
_FAMILIES = {"debian": "Debian", "rhel": "RedHat", "fedora": "RedHat", "centos": "RedHat", "alpine": "Alpine"}
_NAMES = {"almalinux": "AlmaLinux", "centos": "CentOS", "ol": "OracleLinux", "rhel": "RedHat"}  # the others only begin with a capital


@dataclass(frozen=True)
class System:
    """
    The distribution of a host.

    Attributes:
        family: Such as ``Debian`` or ``RedHat``; the distribution's own name where it is like no other.
        distribution: Such as ``Debian`` or ``Ubuntu``.
        release: Its major version; empty if it has none.
    """

    family: str
    distribution: str
    release: str

    @classmethod
    def of(cls, identifier: str, like: Sequence[str], release: str) -> System:
        """Return the system that ``ID``, ``ID_LIKE`` and the first part of ``VERSION_ID`` of os-release say."""
        distribution = _NAMES.get(identifier, identifier.capitalize() or "Unknown")
        families = [_FAMILIES[name] for name in (identifier, *like) if name in _FAMILIES]
        return cls(families[0] if families else distribution, distribution, release)

    @property
    def name(self) -> str:
        """Distribution and release, for people."""
        return f"{self.distribution} {self.release}".strip()

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables about the system, general to specific."""
        return (BASE, *(f"{name}{end}" for name in (self.family, self.distribution) for end in ("", f"_{self.release}")))


@dataclass(frozen=True)
class SystemValues:
    """
    What a system calls things.

    Attributes:
        package_manager: One of ``package.PACKAGE_MANAGERS``.
        version_separator: What stands between a package and a pinned version.
        python_redis: The package of redis-py.
        build_packages: What building a server needs.
        packagings: For each engine ``packages`` (``@`` marks a module of dnf), ``unit`` and ``config``.
        lacks: Why the system does not have an engine, by engine.
    """

    package_manager: str
    version_separator: str
    python_redis: str
    build_packages: Sequence[str]
    packagings: Mapping[str, Mapping[str, Any]]
    lacks: Mapping[str, str]

    @classmethod
    def of(cls, system: System, tables: Mapping[str, Mapping[str, Any]]) -> SystemValues:
        """Join the tables of a system; what a more specific one says replaces the whole value."""
        merged: dict[str, Any] = {}
        for name in system.tables:
            merged.update(tables.get(name, {}))
        return cls(**merged)

    def package(self, engine: str) -> Package:
        """Return the package of an engine whose version counts."""
        packaging = self.packagings[engine]
        name = next(name for name in packaging["packages"] if not name.startswith("@"))
        return Package(packaging["unit"], packaging["config"], name, self.package_manager)

    def packages(self, engine: str, version: str, *, log_rotation: bool) -> list[PackageRequest]:
        """
        Return what shall be installed; redis-py is what the modules speak through.

        Args:
            version: Of every package of the engine; empty for whatever is there. A module of dnf has none.
            log_rotation: Whether logrotate is needed.
        """
        pinned = [self._request(name, "" if name.startswith("@") else version) for name in self.packagings[engine]["packages"]]
        return [*pinned, *(self._request(name, "") for name in (self.python_redis, *(["logrotate"] if log_rotation else [])))]

    def _request(self, name: str, version: str) -> PackageRequest:
        return PackageRequest(name, version, f"{name}{self.version_separator}{version}" if version else name)


def system_problems(system: System, values: SystemValues, engine: str, method: str, user: str) -> Iterator[str]:
    """
    Return why the packages of an engine cannot be installed on a system.

    Args:
        method: The value of ``redis_server_install_method``.
        user: Who manages the host; empty for root, who alone can install packages.
    """
    if method == "distro" and engine in values.lacks:
        others = [name for name in values.packagings if name not in values.lacks]
        other = f"Set redis_server_engine: {others[0]}, which it has, or put" if others else "Put"
        yield (
            f"redis_server_engine is {engine!r} with redis_server_install_method 'distro' on {system.name}: {values.lacks[engine]}. "
            f"{other} the program into redis_server_bin_dir yourself and set redis_server_install_method: none"
        )
    if method in ("distro", "repo") and user:
        yield (
            f"redis_server_install_method is {method!r} and the user on the host is {user!r}: become root (ansible_become: true), or set "
            "redis_server_install_method: none"
        )
    if method == "repo" and values.package_manager != "apt":
        yield (
            f"redis_server_install_method is 'repo', which is for apt, and {system.name} has {values.package_manager}: set up the "
            "repository yourself and use the method distro, or another one"
        )
