# SPDX-License-Identifier: MIT
"""
Where a server is and how to talk to it.

Settings come from the environment, a URL or a mapping. All three collect what was given, field by field with the name the
user knows it by, and all problems are reported together in one SettingsError.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Optional

from ..errors import SettingsError
from .values import CONVERTERS, SECRET_FILES, SECRETS, UNKNOWN, ConversionError, Given, Nodes, Stated, format_nodes, read_secret


class SettingsWarning(UserWarning):
    """The environment can be used, and something in it is unsafe or is probably a mistake; silenced or made an error like any warning."""


@dataclass(frozen=True)
class Settings:
    """
    Everything needed to connect; immutable, and its ``repr`` has no password.

    Attributes:
        host, port: Address of a single server.
        unix_socket: Path of a socket, in place of host and port.
        username, password: Credentials; without a user name the server's ``default`` user.
        password_file: File that holds the password, read for *password* if that is not given; the client reads it again when the password
            is refused. One line end at its end is dropped.
        db: Database number; 0 on a cluster.
        tls: Encrypt, and with *tls_verify* check the certificate and that it names the host.
        tls_ca_file: CA certificates to trust in addition to the system's.
        tls_server_name: Name that the certificate must have and that the handshake asks for (SNI), in place of the host that is
            connected to: for tunnels and load balancers. It holds for every server of a cluster or replication.
        tls_cert_file, tls_key_file: Client certificate and its key.
        cluster_nodes: Some ``(host, port)`` of a cluster; the rest is discovered.
        sentinels, sentinel_service: Sentinels to ask, and the service whose primary is wanted.
        sentinel_username, sentinel_password, sentinel_password_file: Credentials of the Sentinels themselves, which may want none where the
            server does.
        key_prefix: Put before every key by the client; modules use it as their default prefix.
        retry_attempts, retry_delay_ms: Further attempts of a call, and the wait before the first, in milliseconds; it doubles. None
            means as many as fit into the time, and where redis-py is used directly, as modules do, three to connect.
        timeout_seconds: Longest time for a call of the client, its further attempts included. Where redis-py is used directly, as
            modules do, the longest wait for a connection, its further attempts included, and for each reply.
        environment: What the server is used for, in lower case; the client flushes only ``development`` and ``test``.
    Raises:
        SettingsError: if a value is out of range or two contradict each other.
    """

    host: str = "127.0.0.1"
    port: int = 6379
    unix_socket: Optional[str] = None
    username: Optional[str] = None
    password: Optional[str] = field(default=None, repr=False)
    password_file: Optional[str] = None
    db: int = 0
    tls: bool = False
    tls_ca_file: Optional[str] = None
    tls_verify: bool = True
    tls_server_name: Optional[str] = None
    tls_cert_file: Optional[str] = None
    tls_key_file: Optional[str] = None
    cluster_nodes: Nodes = ()
    sentinels: Nodes = ()
    sentinel_service: Optional[str] = None
    sentinel_username: Optional[str] = None
    sentinel_password: Optional[str] = field(default=None, repr=False)
    sentinel_password_file: Optional[str] = None
    key_prefix: str = ""
    retry_attempts: Optional[int] = None
    retry_delay_ms: int = 100
    timeout_seconds: float = 2.0
    environment: str = "production"

    def __post_init__(self) -> None:
        for file, name in SECRET_FILES.items():
            path = getattr(self, file)
            if path and getattr(self, name) is None:
                object.__setattr__(self, name, read_secret(f"{file} is {path!r}", path))
        problems = _contradictions(vars(self), {}, set())
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
        Read the REDIS_ variables that docs/client/configuration.md lists; an empty variable counts as not set.

        A SettingsWarning is given for a TLS certificate that is not checked, for a variable that is probably a misspelt one, and for more
        further attempts than fit into the time.

        Args:
            environ: Variables to read instead of the process's environment.
        Raises:
            SettingsError: naming each variable that is missing, wrong or contradicts another.
            Its text begins with ``REDIS_URL is not defined`` when no variable says where the server is.
        """
        from .environment import ENVIRONMENT, misspelt, stated_by_environment  # not for those who have settings

        for slip in misspelt(os.environ if environ is None else environ):
            warnings.warn(slip, SettingsWarning, stacklevel=2)
        problems: list[str] = []
        given = stated_by_environment(os.environ if environ is None else environ, problems)
        settings = cls._build(given, problems, {name: variable for variable, name in ENVIRONMENT.items()})
        if settings.tls and not settings.tls_verify:
            warnings.warn(
                "REDIS_TLS_VERIFY is off: who answers is not checked, and a server in between reads the password and all data; "
                "name the authority in REDIS_TLS_CA_FILE instead",
                SettingsWarning,
                stacklevel=2,
            )
        fitting = _fitting_attempts(settings)
        if settings.retry_attempts is not None and fitting < settings.retry_attempts:
            warnings.warn(
                f"REDIS_RETRY_ATTEMPTS is {settings.retry_attempts}; with REDIS_RETRY_DELAY {settings.retry_delay_ms} ms, which doubles, "
                f"only about {fitting} fit into REDIS_TIMEOUT_SECONDS, {settings.timeout_seconds:g}",
                SettingsWarning,
                stacklevel=2,
            )
        return settings

    @classmethod
    def from_url(cls, url: str, **overrides: Any) -> Settings:
        """
        Read ``redis://user:password@host:6379/0`` and its relatives.

        Args:
            url: ``rediss`` is TLS, ``valkey`` and ``valkeys`` mean the same as ``redis`` and ``rediss``. Each may have ``+cluster``
                (``redis+cluster://host1:7000,host2:7000``) or ``+sentinel`` (``redis+sentinel://host1,host2/service/0``; user name and
                password are the server's). ``unix:///run/redis.sock?db=0`` is a socket. User name, password, host, service and path are
                percent-decoded; an IPv6 host is in brackets.
            overrides: Further fields of Settings; they win over the URL.
        Raises:
            SettingsError: for every problem of the URL and the fields together.
        """
        from .url import check_lonely_user, stated_by_url

        problems: list[str] = []
        given = stated_by_url("url", url, problems)
        given.update({name: Stated(name, value) for name, value in overrides.items() if value is not None})
        check_lonely_user(given, "url", problems)
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
        given = {name: Stated(shown.get(name, name), value) for name, value in mapping.items() if value is not None}
        return cls._build(given, [], shown)

    @classmethod
    def _build(cls, given: Given, problems: list[str], names: Mapping[str, str]) -> Settings:
        """Convert what was given. Where this raises, no variable holds a plain secret: error trackers print them."""
        problems = [*problems, *_problems(given, names)]
        if problems:
            raise SettingsError(*problems)
        return cls(**{name: CONVERTERS[name](stated.value) for name, stated in given.items()})


