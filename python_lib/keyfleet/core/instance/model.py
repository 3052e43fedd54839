# SPDX-License-Identifier: MIT
"""A managed host and its instances as the inventory states them; pure, but for what is deployed below a root."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Optional

from ..acl.declared import declared_user
from ..acl.denied import denied_commands, restricted
from ..acl.model import REPLICATION as REPLICATION_USER
from ..directives.plan import acl_lines
from ..directives.values import SECRET_DIRECTIVES
from ..host.safe_paths import names_in, status_of
from ..layout import Layout
from ..service.choose import ServiceManager, manager_for
from ..topology.validation import CLUSTER, REPLICATION, SINGLE, TOPOLOGIES

# Limit of open files of a server: what the kernel allows by default (fs.nr_open). One number for all, so that a change of one
# instance's maxclients restarts no other; the systemd unit has it too.
OPEN_FILES = 1_048_576
PORTS = range(1024, 65536)
BUS_OFFSET = 10_000  # from the port of a node to the one of its bus, unless ``cluster-port`` says otherwise
CLUSTER_FILE = "nodes.conf"  # in the data folder; the node's identity, and its own

Possible = Callable[[Any], bool]


@dataclass(frozen=True)
class Option:
    """
    One option of an instance, the only place that knows its name, type and default.

    Role variables, their validation, the options of the modules and the argument specs derive from the table OPTIONS.

    Attributes:
        name: As in ``redis_server_instances``, and as the modules take it.
        type: In the words of Ansible's argument specs.
        default: What holds if neither the instance nor, with *common*, the role says anything.
        phrase: Values that are possible, for refusals.
        possible: Whether a value is one of them; argument specs let pass what could be converted, and convert nothing.
        choices: All possible values, where they can be listed.
        elements: Type of the elements of a list.
        common: Whether ``redis_server_NAME`` holds for every instance that does not say otherwise.
        in_role, in_modules: Who takes the option.
        secret: Whether its value may never be shown.
    """

    name: str
    type: str
    default: Any = None
    phrase: str = ""
    possible: Possible = field(default=lambda value: True, repr=False)
    choices: tuple[str, ...] = ()
    elements: str = ""
    common: bool = False
    in_role: bool = True
    in_modules: bool = True
    secret: bool = False

    def module_option(self) -> dict[str, Any]:
        """Return the option as a module's argument spec states it."""
        spec: dict[str, Any] = {"type": self.type}
        if self.name == "name":
            spec["required"] = True
        elif self.default is not None:
            spec["default"] = {"list": list, "dict": dict}.get(self.type, lambda value: value)(self.default)
        if self.elements:
            spec["elements"] = self.elements
        if self.choices:
            spec["choices"] = list(self.choices)
        if self.secret:
            spec["no_log"] = True
        return spec


