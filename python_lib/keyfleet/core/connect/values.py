# SPDX-License-Identifier: MIT
"""Texts into values: what a variable, an option or a URL holds becomes the type of a field; pure, and no error holds a secret."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

from ..errors import SettingsError

Nodes = tuple[tuple[str, int], ...]

DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379
SECRETS = ("password", "sentinel_password")
SECRET_FILES = {"password_file": "password", "sentinel_password_file": "sentinel_password"}
# The value of a field that the user stated in a way that cannot be read: its problem is reported already, and nothing follows from it.
UNKNOWN = object()


class Stated(NamedTuple):
    """
    What the user said about a field; the ``repr`` has no value, since error trackers print local variables.

    Attributes:
        shown: The name by which the user knows the field: a variable, an option, or the URL's variable.
        value: As given.
        quotable: Whether an error may print the value; any part of a URL may be a part of the password.
    """

    shown: str
    value: Any
    quotable: bool = True

    def __repr__(self) -> str:
        return f"Stated({self.shown!r})"


Given = dict[str, Stated]  # by name of the field


class ConversionError(ValueError):
    """A value cannot become what the field needs; carries what is allowed and never the value."""

    def __init__(self, allowed: str) -> None:
        super().__init__(allowed)
        self.allowed = allowed

    def problem(self, name: str, stated: Stated) -> str:
        """Return the sentence for the user about the field *name*, without the value if it is secret."""
        found = f"is {stated.value!r}" if stated.quotable and name not in SECRETS else "is not usable"
        return f"{stated.shown} {found}; allowed: {self.allowed}"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ConversionError("a text")
    return value


def _secret(value: object) -> str:
    if re.search("[\r\n]", _text(value)):
        raise ConversionError("a text without line ends; one was probably copied with it")
    return _text(value)


def read_secret(shown: str, path: str) -> str:
    """
    Return the secret that a file holds; one line end at its end is dropped, as editors and `echo` leave it.

    Args:
        shown: Begins the error: how the user named the file, as ``REDIS_PASSWORD_FILE is '/run/secret'``.
        path: The file.
    Raises:
        SettingsError: if the file cannot be read, is empty, or holds a line end elsewhere.
    """
    try:
        secret = re.sub(r"\r?\n\Z", "", Path(path).read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"{shown} and cannot be read: {reason}") from None
    if not secret:
        raise SettingsError(f"{shown} and that file is empty")
    if re.search("[\r\n]", secret):
        del secret  # error trackers print local variables
        raise SettingsError(f"{shown} and that file holds a line end within the secret; only one at its end is dropped")
    return secret


def _stripped(value: object) -> str:
    return _text(value).strip()


def _lower(value: object) -> str:
    return _stripped(value).lower()


def _host(value: object) -> str:
    host = _stripped(value)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if re.search(r"[\s/@,\[\]\"']", host) or (":" in host and not _is_ipv6(host)):
        raise ConversionError("a host name, an IPv4 or an IPv6 address, without a port and without quotes")
    return host


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _integer(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value):
        return int(value)
    raise ConversionError("a whole number")


def _number(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,18}(\.[0-9]{1,18})?\s*", value):
        return float(value)
    raise ConversionError("a number")


def _attempts(value: object) -> Optional[int]:
    if value is None or (isinstance(value, str) and value.strip().lower() == "endless"):
        return None
    try:
        return _integer(value)
    except ConversionError:
        raise ConversionError("a whole number, or endless") from None


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    word = str(value).strip().lower()
    if word not in words:
        raise ConversionError("true or false")
    return words[word]


def _node(value: object, default_port: int) -> tuple[str, int]:
    """Return host and port of ``host``, ``host:port``, ``[ipv6]:port``, a pair or a mapping."""
    allowed = ConversionError("a list of host:port, comma separated or JSON; an IPv6 address in brackets")
    if isinstance(value, Mapping) and set(value) <= {"host", "port"} and "host" in value:
        host, port = value["host"], value.get("port", default_port)
    elif isinstance(value, (list, tuple)) and len(value) == 2:
        host, port = value
    elif isinstance(value, str):
        match = re.fullmatch(r"\s*(\[[^\[\]]+\]|[^:\s]+)(?::([0-9]{1,5}))?\s*", value)
        if not match:
            raise allowed
        host, port = match.group(1), match.group(2) or default_port
    else:
        raise allowed
    pair = (_host(host), _integer(port))
    if not pair[0] or not 1 <= pair[1] <= 65535:
        raise allowed
    return pair


def _nodes(value: object, default_port: int = DEFAULT_PORT) -> Nodes:
    if isinstance(value, str):
        if not value.strip(" ,[]"):
            raise ConversionError("a list with at least one host:port")
        try:
            value = json.loads(value) if value.strip().startswith("[") else value.split(",")
        except ValueError:  # "[::1]:7000,[::1]:7001" begins like JSON
            value = str(value).split(",")
    if not isinstance(value, (list, tuple)):
        raise ConversionError("a list of host:port, comma separated or JSON")
    return tuple(_node(item, default_port) for item in value if item != "")


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "host": _host,
    "port": _integer,
    "unix_socket": _stripped,
    "username": _text,
    "password": _secret,
    "password_file": _stripped,
    "db": _integer,
    "tls": _boolean,
    "tls_ca_file": _stripped,
    "tls_verify": _boolean,
    "tls_server_name": _host,
    "tls_cert_file": _stripped,
    "tls_key_file": _stripped,
    "cluster_nodes": _nodes,
    "sentinels": partial(_nodes, default_port=DEFAULT_SENTINEL_PORT),
    "sentinel_service": _stripped,
    "sentinel_username": _text,
    "sentinel_password": _secret,
    "sentinel_password_file": _stripped,
    "key_prefix": _text,
    "retry_attempts": _attempts,
    "retry_delay_ms": _integer,
    "timeout_seconds": _number,
    "environment": _lower,
}


def format_nodes(nodes: Iterable[tuple[str, int]]) -> str:
    """Return ``host:port`` joined by commas, IPv6 in brackets."""
    return ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in nodes)


def split_address(address: str) -> tuple[str, int]:
    """
    Return host and port of ``host:port``.

    Raises:
        ConversionError: if it is none.
    """
    ((host, port),) = _nodes([address])
    return host, port