def _fitting_attempts(settings: Settings) -> int:
    """Return how many further attempts fit into the time, with the waits between them as long as they are on average."""
    longest_ms = 200 if settings.cluster_nodes or settings.sentinels else 2000
    left, wait, count = settings.timeout_seconds * 1000, float(min(settings.retry_delay_ms, longest_ms)), 0
    while count < (settings.retry_attempts or 0) and left > 0.75 * wait:
        left -= 0.75 * wait
        wait = min(2 * wait, longest_ms)
        count += 1
    return count


def _problems(given: Given, names: Mapping[str, str]) -> list[str]:
    """Return what is wrong with each value, and with all of them together; *names* has what to call fields that were not given."""
    problems: list[str] = []
    values: dict[str, Any] = {item.name: item.default for item in fields(Settings)}
    known: dict[str, str] = {}
    for name, stated in given.items():
        if name not in values:
            problems.append(f"{stated.shown} is not a setting; known are {', '.join(values)}")
        elif stated.value is not UNKNOWN:
            try:
                values[name] = CONVERTERS[name](stated.value)
                known[name] = stated.shown
            except ConversionError as error:
                problems.append(error.problem(name, stated))
    problems += _contradictions(values, {**names, **known}, set(given) - set(known))
    return problems + _address_conflicts(values, known)


