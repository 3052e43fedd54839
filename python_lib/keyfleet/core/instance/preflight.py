# SPDX-License-Identifier: MIT
"""What a host and its servers would refuse, found before anything is touched; reads only."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

from ..connect.redis_py import HAS_REDIS
from ..directives.throwaway import config_get, throwaway
from ..directives.trial import engine_version, judge, limit_problems
from ..directives.values import Problem, to_lines
from ..errors import KeyfleetError
from ..host.accounts import Account, has_user
from ..host.commands import run
from ..host.identity import identity_of, network_identity
from ..host.ports import listener, unix_listener
from ..host.safe_paths import status_of
from ..install.package import Package, PackageUnit, installed_version, package_unit
from ..install.repository import repository_files
from ..layout import sentinel_file
from ..service.manager import ServiceStatus
from ..service.systemd import parse_properties
from .access import administration_problem
from .acl import user_problems
from .model import Host, Instance
from .record import read_record
from .starting import account_problems, change_problems, conditions, program_problems, root_problems, server_account

# The same places as in service/starters.py: ProtectHome and PrivateTmp, ExecPaths.
HIDDEN_BY_UNIT = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - names to search for
LIBRARIES = ("/usr/lib", "/lib", "/lib64", "/usr/local/lib")


@dataclass
class HostReport:
    """
    What was found.

    Attributes:
        problems: Why the run must stop, each with the value found and what to do.
        binary_present, engine_version: Of the server's binary.
        package_version, package_unit: Of the distribution's package.
        running: Name of each deployed instance, and whether it runs.
        unlisted: Deployed instances that the inventory does not list.
        redis_py, user_known: Whether the host has redis-py, and the user that shall run the servers.
        repository: Whether the host has an apt repository that keyfleet set up for the engine.
        sentinel: Whether a Sentinel was deployed below the root.
        place: Which root of which machine it is, see ``host/identity.py``.
        network: Which ports of which machine it has.
        listens: ``name``, ``port`` and ``bind`` of each present instance.
    """

    problems: list[str] = field(default_factory=list)
    binary_present: bool = False
    engine_version: Optional[str] = None
    package_version: str = ""
    package_unit: PackageUnit = field(default_factory=PackageUnit)
    running: dict[str, bool] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)
    redis_py: bool = HAS_REDIS
    user_known: bool = False
    repository: bool = False
    sentinel: bool = False
    place: str = ""
    network: str = ""
    listens: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as plain data."""
        return asdict(self)


def inspect_host(
    host: Host, instances: Sequence[Instance], package: Package, *, password_file: str, binary_required: bool, made: Collection[str] = ()
) -> HostReport:
    """
    Ask the host about everything that would stop the run halfway.

    Args:
        made: Users and groups that this run makes where they are missing.
        password_file: Where the generated password is kept on the controller; for messages.
        binary_required: True if the binary must be there already.
    """
    listens = [{"name": one.name, "port": port, "bind": list(one.bind)} for one in instances if one.present for port in one.ports or (0,)]
    found = HostReport(place=identity_of(host.root), network=network_identity(), listens=listens)
    if host.service_manager == "systemd" and not Path("/run/systemd/system").is_dir():
        found.problems.append("redis_server_service_manager is 'systemd', but systemd does not run on this host: use 'process'")
        return found
    _inspect_binary(host, binary_required, found)
    account = server_account(host)
    found.problems += account_problems(host, made)
    impossible = root_problems(host, account)
    if impossible:  # nothing below the root can be asked for
        found.problems += impossible
        return found
    if found.binary_present and not found.problems:
        found.problems += program_problems(host, account)
    judged = found.binary_present and not found.problems
    _inspect_package(host, package, instances, found, installs=not binary_required)
    found.repository = any(Path(path).exists() for path in repository_files(host.engine))
    found.sentinel = status_of(sentinel_file(host.root)) is not None
    deployed, listed = host.deployed_names(), [instance.name for instance in instances]
    statuses = {name: host.manager(name).status() for name in sorted({*deployed, *listed})}  # one may have lost its files, and run
    pids = {name: status.pid for name, status in statuses.items()}
    found.running = {name: pid is not None for name, pid in pids.items() if pid is not None or name in deployed}
    found.unlisted = sorted(set(deployed) - set(listed))
    found.problems += _change_problems(host, instances, statuses, account)
    judged_before: dict[str, list[Problem]] = {}
    for instance in instances:
        if instance.present:
            pid = pids.get(instance.name)
            found.problems += _instance_problems(host, instance, pid, password_file)
            found.problems += _tls_problems(host, instance) if judged else []
            found.problems += _listen_problems(host, instance, pids, package, found)
            if judged:
                found.problems += _directive_problems(host, instance, account, judged_before)
    return found


