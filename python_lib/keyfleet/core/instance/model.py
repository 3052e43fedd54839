# SPDX-License-Identifier: MIT
"""A managed host and its instances as the inventory states them; pure, but for what is deployed below a root."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

from ..directives.values import SECRET_DIRECTIVES
from ..layout import Layout
from ..service.choose import ServiceManager, manager_for

# Limit of open files of a server: what the kernel allows by default (fs.nr_open). One number for all, so that a change of one
# instance's maxclients restarts no other; the systemd unit has it too.
OPEN_FILES = 1_048_576
LOGS = ("file", "manager")
USES = ("cache", "store", "mixed")


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
        log: Where the server's log goes, one of LOGS: a file of its own, or what starts it (journald, or the log of the runner).
        use: What it is for, one of USES, for advice alone; empty if nobody said.
        directives: Everything else, by the server's own names.
        maxmemory_computed: Whether ``maxmemory`` among them is of keyfleet, since the inventory names none.
    """

    name: str
    present: bool = True
    purge: bool = False
    port: int = 6379
    bind: tuple[str, ...] = ("127.0.0.1", "-::1")
    unix_socket: bool = False
    unix_socket_perm: str = "770"
    password: Optional[str] = field(default=None, repr=False)
    log: str = "file"
    use: str = ""
    directives: Mapping[str, Any] = field(default_factory=dict)
    maxmemory_computed: bool = False

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
            "logfile": layout.log_file if self.log == "file" else "",
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
        variables: ``instances`` (list of options), ``bind``, ``log``, ``directives`` and ``password`` (optional), which hold for
            every instance that does not say otherwise; directives are merged by name. ``default_maxmemory``: bytes by name of the
            instance, for those that then have no ``maxmemory``.
    Returns:
        Instances in the order of the list; an option that is null counts as not given. Call ``validation.problems`` first: this
        function trusts what it gets.
    """
    found = []
    for given in variables["instances"]:
        options = {option: value for option, value in given.items() if value is not None}
        directives = {**(variables.get("directives") or {}), **(options.get("directives") or {})}
        computed = (variables.get("default_maxmemory") or {}).get(options["name"]) if "maxmemory" not in directives else None
        if computed:
            directives["maxmemory"] = str(computed)
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
                password=password,
                log=str(options.get("log") or variables.get("log") or "file"),
                use=str(options.get("use") or variables.get("use") or ""),
                directives=directives,
                maxmemory_computed=bool(computed),
            )
        )
    return found


def with_password(instance: Instance, generated: Optional[str]) -> Instance:
    """Return *instance* with the generated password where the inventory gave none; an empty one is none at all."""
    return instance if instance.password is not None else replace(instance, password=generated or None)


@dataclass(frozen=True)
class Host:
    """
    How instances run on this host.

    Attributes:
        engine: ``redis`` or ``valkey``.
        binary: Path of the server.
        service_manager: ``systemd`` or ``process``.
        root: Folder that all paths derive from.
        start_timeout_seconds: Longest wait until a server has saved and stopped, and until a started one has loaded its data.
        previous_password: Password that running servers may still want; empty for none.
    """

    engine: str
    binary: str
    service_manager: str
    root: str = "/"
    start_timeout_seconds: float = 300.0
    previous_password: Optional[str] = field(default=None, repr=False)

    def layout(self, name: str) -> Layout:
        """Return the paths of an instance."""
        return Layout(self.root, name)

    def manager(self, name: str) -> ServiceManager:
        """Return what starts and stops an instance."""
        return manager_for(self.service_manager, self.layout(name), timeout_seconds=self.start_timeout_seconds)

    def deployed_names(self) -> list[str]:
        """Return the names of all instances that were deployed below this root."""
        folder = Path(self.layout("any").config_dir).parent
        try:
            return sorted(entry.name for entry in folder.iterdir() if Path(self.layout(entry.name).config_file).exists())
        except OSError:
            return []
