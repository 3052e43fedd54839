# SPDX-License-Identifier: MIT
"""What a host and its servers would refuse, found before anything is touched; reads only."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

from .connection import close, connect, translated
from .errors import CredentialsError, KeyfleetError
from .host import Host, opened, read_record
from .instances import Instance
from .judge import engine_version, judge
from .ports import listener
from .service_common import run
from .service_systemd import parse_properties
from .settings import Settings


@dataclass(frozen=True)
class Package:
    """
    What the distribution's package brings along.

    Attributes:
        unit: Its own systemd unit.
        config: Its own configuration file.
        name: Its name.
    """

    unit: str
    config: str
    name: str


@dataclass
class PackageUnit:
    """State of the package's own unit: ``in_the_way`` if it listens, or would listen, where one of ours is to."""

    installed: bool = False
    active: bool = False
    enabled: bool = False
    masked: bool = False
    in_the_way: bool = False


@dataclass
class Findings:
    """
    What was found.

    Attributes:
        problems: Why the run must not go on, each with the value found and what to do.
        binary_present, engine_version: Of the server's binary.
        package_version, package_unit: Of the distribution's package.
        running: Name of each deployed instance, and whether it runs.
        unlisted: Deployed instances that the inventory does not list.
    """

    problems: list[str] = field(default_factory=list)
    binary_present: bool = False
    engine_version: Optional[str] = None
    package_version: str = ""
    package_unit: PackageUnit = field(default_factory=PackageUnit)
    running: dict[str, bool] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as plain data."""
        return asdict(self)


def look(host: Host, instances: Sequence[Instance], package: Package, *, user: str, password_file: str, binary_required: bool) -> Findings:
    """
    Ask the host about everything that would stop the run halfway.

    Args:
        user: Who shall run the servers; checked when the run does not install a package that makes it.
        password_file: Where the generated password is kept on the controller; for messages.
        binary_required: True if the binary must be there already.
    """
    found = Findings()
    if host.service_manager == "systemd" and not Path("/run/systemd/system").is_dir():
        found.problems.append("redis_server_service_manager is 'systemd', but systemd does not run on this host: use 'process'")
        return found
    _look_at_binary(host, user, binary_required, found)
    _look_at_package(host, package, instances, found)
    for name in host.deployed_names():
        found.running[name] = host.manager(name).status().pid is not None
    found.unlisted = sorted(set(found.running) - {instance.name for instance in instances})
    for instance in instances:
        if instance.present:
            found.problems += _instance_problems(host, instance, package, found, password_file)
    return found


def _look_at_binary(host: Host, user: str, required: bool, found: Findings) -> None:
    found.binary_present = os.access(host.binary, os.X_OK)
    if found.binary_present:
        try:
            engine, found.engine_version = engine_version(host.binary)
        except KeyfleetError as error:
            found.problems.append(str(error))
            return
        if engine != host.engine:
            found.problems.append(f"redis_server_engine is {host.engine!r}, but {host.binary} is {engine} {found.engine_version}")
    elif required:
        found.problems.append(
            f"redis_server_install_method is 'none', but there is no program {host.binary}: set redis_server_bin_dir to its folder"
        )
    if required and os.geteuid() == 0:
        try:
            pwd.getpwnam(user)
        except KeyError:
            found.problems.append(f"redis_server_user is {user!r}, which this host does not know: make the user, or name another")


def _look_at_package(host: Host, package: Package, instances: Iterable[Instance], found: Findings) -> None:
    """Find the package's version, and whether its own instance would take a port that one of ours is to have."""
    with contextlib.suppress(OSError):
        done = run(["dpkg-query", "-W", "-f=${db:Status-Status} ${Version}", package.name])
        status, _, version = done.stdout.partition(" ")
        found.package_version = version if status == "installed" else ""
    if host.service_manager != "systemd":
        return
    done = run(["systemctl", "show", "-p", "LoadState", "-p", "ActiveState", "-p", "UnitFileState", package.unit])
    state = parse_properties(done.stdout)
    unit = found.package_unit
    unit.masked = state.get("LoadState") == "masked"
    unit.installed = state.get("LoadState") == "loaded"
    unit.active = state.get("ActiveState") in ("active", "activating", "reloading")
    unit.enabled = state.get("UnitFileState") == "enabled"
    ports = {instance.port for instance in instances if instance.present}
    collides = _configured_port(package.config) in ports
    unit.in_the_way = not unit.masked and collides and (not unit.installed or unit.active or unit.enabled)


