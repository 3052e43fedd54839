# SPDX-License-Identifier: MIT
"""From role variables to the instances of one host: defaults merged, checked, and rendered to files; pure."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from .directive_values import SECRET_DIRECTIVES, quote
from .directives import check, render
from .layout import Layout

ENGINES = ("redis", "valkey")
PORTS = range(1024, 65536)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_OPTIONS = ("name", "state", "purge", "port", "bind", "unix_socket", "unix_socket_perm", "password", "directives")
_LISTEN_ANY = ("*", "0.0.0.0", "::")  # noqa: S104 - names to look for, nothing is bound here


@dataclass(frozen=True)
class Instance:
    """
    One server process as the inventory wishes it.

    Attributes:
        name: Unique on the host; part of every path and of the unit name.
        present: False: stop it and take its unit and configuration away.
        purge: With ``present`` False, remove data and logs too.
        port: TCP port; 0 means a unix socket only.
        bind: Addresses as the server's ``bind`` takes them; a leading ``-`` marks one that may be missing.
        unix_socket, unix_socket_perm: Listen on a socket in the run directory, with these permissions (octal text).
        password: Password of the user ``default``; empty for none, None while it is not known yet.
        directives: Everything else, by the server's own names.
    """

    name: str
    present: bool = True
    purge: bool = False
    port: int = 6379
    bind: tuple[str, ...] = ("127.0.0.1", "-::1")
    unix_socket: bool = False
    unix_socket_perm: str = "770"
    password: Optional[str] = field(default=None, repr=False)
    directives: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_public(self) -> bool:
        """True if TCP clients of other hosts can connect."""
        return self.port != 0 and any(not _is_loopback(address) for address in self.bind)

    def managed(self, layout: Layout, service_manager: str) -> dict[str, str]:
        """Return the directives that keyfleet itself decides, as the server prints them."""
        lines = {
            "port": str(self.port),
            "bind": " ".join(self.bind),
            "dir": layout.data_dir,
            "logfile": layout.log_file,
            "pidfile": "",
            "aclfile": layout.acl_file,
            "daemonize": "no",
            "supervised": "systemd" if service_manager == "systemd" else "no",
        }
        if self.unix_socket:
            lines["unixsocket"] = layout.socket_file
            lines["unixsocketperm"] = self.unix_socket_perm
        return lines

    def public_directives(self) -> dict[str, Any]:
        """Return the directives that may be shown; ``user`` lines live in the ACL file."""
        return {name: value for name, value in self.directives.items() if name not in (*SECRET_DIRECTIVES, "user")}

    def secret_directives(self) -> dict[str, Any]:
        """Return the directives whose values are secrets."""
        return {name: value for name, value in self.directives.items() if name in SECRET_DIRECTIVES}


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.lstrip("-")).is_loopback
    except ValueError:
        return False


def from_variables(variables: Mapping[str, Any]) -> list[Instance]:
    """
    Merge the role's variables with the options of each instance.

    Args:
        variables: ``instances`` (list of options), ``bind``, ``directives`` and ``password`` (optional), which hold for
            every instance that does not say otherwise; directives are merged by name.
    Returns:
        Instances in the order of the list. Call `problems` first: this function trusts what it gets.
    """
    found = []
    for options in variables["instances"]:
        common = dict(variables.get("directives") or {})
        password = options.get("password", variables.get("password"))
        found.append(
            Instance(
                name=str(options["name"]),
                present=options.get("state", "present") == "present",
                purge=bool(options.get("purge", False)),
                port=int(options.get("port", 6379)),
                bind=tuple(options.get("bind") or variables.get("bind") or Instance.bind),
                unix_socket=bool(options.get("unix_socket", False)),
                unix_socket_perm=str(options.get("unix_socket_perm", "770")),
                password=None if password is None else str(password),
                directives={**common, **(options.get("directives") or {})},
            )
        )
    return found


def problems(variables: Mapping[str, Any], known_version: Optional[str] = None) -> list[str]:
    """
    Return what is wrong with the role's variables: variable, value found, values allowed; empty when nothing is.

    Args:
        variables: As for `from_variables`, and ``engine``, ``service_manager``, ``root``.
        known_version: Version of the server if it is known already; else any known version of the engine may accept.
    """
    listed = variables.get("instances")
    if not isinstance(listed, list) or not listed:
        return [f"redis_server_instances is {listed!r}: give a list with at least one instance"]
    found = _host_problems(variables)
    shapes = [problem for index, options in enumerate(listed) for problem in _shape_problems(index, options)]
    if shapes or found:
        return found + shapes
    instances = from_variables(variables)
    for instance in instances:
        found += _listen_problems(instance)
        if instance.present:
            found += [
                f"redis_server_instances[{instance.name}].directives: {problem}"
                for problem in check(instance.directives, str(variables["engine"]), known_version)
            ]
    return found + _pair_problems(instances)


def _host_problems(variables: Mapping[str, Any]) -> list[str]:
    found = []
    root, manager = str(variables.get("root", "/")), variables.get("service_manager")
    if variables.get("engine") not in ENGINES:
        found.append(f"redis_server_engine is {variables.get('engine')!r}: use one of {', '.join(ENGINES)}")
    if not root.startswith("/"):
        found.append(f"redis_server_root is {root!r}: use an absolute path")
    if manager == "systemd" and root != "/":
        found.append(f"redis_server_root is {root!r} with redis_server_service_manager 'systemd': use '/', or the manager 'process'")
    if not isinstance(variables.get("directives") or {}, Mapping):
        found.append("redis_server_directives: give a dictionary of directive names and values")
    return found


def _shape_problems(index: int, options: Any) -> Iterable[str]:
    """Return what is wrong with the options of one instance, taken alone."""
    if not isinstance(options, Mapping):
        yield f"redis_server_instances[{index}] is {options!r}: give a dictionary with at least 'name'"
        return
    name = options.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"redis_server_instances[{index}].name is {name!r}: use 1 to 32 of a-z, 0-9, '_' and '-', a letter or digit first"
        return
    where = f"redis_server_instances[{name}]"
    for unknown in sorted(set(options) - set(_OPTIONS)):
        yield f"{where}.{unknown} is not an option: use {', '.join(_OPTIONS)}; a directive of the server goes under 'directives'"
    if options.get("state", "present") not in ("present", "absent"):
        yield f"{where}.state is {options['state']!r}: use 'present' or 'absent'"
    port = options.get("port", 6379)
    if isinstance(port, bool) or not str(port).isdigit() or (int(port) != 0 and int(port) not in PORTS):
        yield f"{where}.port is {port!r}: use {PORTS.start} to {PORTS.stop - 1}, or 0 with unix_socket"
    for option, kind, wanted in (
        ("bind", list, "a list of addresses"),
        ("directives", Mapping, "a dictionary"),
        ("purge", bool, "true or false"),
    ):
        if options.get(option) is not None and not isinstance(options[option], kind):
            yield f"{where}.{option} is {options[option]!r}: give {wanted}"
    if not re.fullmatch(r"[0-7]{3}", str(options.get("unix_socket_perm", "770"))):
        yield f'{where}.unix_socket_perm is {options["unix_socket_perm"]!r}: give three octal digits as text, such as "770"'


def _listen_problems(instance: Instance) -> list[str]:
    where = f"redis_server_instances[{instance.name}]"
    found: list[str] = []
    if not instance.present:
        return found
    if instance.port == 0 and not instance.unix_socket:
        found.append(f"{where}.port is 0 and unix_socket is false: clients could not connect; set one of them")
    for address in instance.bind:
        plain = address[1:] if address.startswith("-") else address
        if plain not in _LISTEN_ANY and not _is_address(plain):
            found.append(f"{where}.bind has {address!r}: use IPv4 or IPv6 addresses of the host, '*' or '::*'")
    if instance.is_public and instance.password == "":
        found.append(
            f"{where}.bind is {' '.join(instance.bind)!r} and password is empty: anyone who reaches the port owns the data; "
            "set a password, or bind to loopback"
        )
    return found


def _is_address(text: str) -> bool:
    if text == "::*":
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _pair_problems(instances: Iterable[Instance]) -> list[str]:
    found: list[str] = []
    names: set[str] = set()
    ports: dict[int, str] = {}
    for instance in instances:
        if instance.name in names:
            found.append(f"redis_server_instances has the name {instance.name!r} twice: names are unique on a host")
        names.add(instance.name)
        if not instance.present or instance.port == 0:
            continue
        if instance.port in ports:
            found.append(
                f"redis_server_instances[{instance.name}].port is {instance.port}, which instance {ports[instance.port]!r} has too: "
                "give each its own"
            )
        ports.setdefault(instance.port, instance.name)
    return found


def config_lines(instance: Instance, layout: Layout, service_manager: str) -> list[str]:
    """Return the directives that the server reads last: what keyfleet decides, then what the inventory names."""
    managed = instance.managed(layout, service_manager)
    bind = [" ".join(["bind", *instance.bind])]
    return [*bind, *(f"{name} {quote(value)}" for name, value in managed.items() if name != "bind"), *render(instance.directives)]


def config_text(instance: Instance, layout: Layout, service_manager: str, *, header: str, starter: str) -> str:
    """
    Return the configuration file that the server reads last.

    Args:
        header: Comment lines for the top.
        starter: Text of the unit or runner specification; its digest goes into the file, so that a change of it shows in the copy
            made when the process starts. Comments of it do not count.
    """
    material = "\n".join(line for line in starter.splitlines() if line and not line.startswith("#"))
    return "\n".join(
        [
            header.rstrip(),
            "# Read after server.conf, which belongs to the server (CONFIG REWRITE); passwords are in users.acl, as hashes.",
            f"# starter {hashlib.sha256(material.encode()).hexdigest()[:16]}",
            *config_lines(instance, layout, service_manager),
            "",
        ]
    )


def acl_users(instance: Instance) -> list[str]:
    """Return the ``user`` lines of the inventory, each as the name and its rules."""
    users = instance.directives.get("user") or []
    return [users] if isinstance(users, str) else [" ".join(user) if isinstance(user, list) else str(user) for user in users]


def acl_lines(instance: Instance) -> list[str]:
    """
    Return the lines of the ACL file: the user ``default`` with the SHA-256 of its password, then the inventory's users.

    Source:
        ACL file format: https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
    """
    secret = f"#{hashlib.sha256(instance.password.encode()).hexdigest()}" if instance.password else "nopass"
    return [f"user default on {secret} ~* &* +@all", *(f"user {user}" for user in acl_users(instance))]


def acl_text(instance: Instance) -> str:
    """Return the ACL file; its password must be known."""
    if instance.password is None:
        raise ValueError(f"the password of instance {instance.name!r} is not known yet")
    return "\n".join([*acl_lines(instance), ""])


def with_password(instance: Instance, password: str) -> Instance:
    """Return *instance* with *password* where the inventory gave none."""
    return instance if instance.password is not None else replace(instance, password=password)
