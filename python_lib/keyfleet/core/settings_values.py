# SPDX-License-Identifier: MIT
"""Texts into values: what a variable, an option or a URL holds becomes the type of a field; pure, and no error holds a secret."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Optional
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

Nodes = tuple[tuple[str, int], ...]

DEFAULT_PORT = 6379
SCHEMES = ("redis", "rediss", "unix")
ENCODE_HINT = "special characters of a user name or password must be percent-encoded, as in %40 for @"


class ConversionError(ValueError):
    """A value cannot become what the field needs; carries what is allowed and never the value."""

    def __init__(self, allowed: str) -> None:
        super().__init__(allowed)
        self.allowed = allowed

    def problem(self, name: str, value: object, *, secret: bool) -> str:
        """Return the sentence for the user, without the value if it is secret."""
        found = "is not usable" if secret else f"is {value!r}"
        return f"{name} {found}; allowed: {self.allowed}"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ConversionError("a text")
    return value


def _stripped(value: object) -> str:
    return _text(value).strip()


def _host(value: object) -> str:
    host = _stripped(value)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if re.search(r"[\s/@,\[\]]", host) or (":" in host and not _is_ipv6(host)):
        raise ConversionError("a host name, an IPv4 or an IPv6 address, without a port")
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


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    word = str(value).strip().lower()
    if word not in words:
        raise ConversionError("true or false")
    return words[word]


def _node(value: object) -> tuple[str, int]:
    """Return host and port of ``host``, ``host:port``, ``[ipv6]:port``, a pair or a mapping."""
    allowed = ConversionError("a list of host:port, comma separated or JSON; an IPv6 address in brackets")
    if isinstance(value, Mapping) and set(value) <= {"host", "port"} and "host" in value:
        host, port = value["host"], value.get("port", DEFAULT_PORT)
    elif isinstance(value, (list, tuple)) and len(value) == 2:
        host, port = value
    elif isinstance(value, str):
        match = re.fullmatch(r"\s*(\[[^\[\]]+\]|[^:\s]+)(?::([0-9]{1,5}))?\s*", value)
        if not match:
            raise allowed
        host, port = match.group(1), match.group(2) or DEFAULT_PORT
    else:
        raise allowed
    pair = (_host(host), _integer(port))
    if not pair[0] or not 1 <= pair[1] <= 65535:
        raise allowed
    return pair


def _nodes(value: object) -> Nodes:
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip().startswith("[") else value.split(",")
        except ValueError:  # "[::1]:7000,[::1]:7001" begins like JSON
            value = str(value).split(",")
    if not isinstance(value, (list, tuple)):
        raise ConversionError("a list of host:port, comma separated or JSON")
    return tuple(_node(item) for item in value if item != "")


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "host": _host,
    "port": _integer,
    "unix_socket": _stripped,
    "username": _text,
    "password": _text,
    "db": _integer,
    "tls": _boolean,
    "tls_ca_file": _stripped,
    "tls_verify": _boolean,
    "tls_cert_file": _stripped,
    "tls_key_file": _stripped,
    "cluster_nodes": _nodes,
    "sentinels": _nodes,
    "sentinel_service": _stripped,
    "key_prefix": _text,
    "retry_attempts": _integer,
    "retry_delay_ms": _integer,
    "timeout_seconds": _number,
}


def format_nodes(nodes: Iterable[tuple[str, int]]) -> str:
    """Return ``host:port`` joined by commas, IPv6 in brackets."""
    return ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in nodes)


def parse_url(url: str) -> tuple[dict[str, Any], list[str]]:
    """
    Return the fields a URL states, and its problems.

    No problem quotes the URL: where a password holds an unescaped character, any part of the URL may be part of the password.
    """
    scheme, _unused, rest = url.strip().partition("://")
    if scheme.lower() not in SCHEMES or not rest:
        return {}, [f"must begin with one of {', '.join(name + '://' for name in SCHEMES)}"]
    credentials, at, rest = rest.rpartition("@") if scheme != "unix" or not rest.startswith("/") else ("", "", rest)
    if at and re.search(r"[@/?#\[\]\s]", credentials):
        return {}, [f"cannot be read: {ENCODE_HINT}"]
    parsed = _split(f"{scheme.lower()}://{rest}")
    if parsed is None or parsed.fragment:
        return {}, [f"cannot be read as scheme://user:password@host:port/db; {ENCODE_HINT}"]
    username, _unused, password = credentials.partition(":")
    values: dict[str, Any] = {"username": unquote(username), "password": unquote(password)}
    problems: list[str] = []
    if parsed.scheme == "unix":
        values["unix_socket"] = unquote(parsed.path)
        if parsed.netloc or not parsed.path:
            problems.append("needs an absolute path, as in unix:///run/redis.sock")
    else:
        values.update(tls=parsed.scheme == "rediss", host=unquote(parsed.hostname or ""), port=parsed.port)
        if not parsed.hostname:
            problems.append("has no host")
    values["db"] = _database("" if parsed.scheme == "unix" else parsed.path, parsed.query, problems)
    return {name: value for name, value in values.items() if value not in (None, "")}, problems


def _split(url: str) -> Optional[SplitResult]:
    """Return the parts of *url*, None if it or its port cannot be read."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (parsed when asked for)
    except ValueError:
        return None
    return parts


def _database(path: str, query: str, problems: list[str]) -> Optional[int]:
    """Return the database number that the path or ``?db=`` states."""
    found = [path.strip("/")] if path.strip("/") else []
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "db":
            found.append(value)
        else:
            problems.append("has an option other than ?db=NUMBER")
    if not found:
        return None
    if any(not re.fullmatch("[0-9]{1,9}", text) for text in found) or len(set(found)) > 1:
        problems.append("states no usable database; allowed is one number, as in /0")
        return None
    return int(found[0])