def _contradictions(values: Mapping[str, Any], names: Mapping[str, str], unknown: set[str]) -> list[str]:
    """Return what is wrong with a set of values, each field called as *names* says; nothing is said about *unknown* fields."""
    of_tls = next((name for name in ("tls_ca_file", "tls_cert_file", "tls_server_name") if values[name]), "tls_ca_file")
    asked = "sentinel_username" if values["sentinel_username"] else "sentinel_password"
    attempts = values["retry_attempts"]
    rules = (
        (not values["host"], "{} is empty; a host name or address is needed", ["host"]),
        (not 1 <= values["port"] <= 65535, f"{{}} is {values['port']}; allowed are 1 to 65535", ["port"]),
        (values["db"] < 0, f"{{}} is {values['db']}; allowed are 0 and above", ["db"]),
        (attempts is not None and attempts < 0, f"{{}} is {attempts}; allowed are endless, 0 and above", ["retry_attempts"]),
        (values["retry_delay_ms"] < 0, f"{{}} is {values['retry_delay_ms']}; allowed are 0 and above", ["retry_delay_ms"]),
        (
            not 0 < values["timeout_seconds"] < 86400,
            f"{{}} is {values['timeout_seconds']}; allowed are numbers above 0, below 86400",
            ["timeout_seconds"],
        ),
        (values["cluster_nodes"] and values["sentinels"], "{} and {} exclude each other; keep one", ["cluster_nodes", "sentinels"]),
        (
            values["cluster_nodes"] and values["db"],
            f"{{}} is {values['db']}; with {{}} only 0 is allowed",
            ["db", "cluster_nodes"],
        ),
        (
            bool(values["sentinels"]) != bool(values["sentinel_service"]),
            "{} and {} belong together; give both",
            ["sentinels", "sentinel_service"],
        ),
        (values[asked] and not values["sentinels"], "{} is set and {} is not; it is for Sentinels only", [asked, "sentinels"]),
        (values["unix_socket"] and values["tls"], "{} and {} exclude each other; a socket has no TLS", ["unix_socket", "tls"]),
        (values["tls_key_file"] and not values["tls_cert_file"], "{} needs {}", ["tls_key_file", "tls_cert_file"]),
        (not values["tls"] and values[of_tls], "{} is set and TLS is off; turn {} on or remove it", [of_tls, "tls"]),
    )
    secrets = ((re.search("[\r\n]", values[name] or ""), "{} holds a line end", [name]) for name in SECRETS)
    return [
        sentence.format(*(names.get(name, name) for name in concerned))
        for broken, sentence, concerned in (*rules, *secrets)
        if broken and unknown.isdisjoint(concerned)
    ]


def _address_conflicts(values: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """Return which given addresses cannot hold together: one server, a socket, a cluster, sentinels; *names* has what was given."""
    tcp = list(dict.fromkeys(names[name] for name in ("host", "port") if name in names))
    nodes = next((name for name in ("cluster_nodes", "sentinels") if values[name]), None)
    if values["unix_socket"] and (tcp or nodes):
        others = ", ".join([*tcp, *([names[nodes]] if nodes else [])])
        return [f"{names['unix_socket']} names a socket, so {others} cannot be set as well"]
    if not tcp or not nodes:
        return []
    shown = " and ".join(tcp)
    if nodes == "sentinels":
        return [f"{shown} names a server and {names[nodes]} Sentinels, which say where the server is; keep one"]
    if (values["host"], values["port"]) not in values[nodes]:
        address = format_nodes([(values["host"], values["port"])])
        return [f"{shown} names {address}, which is not among {names[nodes]}; remove {shown} or make them agree"]
    return []