def _directive_problems(host: Host, instance: Instance, account: Optional[Account], judged_before: dict[str, list[Problem]]) -> list[str]:
    """
    Return what a server of the installed version refuses, as the user and within the limits that it will have.

    Args:
        judged_before: What was found for the directives of other instances; many have the same.
    """
    state, key = conditions(host, account), repr(sorted(instance.directives.items()))
    if key not in judged_before:
        found = [*judge(host.binary, instance.directives, state).problems, *limit_problems(host.binary, instance.directives, state)]
        judged_before[key] = found
    problems = judged_before[key]
    if problems:  # a server that does not start with them cannot judge users
        return [f"redis_server_instances[{instance.name}].directives: {problem}" for problem in problems]
    return [f"redis_server_instances[{instance.name}]: {problem}" for problem in user_problems(host, instance)]


def _tls_problems(host: Host, instance: Instance) -> list[str]:
    """Return whether the program cannot speak TLS."""
    if instance.tls == "off":
        return []
    with throwaway(host.binary, []) as ask:
        if config_get(ask, "tls-port"):
            return []
    return [
        f"redis_server_instances[{instance.name}].tls is {instance.tls!r}, and {host.binary} was built without TLS: install one that "
        "has it (Debian's packages do), or set tls to 'off'"
    ]


def _change_problems(
    host: Host, instances: Sequence[Instance], statuses: Mapping[str, ServiceStatus], account: Optional[Account]
) -> list[str]:
    """Return which running instances would get another user; under systemd those that are not listed too, since all share one unit."""
    present = {instance.name: instance.present for instance in instances}
    names = [name for name in statuses if present.get(name, host.service_manager == "systemd")]
    return [problem for name in names for problem in change_problems(host, name, statuses[name], account)]


def _inspect_binary(host: Host, required: bool, found: HostReport) -> None:
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
    hidden = hidden_by_unit(host.binary) if host.service_manager == "systemd" else None
    if hidden:
        found.problems.append(
            f"redis_server_bin_dir is {str(Path(host.binary).parent)!r}, and the systemd unit hides {hidden} from the server: put the "
            f"program elsewhere, outside of {', '.join(HIDDEN_BY_UNIT)}"
        )
    if not HAS_REDIS and (required or os.geteuid() != 0):
        found.problems.append(f"{sys.executable} has no redis-py, and this run may not install it: install python3-redis on the host")
    found.user_known = has_user(host.user)


def _inspect_package(host: Host, package: Package, instances: Iterable[Instance], found: HostReport, *, installs: bool) -> None:
    """Find the package's version, and whether its own instance must be kept from running."""
    found.package_version = installed_version(package)
    if host.service_manager != "systemd":
        return
    done = run(["systemctl", "show", "-p", "LoadState", "-p", "ActiveState", "-p", "UnitFileState", package.unit])
    collides = _configured_port(package.config) in {port for instance in instances if instance.present for port in instance.ports}
    found.package_unit = package_unit(parse_properties(done.stdout), collides=collides, installs=installs)


def _configured_port(config: str) -> int:
    """Return the port in a configuration file; the server's default where the file is missing."""
    try:
        text = Path(config).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 6379
    ports = re.findall(r"^port\s+(\d+)", text, re.MULTILINE)
    return int(ports[-1]) if ports else 6379


