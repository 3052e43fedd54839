# SPDX-License-Identifier: MIT
"""
A URL into the fields that it states; pure.

    redis://user:password@host:6379/0                        one server
    redis+cluster://host1:7000,host2:7000                    a cluster
    redis+sentinel://host1:26379,host2:26379/service/0       the primary that Sentinels know as *service*
    unix:///run/redis.sock?db=0                              one server on the same host

``valkey`` means what ``redis`` does; ``rediss`` and ``valkeys`` are TLS.
"""

from __future__ import annotations

import re
from typing import Any, Optional
from urllib.parse import parse_qsl, unquote, urlsplit

from .values import DEFAULT_PORT, DEFAULT_SENTINEL_PORT, UNKNOWN, Given, Stated

TLS_OF_SCHEME = {"redis": False, "rediss": True, "valkey": False, "valkeys": True}
KINDS = ("", "+sentinel", "+cluster")
SERVERS = {f"{scheme}{kind}": (tls, kind) for scheme, tls in TLS_OF_SCHEME.items() for kind in KINDS}
FORMS = ", ".join(f"{scheme}://" for scheme in (*TLS_OF_SCHEME, "unix"))
FIELDS = ("host", "port", "unix_socket", "username", "password", "db", "tls", "cluster_nodes", "sentinels", "sentinel_service")
ENCODE_HINT = "special characters of a user name or password must be percent-encoded, as in %40 for @"
UNREADABLE = f"cannot be read as scheme://user:password@host:port/db; {ENCODE_HINT}"


def stated_by_url(shown: str, url: str, problems: list[str]) -> Given:
    """Return the fields that *url* states, under the name *shown*; of a broken one that they are unknown, and why in *problems*."""
    values, found = parse_url(url)
    problems += [f"{shown} {problem}" for problem in found]
    if found:
        values = dict.fromkeys(FIELDS, UNKNOWN)
    return {name: Stated(shown, value, quotable=False) for name, value in values.items()}


def check_lonely_user(given: Given, shown: str, problems: list[str]) -> None:
    """Refuse redis://SECRET@host, a common slip: the secret would count as a user name, which is printed."""
    if "password" not in given and "username" in given and given["username"].shown == shown:
        problems.append(f"{shown} has a user name and no password; a password alone is written redis://:PASSWORD@host")


def parse_url(url: str) -> tuple[dict[str, Any], list[str]]:
    """
    Return the fields a URL states, and its problems.

    No problem quotes the URL: where a password holds an unescaped character, any part of the URL may be part of the password.
    """
    scheme, _unused, rest = url.strip().partition("://")
    scheme = scheme.lower()
    if scheme not in (*SERVERS, "unix") or not rest:
        return {}, [f"must begin with one of {FORMS}; all but the last may have +cluster or +sentinel before the colon"]
    bare_socket = scheme == "unix" and rest.startswith("/")
    credentials, _unused, rest = ("", "", rest) if bare_socket else rest.rpartition("@")
    if re.search(r"[@/?#\[\]\s]", credentials):
        return {}, [f"cannot be read: {ENCODE_HINT}"]
    parts = re.fullmatch(r"([^/?#\s]*)((?:/[^?#]*)?)(?:\?([^#]*))?", rest)
    if not parts:
        return {}, [UNREADABLE]
    authority, path, query = parts.group(1), parts.group(2), parts.group(3) or ""
    username, _unused, password = credentials.partition(":")
    values: dict[str, Any] = {"username": unquote(username), "password": unquote(password)}
    problems: list[str] = []
    if scheme == "unix":
        values["unix_socket"] = unquote(path)
        if authority or not path:
            problems.append("needs an absolute path, as in unix:///run/redis.sock")
        path = ""
    else:
        values["tls"], kind = SERVERS[scheme]
        values.update(_servers(authority, kind, problems))
        if kind == "+sentinel":
            service, _unused, path = path.strip("/").partition("/")
            values["sentinel_service"] = unquote(service)
    values["db"] = _database(path, query, problems)
    if "cluster_nodes" in values and values["db"]:
        problems.append("names a database; a cluster has only 0")
    return {name: value for name, value in values.items() if value not in (None, "")}, problems


def _servers(authority: str, kind: str, problems: list[str]) -> dict[str, Any]:
    """Return the fields that the part between credentials and path states: one host, or several with a *kind*."""
    found = [_host_and_port(text) for text in authority.split(",") if text]
    nodes = [node for node in found if node]
    if len(nodes) < len(found):
        problems.append(UNREADABLE)
    elif not nodes or not all(host for host, _unused in nodes):
        problems.append("has no host")
    elif any(port == 0 for _unused, port in nodes):
        problems.append("names port 0; allowed are 1 to 65535")
    elif kind == "+cluster":
        return {"cluster_nodes": tuple((host, port or DEFAULT_PORT) for host, port in nodes)}
    elif kind == "+sentinel":
        return {"sentinels": tuple((host, port or DEFAULT_SENTINEL_PORT) for host, port in nodes)}
    elif len(nodes) > 1:
        problems.append("names several hosts, which only redis+cluster:// and redis+sentinel:// do")
    else:
        return {"host": nodes[0][0], "port": nodes[0][1]}
    return {}


def _host_and_port(text: str) -> Optional[tuple[str, Optional[int]]]:
    """Return host (empty if missing) and port (None if missing), None if *text* cannot be read."""
    try:
        parts = urlsplit(f"//{text}")
        return unquote(parts.hostname or ""), parts.port
    except ValueError:
        return None


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
