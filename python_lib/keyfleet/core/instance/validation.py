# SPDX-License-Identifier: MIT
"""What is wrong with the variables of the role, found from the inventory alone; pure."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..directives.plan import check
from ..directives.values import size
from ..install.validation import install_problems
from ..layout import Layout
from ..profile.names import deployment_problem
from ..topology.validation import CLUSTER, REPLICATION
from .cluster_validation import cluster_problems
from .log_rotation import unwritable
from .model import COMMON_OPTIONS, DEFAULT_INSTANCE, DEFAULT_INSTANCE_OPTIONS, OPEN_FILES, ROLE_OPTIONS, Instance, from_variables
from .replication_validation import replication_problems
from .tls_validation import tls_problems
from .user_validation import clashes, declared_problems, password_problems

ENGINES = ("redis", "valkey")
# The server reserves 32 files for itself; the rest is for data files, modules and listeners.
MOST_CLIENTS = OPEN_FILES - 96
LONGEST_SOCKET_PATH = 107  # unix(7): sun_path holds 108 bytes, the last one is zero
SMALLEST_MAXMEMORY = 1 << 20  # an empty server uses about as much; less is a number whose unit was forgotten
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_LISTEN_ANY = ("*", "0.0.0.0", "::")  # noqa: S104 - names to search for, nothing is bound here
_OPEN = "anyone who reaches the port owns the data"


def problems(variables: Mapping[str, Any]) -> list[str]:
    """
    Return what is wrong with the role's variables: variable, value found, values allowed; empty when nothing is.

    Args:
        variables: As for ``model.from_variables``, and ``deployment``, ``engine``, ``service_manager``, ``root``, and what
            ``install.validation.install_problems`` takes. The version of the server is not known yet: what any known version of the
            engine accepts passes.
    """
    listed = variables.get("instances")
    # A host of a replication may run a Sentinel alone.
    if not isinstance(listed, list) or (not listed and variables.get("topology") != REPLICATION):
        return [f"redis_server_instances is {listed!r}: give a list with at least one instance"]
    found = list(_host_problems(variables))
    found += [problem for index, options in enumerate(listed) for problem in _shape_problems(index, options)]
    found = found or declared_problems(variables)
    if found:
        return found
    instances = from_variables(variables)
    for instance in instances:
        if instance.present or instance.topology == CLUSTER:
            found += [f"redis_server_instances[{instance.name}].{problem}" for problem in _instance_problems(instance, variables)]
    return [*found, *_rotation_problems(variables, instances), *password_problems(variables, instances), *_pair_problems(instances)]


def _host_problems(variables: Mapping[str, Any]) -> Iterator[str]:
    """Return what is wrong with the variables that hold for the whole host."""
    root, manager = str(variables.get("root", "/")), variables.get("service_manager")
    wrong_name = deployment_problem(variables.get("deployment", "redis"))
    if wrong_name:
        yield wrong_name
    if variables.get("engine") not in ENGINES:
        yield f"redis_server_engine is {variables.get('engine')!r}: use one of {', '.join(ENGINES)}"
    yield from install_problems(variables)
    if not root.startswith("/"):
        yield f"redis_server_root is {root!r}: use an absolute path"
    elif root != posixpath.normpath(root):
        yield f"redis_server_root is {root!r}: write it as {posixpath.normpath(root)!r}, without '..' and without a doubled or final slash"
    elif re.search(r"[\x00-\x1f\x7f]", root):
        yield f"redis_server_root is {root!r}: use a path without control characters"
    if manager == "systemd" and root != "/":
        yield f"redis_server_root is {root!r} with redis_server_service_manager 'systemd': use '/', or the manager 'process'"
    yield from _kind_problems("redis_server_", {name: variables.get(name) for name in (*COMMON_OPTIONS, *DEFAULT_INSTANCE_OPTIONS)})
    names = [options.get("name") for options in variables["instances"] if isinstance(options, Mapping)]
    for option in DEFAULT_INSTANCE_OPTIONS if DEFAULT_INSTANCE not in names else ():
        if variables.get(option) is not None:
            yield (
                f"redis_server_{option} is for the instance {DEFAULT_INSTANCE!r}, which is not listed: "
                f"use redis_server_instances[NAME].{option}"
            )
    if not isinstance(variables.get("previous_password") or "", str):
        yield "redis_server_previous_password is of another kind: give text; put quotes around it"
    yield from _number_problems(variables, "start_timeout_seconds", range(1, 86_401), "seconds")
    yield from _number_problems(variables, "log_keep_days", range(3651), "days, 0 for no rotation by keyfleet")
    yield from _number_problems(variables, "memory_percent", range(91), "percent, 0 to compute no maxmemory")


def _rotation_problems(variables: Mapping[str, Any], instances: Iterable[Instance]) -> Iterator[str]:
    """Return whether logrotate could not be given the path of a log."""
    root = str(variables.get("root", "/"))
    kept = any(instance.present and instance.log == "file" for instance in instances) and int(variables.get("log_keep_days", 0)) > 0
    if kept and unwritable(root):
        yield (
            f"redis_server_root is {root!r}, and logrotate cannot be given a path with {' '.join(unwritable(root))}: use another folder, "
            "redis_server_log: manager, or redis_server_log_keep_days: 0"
        )


def _number_problems(variables: Mapping[str, Any], name: str, allowed: range, meaning: str) -> Iterator[str]:
    """Return whether a whole number of the host is out of its range."""
    value = variables.get(name, allowed.start)
    # -e NAME=VALUE on the command line gives text.
    digits = re.fullmatch("[0-9]{1,9}", str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    if digits is None or int(value) not in allowed:
        yield f"redis_server_{name} is {value!r}: give {allowed.start} to {allowed.stop - 1} {meaning}"


def _shape_problems(index: int, options: Any) -> Iterator[str]:
    """Return what is wrong with the options of one instance, taken alone."""
    if not isinstance(options, Mapping):
        yield f"redis_server_instances[{index}] is {options!r}: give a dictionary with at least 'name'"
        return
    name = options.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"redis_server_instances[{index}].name is {name!r}: use 1 to 32 of a-z, 0-9, '_' and '-', a letter or digit first"
        return
    where = f"redis_server_instances[{name}]"
    for unknown in sorted(str(option) for option in options if option not in ROLE_OPTIONS):
        yield f"{where}.{unknown} is not an option: use {', '.join(ROLE_OPTIONS)}; a directive of the server goes under 'directives'"
    yield from _kind_problems(f"{where}.", {option: value for option, value in options.items() if option in ROLE_OPTIONS})


def _kind_problems(where: str, options: Mapping[str, Any]) -> Iterator[str]:
    """Return which options have a value that is none; the argument specs let pass what could be converted, and convert nothing."""
    for option, value in options.items():
        known = ROLE_OPTIONS[option]
        if value is not None and not known.possible(value):
            yield f"{where}{option} is {'of another kind' if known.secret else repr(value)}: give {known.phrase}"


def _instance_problems(instance: Instance, variables: Mapping[str, Any]) -> Iterator[str]:
    """Return what is wrong with one instance as a whole."""
    yield from _listen_problems(instance, str(variables.get("root", "/")))
    rules = variables.get("command_rules") or "server"
    if rules != "server" and instance.directives.get("user"):
        yield f"directives.user is given, and redis_server_command_rules is {rules!r}, which restricts no user of it: use users"
    if instance.is_public and instance.password == "":
        yield f"bind is {' '.join(instance.bind)!r} and password is empty: {_OPEN}; set a password, or bind to loopback"
    impossible = check(instance.directives, str(variables["engine"]), None)
    yield from (f"directives: {problem}" for problem in impossible)
    if not impossible:
        yield from _consequences(instance)


def _listen_problems(instance: Instance, root: str) -> Iterator[str]:
    """Return what is wrong with where an instance listens."""
    yield from tls_problems(instance)
    if not instance.port and instance.tls == "off" and not instance.unix_socket:
        yield "port is 0 and unix_socket is false: clients could not connect; set one of them"
    for address in instance.bind:
        plain = address[1:] if address.startswith("-") else address
        if plain not in _LISTEN_ANY and not _is_address(plain):
            yield f"bind has {address!r}: use IPv4 or IPv6 addresses of the host, '*' or '::*'"
    path = Layout(root, instance.name).socket_file
    if instance.unix_socket and len(path.encode()) > LONGEST_SOCKET_PATH:
        yield (
            f"unix_socket is true and its path would be {path}, {len(path.encode())} bytes where the system allows {LONGEST_SOCKET_PATH}: "
            "use a shorter redis_server_root or name"
        )


def _is_address(text: str) -> bool:
    if text == "::*":
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _consequences(instance: Instance) -> Iterator[str]:
    """Return which directives, each possible alone, must not be used like this."""
    yield from clashes(instance)
    yield from cluster_problems(instance)
    yield from replication_problems(instance)
    memory = size(str(instance.directives.get("maxmemory", 0))) or 0
    if 0 < memory < SMALLEST_MAXMEMORY:
        yield f"directives.maxmemory is {instance.directives['maxmemory']!r}: give 0 for no limit, or at least 1mb; a bare number is bytes"
    clients = int(str(instance.directives.get("maxclients", 0)))
    if clients > MOST_CLIENTS:
        yield f"directives.maxclients is {clients}: use at most {MOST_CLIENTS}, since a process has at most {OPEN_FILES} open files"


def _pair_problems(instances: Iterable[Instance]) -> Iterator[str]:
    """Return which instances are in each other's way."""
    names: set[str] = set()
    ports: dict[int, str] = {}
    for instance in instances:
        if instance.name in names:
            yield f"redis_server_instances has the name {instance.name!r} twice: names are unique on a host"
        names.add(instance.name)
        if not instance.present:
            continue
        for port, what in (
            *((port, "port" if port == instance.port else "tls_port") for port in instance.ports),
            (instance.bus_port, "bus port (port + 10000, or directives.cluster-port)"),
        ):
            if port in ports:
                yield (
                    f"redis_server_instances[{instance.name}].{what} is {port}, which instance {ports[port]!r} has too: give each its own"
                )
            if port:
                ports.setdefault(port, instance.name)