def _instance_problems(host: Host, instance: Instance, pid: Optional[int], password_file: str) -> list[str]:
    """Return what does not fit between the desired instance, this host, and what runs already as *pid*."""
    where = f"redis_server_instances[{instance.name}]"
    problems = [f"{where}.bind has {address!r}, which is no address of this host" for address in instance.bind if not _is_ours(address)]
    record = read_record(host.layout(instance.name))
    if record and record.engine != host.engine:
        problems.append(
            f"{where} was deployed with engine {record.engine!r} and redis_server_engine is {host.engine!r}: moving data between engines "
            "is not supported; give the new engine an instance of another name"
        )
    if host.service_manager == "systemd":
        problems += [f"{where}.directives: {problem}" for problem in module_problems(instance.directives)]
    if pid is not None:
        problems += _password_problems(host, instance, pid, where, password_file)
    return problems


def module_problems(directives: Mapping[str, object]) -> list[str]:
    """Return which modules the systemd unit does not let the server load."""
    paths = [words[0] for words in to_lines("loadmodule", directives.get("loadmodule", []), "lines")]
    return [
        f"loadmodule: the systemd unit lets the server run nothing of that folder; found {path!r}, "
        f"allowed: a path below {', '.join(LIBRARIES)}"
        for path in paths
        if hidden_by_unit(path) or not any(Path(folder).resolve() in Path(path).resolve().parents for folder in LIBRARIES)
    ]


def hidden_by_unit(path: str) -> Optional[str]:
    """Return the folder with which the systemd unit hides a file from the server, itself or behind symbolic links; None if it does not."""
    folders = {str(folder) for folder in (*Path(path).parents, *Path(path).resolve().parents)}
    return next((folder for folder in HIDDEN_BY_UNIT if folder in folders), None)


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


def _password_problems(host: Host, instance: Instance, pid: int, where: str, password_file: str) -> list[str]:
    """Return why the running server cannot be administered with the passwords at hand."""
    if instance.password is None:
        return [
            f"{where} runs, but its generated password is not in {password_file} any more. Put it back: the applications have it "
            "(REDIS_PASSWORD in their profile). If it is lost, stop the instance on the host (it saves what its directives say), "
            f"remove {password_file} if it is there, and run again: that makes a new password, and every application needs the new profile"
        ]
    problem = administration_problem(host, instance, pid)
    return [f"{where} {problem}"] if problem else []


def _listen_problems(host: Host, instance: Instance, pids: Mapping[str, Optional[int]], package: Package, found: HostReport) -> list[str]:
    """
    Return which other process holds the port or the socket that the instance shall have.

    A listed instance that has the port leaves it in this run, since no two may want it; see ``order.port_order``.

    Args:
        pids: Process of each instance below the root, listed or not; None for one that does not run.
    """
    where = f"redis_server_instances[{instance.name}]"
    ours = [pid for name, pid in pids.items() if name not in found.unlisted]
    path = host.layout(instance.name).socket_file
    holder = unix_listener(path) if instance.unix_socket else None
    if holder and not any(holder.held_by(pid) for pid in ours):
        return [f"{where}.unix_socket is true, and {holder} listens there already: end that process"]
    for address, port in ((address, port) for address in instance.bind for port in instance.ports):
        holder = listener(address.lstrip("-"), port)
        if holder is None or any(holder.held_by(pid) for pid in ours):
            continue
        owner = next((name for name in found.unlisted if holder.pid is not None and holder.pid == pids[name]), None)
        if owner is not None:
            return [
                f"{where}.port is {port}, where instance {owner!r} of an earlier inventory runs: list it with state 'absent' to "
                "stop it in this run, or give one of them another port"
            ]
        if holder.unit == package.unit and _keys_at(port) == 0:
            found.package_unit.in_the_way = True
            continue
        return [
            f"{where}.port is {port}, where {holder} listens already: give the instance another port, or end that process"
            + (f" (systemctl disable --now {holder.unit}); it holds keys, so save them first" if holder.unit == package.unit else "")
        ]
    return []


def _keys_at(port: int) -> Optional[int]:
    """Return how many keys the server on a port has in all its databases; None if it does not say. The host may have no redis-py yet."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"INFO keyspace\r\nQUIT\r\n")
            reply = b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")
    except OSError:
        return None
    return sum(int(keys) for keys in re.findall(r"keys=(\d+)", reply)) if "# Keyspace" in reply else None