def _is_port(value: Any) -> bool:
    number = re.fullmatch("[0-9]{1,5}", str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    return number is not None and (int(value) == 0 or int(value) in PORTS)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(isinstance(item, str) for item in value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_permission(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-7]{3}", value) is not None


def _choice(name: str, *choices: str, default: Optional[str] = None, phrase: str = "", **more: Any) -> Option:
    *others, last = (repr(choice) for choice in choices)
    return Option(name, "str", default, phrase or f"{', '.join(others)} or {last}", lambda value: value in choices, choices, **more)


TLS_CHOICES = ("off", "both", "only")
TLS_PHRASE = '"off", "both" or "only", in quotes (YAML reads a bare off as false)'


OPTIONS = (
    Option("name", "str", None, "text", _is_text),
    _choice("state", "present", "absent", default="present"),
    Option("purge", "bool", False, "true or false, without quotes", _is_bool),
    Option("port", "int", 6379, f"{PORTS.start} to {PORTS.stop - 1}, or 0 with unix_socket", _is_port),
    Option(
        "bind",
        "list",
        ("127.0.0.1", "-::1"),
        'a list of at least one address, such as ["127.0.0.1"]',
        _is_text_list,
        elements="str",
        common=True,
    ),
    # A bare off of YAML is false, which no choice is.
    _choice("tls", *TLS_CHOICES, default="off", common=True, phrase=TLS_PHRASE),
    Option("tls_port", "int", 0, f"{PORTS.start} to {PORTS.stop - 1}", _is_port),
    Option("unix_socket", "bool", False, "true or false, without quotes", _is_bool),
    Option(
        "unix_socket_perm", "str", "770", 'three octal digits in quotes, such as "770" (YAML reads 0770 as another number)', _is_permission
    ),
    Option("password", "str", None, "text; put quotes around it", _is_text, common=True, secret=True),
    _choice("log", "file", "manager", default="file", common=True),
    _choice("use", "cache", "store", "mixed", common=True, in_modules=False),
    Option("directives", "dict", {}, "a dictionary of directive names and values", lambda value: isinstance(value, Mapping), common=True),
    Option(
        "users", "list", (), "a list of users, each a dictionary", _is_list, elements="dict", common=True, in_modules=False, secret=True
    ),
    # What the instances of the deployment are together: one for all, ``redis_server_topology``.
    _choice("topology", *TOPOLOGIES, default=SINGLE, in_role=False),
    # Of a member of a replication, the others (``replication.inventory.peers_of``).
    Option("peers", "dict", {}, in_role=False),
    # The role splits these from the directives: their values are secrets.
    Option("secret_directives", "dict", {}, in_role=False, secret=True),
    # What the controller made for the host: key, certificate and chain; certificates of the CAs; what is asked of clients.
    Option("tls_pem", "str", "", in_role=False, secret=True),
    Option("tls_ca", "str", "", in_role=False),
    Option("tls_directives", "dict", {}, in_role=False),
    # Users as modules take them: rules with hashes, in the place of passwords.
    Option("user_rules", "list", (), elements="str", in_role=False, secret=True),
)
ROLE_OPTIONS = {option.name: option for option in OPTIONS if option.in_role}
MODULE_OPTIONS = {option.name: option for option in OPTIONS if option.in_modules}
COMMON_OPTIONS = tuple(option.name for option in OPTIONS if option.common)
# Fields of an instance that are not options of the inventory.
_ADDED = ("topology", "peers", "maxmemory_computed", "tls_pem", "tls_ca", "tls_directives")
# What redis_server_NAME says of the instance ``default`` alone, which most hosts have and no other.
DEFAULT_INSTANCE = "default"
DEFAULT_INSTANCE_OPTIONS = ("port", "tls_port")


@dataclass(frozen=True)
class Instance:
    """
    One server process in the desired state.

    The fields are those of OPTIONS, with ``use`` empty if the inventory does not say it, and what the host adds (``host_files.complete``).

    Attributes:
        name: Unique on the host; part of every path and of the unit name.
        state: ``absent``: stop it, and remove its unit and configuration.
        purge: With ``absent``, remove data and logs too.
        port: TCP port; 0 means a unix socket only, or TLS on *tls_port*.
        tls: ``off``, ``both`` (with and without TLS, each on its port) or ``only``.
        tls_port: Port of TLS; 0 with ``only`` means *port*.
        tls_pem, tls_ca: Key, certificate and chain of the host, and certificates of the CAs that are trusted; empty where not known.
        tls_directives: What is asked of TLS clients.
        bind: Addresses as the server's ``bind`` takes them; a leading ``-`` marks one that may be missing.
        unix_socket, unix_socket_perm: Listen on a socket in the run directory, with these permissions (octal text).
        password: Password of the user ``default``; empty for none, None while it is not known yet.
        log: Where the server's log goes: a ``file`` of its own, or the ``manager`` (journald, or the log of the runner).
        use: What it is for, for advice alone.
        directives: Everything else, by the server's own names.
        topology: What the instances of its deployment are together: ``single`` nodes, a ``replication`` or a ``cluster``.
        peers: The other members of its replication, as ``service.start_role`` takes them; empty outside of one.
        users: Declared users, as ``acl.declared`` takes them; modules get their rules in the place of them.
        user_rules: Users as name and rules; see ``rules_of``.
        starter: Digest of what starts the process (``config.starter_digest``); another one needs a restart.
        replication_password: Of the replication user, for a topology with replicas; empty while it is not known.
        maxmemory_computed: Whether keyfleet computed ``maxmemory`` among them, since the inventory names none.
    """

    name: str
    state: str = ROLE_OPTIONS["state"].default
    purge: bool = ROLE_OPTIONS["purge"].default
    port: int = ROLE_OPTIONS["port"].default
    bind: tuple[str, ...] = ROLE_OPTIONS["bind"].default
    unix_socket: bool = ROLE_OPTIONS["unix_socket"].default
    unix_socket_perm: str = ROLE_OPTIONS["unix_socket_perm"].default
    tls: str = ROLE_OPTIONS["tls"].default
    tls_port: int = ROLE_OPTIONS["tls_port"].default
    tls_pem: str = field(default="", repr=False)
    tls_ca: str = field(default="", repr=False)
    tls_directives: Mapping[str, str] = field(default_factory=dict)
    password: Optional[str] = field(default=None, repr=False)
    log: str = ROLE_OPTIONS["log"].default
    use: str = ""
    directives: Mapping[str, Any] = field(default_factory=dict)
    topology: str = MODULE_OPTIONS["topology"].default
    peers: Mapping[str, Any] = field(default_factory=dict)
    users: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    user_rules: tuple[str, ...] = field(default=(), repr=False)
    starter: str = ""
    replication_password: str = field(default="", repr=False)
    maxmemory_computed: bool = False

    @property
    def present(self) -> bool:
        """Whether the instance shall run."""
        return self.state == "present"

    @property
    def plain_port(self) -> int:
        """TCP port without TLS; 0 for none."""
        return 0 if self.tls == "only" else self.port

    @property
    def secure_port(self) -> int:
        """TCP port with TLS; 0 for none."""
        return 0 if self.tls == "off" else self.tls_port or (self.port if self.tls == "only" else 0)

    @property
    def ports(self) -> tuple[int, ...]:
        """TCP ports, the one without TLS first."""
        return tuple(port for port in (self.plain_port, self.secure_port) if port)

    @property
    def is_public(self) -> bool:
        """True if TCP clients of other hosts can connect."""
        return bool(self.ports) and any(not _is_loopback(address) for address in self.bind)

    @property
    def bus_port(self) -> int:
        """Port on which nodes of a cluster talk to each other; 0 for an instance that is none. It stays when TLS takes another port."""
        if self.topology != CLUSTER or not self.ports:
            return 0
        return int(str(self.directives.get("cluster-port", 0))) or (self.port or self.secure_port) + BUS_OFFSET

    def cluster_place(self, host: str) -> tuple[str, int]:
        """Return where a node of a cluster says that clients reach it: host and port that it announces, else *host* and its own port."""
        said = {name: str(value) for name, value in self.directives.items()}
        if said.get("cluster-preferred-endpoint-type") == "hostname":
            host = said.get("cluster-announce-hostname") or host
        else:
            host = said.get("cluster-announce-ip") or host
        announced = said.get("cluster-announce-tls-port" if self.secure_port else "cluster-announce-port", "0")
        return host, int(announced) or self.secure_port or self.port

    def port_lines(self) -> dict[str, str]:
        """Return the directives that open the ports; a server that knows nothing of TLS knows no ``tls-port`` either."""
        lines = {"port": str(self.plain_port)}
        return lines if self.tls == "off" else {**lines, "tls-port": str(self.secure_port)}

    def tls_lines(self, layout: Layout) -> dict[str, str]:
        """Return the directives of TLS; none without it."""
        if self.tls == "off":
            return {}
        files = {"tls-cert-file": layout.tls_file, "tls-key-file": layout.tls_file, "tls-ca-cert-file": layout.tls_ca_file}
        return {**files, **{name: str(value) for name, value in self.tls_directives.items()}}

    def managed(self, layout: Layout, service_manager: str) -> dict[str, str]:
        """Return the directives that keyfleet itself decides, as the server prints them."""
        lines = {
            **self.port_lines(),
            "bind": " ".join(self.bind),
            "dir": layout.data_dir,
            "logfile": layout.log_file if self.log == "file" else "",
            "pidfile": "",
            "aclfile": layout.acl_file,
            "daemonize": "no",
            "supervised": "systemd" if service_manager == "systemd" else "no",
        }
        lines.update(self.tls_lines(layout))
        if self.unix_socket:
            lines["unixsocket"] = layout.socket_file
            lines["unixsocketperm"] = self.unix_socket_perm
        if self.topology == CLUSTER:
            lines.update({"cluster-enabled": "yes", "cluster-config-file": CLUSTER_FILE, "cluster-port": str(self.bus_port)})
        if self.topology == REPLICATION:
            lines.update(self.announced())
        if self.topology != SINGLE and self.replication_password:
            lines.update(masteruser=REPLICATION_USER, masterauth=self.replication_password)
        return lines

    def announced(self) -> dict[str, str]:
        """Return how a replica says that it is reached: at an address that it listens on, whatever its connections come from."""
        plain = [address.lstrip("-") for address in self.bind]
        listens_everywhere = any(address in ("*", "0.0.0.0", "::*", "::") for address in plain)  # noqa: S104 - nothing is bound here
        places = plain if all(map(_is_loopback, plain)) else [address for address in plain if not _is_loopback(address)]
        lines = {
            "replica-announce-port": str(self.secure_port or self.port),
            "replica-announce-ip": "" if listens_everywhere else places[0],
        }
        return {name: value for name, value in lines.items() if value and name not in self.directives}


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.lstrip("-")).is_loopback
    except ValueError:
        return False


def from_variables(variables: Mapping[str, Any], default_maxmemory: Optional[Mapping[str, int]] = None) -> list[Instance]:
    """
    Merge the role's variables with the options of each instance.

    Args:
        variables: ``instances`` (list of options), ``topology``, ``tls_material`` (``pem``, ``ca`` and ``directives`` of the host),
            ``peers`` (of members of a replication, by name of the instance), ``command_rules`` and ``engine`` (what users are denied), and
            COMMON_OPTIONS, which hold for every instance that does not say otherwise; directives are merged by name.
            DEFAULT_INSTANCE_OPTIONS hold for the instance ``default``.
        default_maxmemory: Bytes by name of the instance, for those that then have no ``maxmemory``.
    Returns:
        Instances in the order of the list; an option that is null counts as not given. Call ``validation.problems`` first: this
        function trusts what it gets.
    """
    found = []
    denied = denied_commands(str(variables.get("command_rules") or "server"), str(variables.get("engine")))
    for given in variables["instances"]:
        options = {name: given[name] for name in ROLE_OPTIONS if given.get(name) is not None}
        taken = (*COMMON_OPTIONS, *(DEFAULT_INSTANCE_OPTIONS if given["name"] == DEFAULT_INSTANCE else ()))
        common = {name: variables[name] for name in taken if variables.get(name) is not None}
        directives = {**common.get("directives", {}), **options.get("directives", {})}
        computed = (default_maxmemory or {}).get(options["name"]) if "maxmemory" not in directives else None
        if computed:
            directives["maxmemory"] = str(computed)
        topology = variables.get("topology") or Instance.topology
        if {**common, **options}.get("tls", "off") != "off":
            common.update({f"tls_{name}": value for name, value in (variables.get("tls_material") or {}).items()})
        added = {"directives": directives, "topology": topology, "maxmemory_computed": bool(computed)}
        added["peers"] = (variables.get("peers") or {}).get(options["name"], {})
        added["users"] = restricted({**common, **options}.get("users", ()), denied)
        found.append(from_options({**common, **options, **added}))
    return found


def from_options(options: Mapping[str, Any]) -> Instance:
    """Return the instance that options say; those that are null or missing have their default."""
    given = {name: value for name, value in options.items() if value is not None}
    directives = {**given.get("directives", {}), **given.get("secret_directives", {})}
    fields = {name: value for name, value in given.items() if name in (*ROLE_OPTIONS, *_ADDED)}
    fields.update({name: tuple(given[name]) for name in ("users", "user_rules") if name in given})
    fields.update(directives=directives, bind=tuple(given.get("bind") or Instance.bind))
    fields.update({name: int(given.get(name, getattr(Instance, name))) for name in ("port", "tls_port")})
    return Instance(**fields)


def module_options(instance: Instance) -> dict[str, Any]:
    """Return the options of an instance as the modules take them: secret directives and users apart from the others."""
    apart = {
        "bind": list(instance.bind),
        "directives": {name: value for name, value in instance.directives.items() if name not in (*SECRET_DIRECTIVES, "user")},
        "secret_directives": {name: value for name, value in instance.directives.items() if name in SECRET_DIRECTIVES},
        "user_rules": rules_of(instance),
    }
    return {name: apart[name] if name in apart else getattr(instance, name) for name in MODULE_OPTIONS}


def rules_of(instance: Instance) -> list[str]:
    """
    Return every user of the inventory as its name and rules, without plain text of a password; those of the directive ``user`` too.

    For ``default`` the password is missing, which is the instance's.
    """
    of_directive = [line.partition(" ")[2] for line in acl_lines(instance.directives)]
    return [*instance.user_rules, *of_directive, *(declared_user(options).line().partition(" ")[2] for options in instance.users)]


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
        admin_passwords: Passwords of the administrative user: the first one is to stay, the others are accepted as well while it changes.
            Empty for servers without that user, which ``default`` administers.
        removes_undeclared_users: Whether users go that were made by hand.
        keeps_passwords: Whether passwords of before stay valid beside the declared ones, until clients have the new ones.
        user, group: Who runs the servers, if root manages the host.
    """

    engine: str
    binary: str
    service_manager: str
    root: str = "/"
    start_timeout_seconds: float = 300.0
    previous_password: Optional[str] = field(default=None, repr=False)
    admin_passwords: tuple[str, ...] = field(default=(), repr=False)
    removes_undeclared_users: bool = False
    keeps_passwords: bool = False
    user: str = ""
    group: str = ""

    def layout(self, name: str) -> Layout:
        """Return the paths of an instance."""
        return Layout(self.root, name)

    def manager(self, name: str) -> ServiceManager:
        """Return what starts and stops an instance."""
        return manager_for(self.service_manager, self.layout(name), timeout_seconds=self.start_timeout_seconds)

    def deployed_names(self) -> list[str]:
        """Return the names of all instances that were deployed below this root, by any trace that one leaves but its data."""
        found: set[str] = set()
        for folder_of, traces in _TRACES.items():
            with contextlib.suppress(OSError):
                names = names_in(str(Path(getattr(self.layout("any"), folder_of)).parent))
                found |= {name for name in names if any(status_of(getattr(self.layout(name), trace)) for trace in traces)}
        return sorted(found)


# What shows that an instance was deployed, by the folder that it is in.
_TRACES = {"config_dir": ("config_file", "record_file", "acl_file"), "run_dir": ("started_file",)}