def _configured_port(config: str) -> int:
    """Return the port in a configuration file; the server's default where the file is missing."""
    try:
        text = Path(config).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 6379
    ports = re.findall(r"^port\s+(\d+)", text, re.MULTILINE)
    return int(ports[-1]) if ports else 6379


def _instance_problems(host: Host, instance: Instance, package: Package, found: Findings, password_file: str) -> list[str]:
    where = f"redis_server_instances[{instance.name}]"
    problems = [f"{where}.bind has {address!r}, which is no address of this host" for address in instance.bind if not _is_ours(address)]
    record = read_record(host.layout(instance.name))
    if record and record.engine != host.engine:
        problems.append(
            f"{where} was deployed with engine {record.engine!r} and redis_server_engine is {host.engine!r}: moving data between engines "
            "is not supported; give the new engine an instance of another name"
        )
    if found.running.get(instance.name):
        problems += _password_problems(host, instance, where, password_file)
    problems += _port_problems(host, instance, where, package, found)
    if found.binary_present and not found.problems:
        verdict = judge(host.binary, instance.directives)
        problems += [f"{where}.directives: {problem}" for problem in verdict.problems]
    return problems


def _is_ours(address: str) -> bool:
    """Return whether this host has the address; one that may be missing (``-``) is not asked for."""
    if address.startswith("-") or address in ("*", "::*"):
        return True
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _password_problems(host: Host, instance: Instance, where: str, password_file: str) -> list[str]:
    """Return why the running server cannot be administered with the passwords at hand."""
    if instance.password is None:
        return [
            f"{where} runs, but its generated password is not in {password_file} any more. Put it back: the applications have it "
            f"(REDIS_PASSWORD in their profile). If nobody has it, stop the instance on the host (it saves its data first), remove "
            f"{password_file} if it is there, and run again: a new password is made then, and every application needs the new profile"
        ]
    try:
        with opened(host, instance, host.manager(instance.name).status().pid):
            pass
    except CredentialsError as error:
        return [f"{where} runs and refuses its password ({error.reason}): set redis_server_previous_password to the one it accepts"]
    except KeyfleetError as error:
        return [f"{where} runs and cannot be asked: {error}"]
    return []


def _port_problems(host: Host, instance: Instance, where: str, package: Package, found: Findings) -> list[str]:
    """Return which other process holds a port that the instance shall have."""
    if instance.port == 0:
        return []
    ours = host.manager(instance.name).status().pid if found.running.get(instance.name) else None
    for address in instance.bind:
        holder = listener(address.lstrip("-"), instance.port)
        if holder is None or holder.held_by(ours):
            continue
        if holder.unit == package.unit and _keys_at(instance.port) == 0:
            found.package_unit.in_the_way = True
            continue
        return [
            f"{where}.port is {instance.port}, where {holder} listens already: give the instance another port, or end that process"
            + (f" (systemctl disable --now {holder.unit}); it holds keys, so save them first" if holder.unit == package.unit else "")
        ]
    return []


def _keys_at(port: int) -> Optional[int]:
    """Return how many keys the server on a port has in all its databases; None if it does not say."""
    settings = Settings(port=port, retry_attempts=0)
    client = connect(settings)
    try:
        with translated(settings):
            return sum(int(database["keys"]) for database in client.info("keyspace").values())
    except KeyfleetError:
        return None
    finally:
        close(client)
