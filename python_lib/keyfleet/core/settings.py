# SPDX-License-Identifier: MIT
"""
Where a server is and how to talk to it.

Settings come from the environment, a URL or a mapping. All three collect what was given, field by field with the name the
user knows it by, and every problem is reported at once in one SettingsError. Reading a password file is the only IO here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Optional

from .errors import SettingsError
from .settings_values import CONVERTERS, ConversionError, Nodes, format_nodes, parse_url

# What was given: field name -> (name known to the user, value as given).
Given = dict[str, tuple[str, Any]]

ENVIRONMENT = {
    "REDIS_HOST": "host",
    "REDIS_PORT": "port",
    "REDIS_USERNAME": "username",
    "REDIS_PASSWORD": "password",
    "REDIS_DB": "db",
    "REDIS_TLS_ENABLED": "tls",
    "REDIS_TLS_CA_FILE": "tls_ca_file",
    "REDIS_CLUSTER_NODES": "cluster_nodes",
    "REDIS_KEY_PREFIX": "key_prefix",
    "REDIS_RETRY_ATTEMPTS": "retry_attempts",
    "REDIS_RETRY_DELAY": "retry_delay_ms",
}
ADDRESS_VARIABLES = ("REDIS_URL", "REDIS_HOST", "REDIS_CLUSTER_NODES")


@dataclass(frozen=True)
class Settings:
    """
    Everything needed to connect; immutable, and its ``repr`` has no password.

    Attributes:
        host, port: Address of a single server.
        unix_socket: Path of a socket, in place of host and port.
        username, password: Credentials; without a user name the server's ``default`` user.
        db: Database number; 0 on a cluster.
        tls: Encrypt, and with *tls_verify* check the certificate and that it names the host.
        tls_ca_file: CA certificates to trust in addition to the system's.
        tls_cert_file, tls_key_file: Client certificate and its key.
        cluster_nodes: Some ``(host, port)`` of a cluster; the rest is discovered.
        sentinels, sentinel_service: Sentinels to ask, and the service whose primary is wanted.
        key_prefix: Put before every key by the client; modules use it as their default prefix.
        retry_attempts, retry_delay_ms: Further attempts to connect, and the wait before the first, in milliseconds; it doubles.
        timeout_seconds: Longest wait for a connection and for a reply.
    Raises:
        SettingsError: if a value is out of range or two contradict each other.
    """

    host: str = "127.0.0.1"
    port: int = 6379
    unix_socket: Optional[str] = None
    username: Optional[str] = None
    password: Optional[str] = field(default=None, repr=False)
    db: int = 0
    tls: bool = False
    tls_ca_file: Optional[str] = None
    tls_verify: bool = True
    tls_cert_file: Optional[str] = None
    tls_key_file: Optional[str] = None
    cluster_nodes: Nodes = ()
    sentinels: Nodes = ()
    sentinel_service: Optional[str] = None
    key_prefix: str = ""
    retry_attempts: int = 3
    retry_delay_ms: int = 100
    timeout_seconds: float = 5.0

    def __post_init__(self) -> None:
        problems = _contradictions(vars(self), {})
        if problems:
            raise SettingsError(*problems)

    @property
    def address(self) -> str:
        """Where this connects to, printable and without a secret."""
        if self.cluster_nodes:
            return f"cluster {format_nodes(self.cluster_nodes)}"
        if self.sentinels:
            return f"service {self.sentinel_service} of Sentinel {format_nodes(self.sentinels)}"
        return f"unix:{self.unix_socket}" if self.unix_socket else format_nodes([(self.host, self.port)])

    @classmethod
    def from_env(cls, environ: Optional[Mapping[str, str]] = None) -> Settings:
        """
        Read the REDIS_ variables; an empty variable counts as not set.

        Args:
            environ: Variables to read instead of the process's environment.
        Raises:
            SettingsError: naming each variable that is missing, wrong or contradicts another.
            Its text begins with ``REDIS_URL is not defined`` when no variable says where the server is.
        """
        variables = {name: value for name, value in (os.environ if environ is None else environ).items() if value.strip()}
        problems: list[str] = []
        given: Given = {}
        if not any(name in variables for name in ADDRESS_VARIABLES):
            problems.append(f"REDIS_URL is not defined; set one of {', '.join(ADDRESS_VARIABLES)}")
        if "REDIS_URL" in variables:
            given.update(_from_url("REDIS_URL", variables["REDIS_URL"], problems))
        for variable, name in ENVIRONMENT.items():
            if variable in variables:
                _add(given, name, variable, variables[variable], problems)
        if "REDIS_PASSWORD_FILE" in variables:
            if "REDIS_PASSWORD" in variables:
                problems.append("REDIS_PASSWORD and REDIS_PASSWORD_FILE are both set; keep one")
            else:
                password = _read_password("REDIS_PASSWORD_FILE", variables["REDIS_PASSWORD_FILE"], problems)
                _add(given, "password", "REDIS_PASSWORD_FILE", password, problems)
        _check_lonely_user(given, "REDIS_URL", problems)
        return cls._build(given, problems, {name: variable for variable, name in ENVIRONMENT.items()})

    @classmethod
    def from_url(cls, url: str, **overrides: Any) -> Settings:
        """
        Read ``redis://``, ``rediss://`` (TLS) or ``unix://``, as in ``redis://user:password@host:6379/0``.

        Args:
            url: User name, password, host and path are percent-decoded; an IPv6 host stands in brackets.
            overrides: Further fields of Settings; they win over the URL.
        Raises:
            SettingsError: for every problem of the URL and the fields together.
        """
        problems: list[str] = []
        given = _from_url("url", url, problems)
        given.update({name: (name, value) for name, value in overrides.items() if value is not None})
        _check_lonely_user(given, "url", problems)
        return cls._build(given, problems, {})

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], names: Optional[Mapping[str, str]] = None) -> Settings:
        """
        Take values by field name; texts are converted, None counts as not given.

        Args:
            mapping: Field name to value; nodes as ``host:port`` texts, pairs or mappings with host and port.
            names: Field name to the name that error messages shall use.
        Raises:
            SettingsError: for every problem, unknown names included.
        """
        shown = names or {}
        given = {name: (shown.get(name, name), value) for name, value in mapping.items() if value is not None}
        return cls._build(given, [], shown)

    @classmethod
    def _build(cls, given: Given, problems: list[str], names: Mapping[str, str]) -> Settings:
        """Convert what was given, check it as a whole and report all problems together."""
        values: dict[str, Any] = {item.name: item.default for item in fields(cls)}
        for name, (shown, value) in given.items():
            if name not in values:
                problems.append(f"{shown} is not a setting; known are {', '.join(values)}")
                continue
            try:
                values[name] = CONVERTERS[name](value)
            except ConversionError as error:
                problems.append(error.problem(shown, value, secret=name == "password"))
        given_names = {name: shown for name, (shown, _unused) in given.items()}
        problems += _contradictions(values, {**names, **given_names})
        problems += _address_conflicts(values, given_names)
        if problems:
            raise SettingsError(*problems)
        return cls(**values)


def _from_url(shown: str, url: str, problems: list[str]) -> Given:
    """Return the fields that the URL states, under the name of the variable it came from."""
    values, found = parse_url(url)
    problems += [f"{shown} {problem}" for problem in found]
    return {name: (shown, value) for name, value in values.items()}


def _check_lonely_user(given: Given, shown: str, problems: list[str]) -> None:
    """Refuse redis://SECRET@host, a common slip: the secret would count as a user name, which is printed."""
    if "password" not in given and given.get("username", ("", ""))[0] == shown:
        problems.append(f"{shown} has a user name and no password; a password alone is written redis://:PASSWORD@host")


def _add(given: Given, name: str, variable: str, value: Any, problems: list[str]) -> None:
    """Note *value*, and a problem if another variable states something else."""
    if value is None:
        return
    if name in given:
        other, before = given[name]
        try:
            same = CONVERTERS[name](value) == CONVERTERS[name](before)
        except ConversionError:
            same = False
        if not same:
            problems.append(f"{other} and {variable} contradict each other; remove {variable} or make them agree")
    given[name] = (variable, value)


def _read_password(variable: str, path: str, problems: list[str]) -> Optional[str]:
    """Return the file's text without the final line break."""
    try:
        password = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        problems.append(f"{variable} is {path!r} and cannot be read: {reason}")
        return None
    if not password:
        problems.append(f"{variable} is {path!r} and that file is empty")
    return password or None


def _contradictions(values: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """Return what is wrong with a complete set of values, each field called as *names* says."""

    def called(*wanted: str) -> str:
        return " and ".join(names.get(name, name) for name in wanted)

    tls_file = "tls_ca_file" if values["tls_ca_file"] else "tls_cert_file"
    rules = (
        (not values["host"], f"{called('host')} is empty; a host name or address is needed"),
        (not 1 <= values["port"] <= 65535, f"{called('port')} is {values['port']}; allowed are 1 to 65535"),
        (values["db"] < 0, f"{called('db')} is {values['db']}; allowed are 0 and above"),
        (values["retry_attempts"] < 0, f"{called('retry_attempts')} is {values['retry_attempts']}; allowed are 0 and above"),
        (values["retry_delay_ms"] < 0, f"{called('retry_delay_ms')} is {values['retry_delay_ms']}; allowed are 0 and above"),
        (
            not 0 < values["timeout_seconds"] < 86400,
            f"{called('timeout_seconds')} is {values['timeout_seconds']}; allowed are numbers above 0, below 86400",
        ),
        (values["cluster_nodes"] and values["sentinels"], f"{called('cluster_nodes', 'sentinels')} exclude each other; keep one"),
        (values["cluster_nodes"] and values["db"], f"{called('db')} is {values['db']}; with {called('cluster_nodes')} only 0 is allowed"),
        (
            bool(values["sentinels"]) != bool(values["sentinel_service"]),
            f"{called('sentinels', 'sentinel_service')} belong together; give both",
        ),
        (values["unix_socket"] and values["tls"], f"{called('unix_socket', 'tls')} exclude each other; a socket has no TLS"),
        (values["tls_key_file"] and not values["tls_cert_file"], f"{called('tls_key_file')} needs {called('tls_cert_file')}"),
        (
            not values["tls"] and values[tls_file],
            f"{called(tls_file)} is set and TLS is off; turn {called('tls')} on or remove it",
        ),
    )
    return [problem for broken, problem in rules if broken]


def _address_conflicts(values: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """Return which given addresses cannot hold together: one server, a socket, a cluster, sentinels."""
    tcp = [name for name in ("host", "port") if name in names]
    nodes = next((name for name in ("cluster_nodes", "sentinels") if values[name]), None)
    problems = []
    if values["unix_socket"] and (tcp or nodes):
        others = ", ".join(names.get(name, name) for name in [*tcp, *([nodes] if nodes else [])])
        problems.append(f"{names['unix_socket']} names a socket, so {others} cannot be set as well")
    elif tcp and nodes and (values["host"], values["port"]) not in values[nodes]:
        shown = " and ".join(dict.fromkeys(names[name] for name in tcp))
        address = format_nodes([(values["host"], values["port"])])
        problems.append(f"{shown} names {address}, which is not among {names[nodes]}; remove {shown} or make them agree")
    return problems
