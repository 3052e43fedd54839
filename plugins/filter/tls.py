# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role redis_tls: variables in, what redis_certificates and the servers take out. Not for other playbooks."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..plugin_utils.certificate_plan import SOURCES, names_of, normalized

_FILES = {
    "own": (),
    "ca": ("ca_file", "ca_key_file"),
    "files": ("ca_file", "certificate_file", "key_file"),
}
_AUTH_CLIENTS = {"optional": "optional", "required": "yes", "no": "no"}
_CIPHERSUITES = re.compile("TLS_[A-Z0-9_]+(:TLS_[A-Z0-9_]+)*")
LONGEST_DAYS = 3650


def tls_problems(variables: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the variables of the role: variable, value found, values allowed; empty when nothing is."""
    return [f"redis_tls_{problem}" for problem in _problems(variables)]


def _problems(variables: Mapping[str, Any]) -> Iterator[str]:
    if variables["source"] not in SOURCES:
        yield f"source is {variables['source']!r}: use one of {', '.join(SOURCES)}"
        return
    for name in ("ca_file", "ca_key_file", "certificate_file", "key_file"):
        needed = name in _FILES[variables["source"]]
        if needed and not str(variables[name]).startswith("/"):
            yield f"{name} is {variables[name]!r}, and redis_tls_source {variables['source']!r} needs it: give the absolute path of a file"
        elif variables[name] and not needed:
            yield f"{name} is {variables[name]!r}, which redis_tls_source {variables['source']!r} does not use: leave one of them out"
    if variables["clients"] not in _AUTH_CLIENTS:
        yield f"clients is {variables['clients']!r}: use 'optional', 'required' or 'no', in quotes (YAML reads a bare no as false)"
    days, renew = variables["days"], variables["renew_days"]
    if not _is_number(days) or not 1 <= int(days) <= LONGEST_DAYS:
        yield f"days is {days!r}: give 1 to {LONGEST_DAYS} days"
    elif not _is_number(renew) or not 0 <= int(renew) < int(days):
        yield f"renew_days is {renew!r}: give 0 to {int(days) - 1} days, less than redis_tls_days"
    for name in variables["names"]:
        if not isinstance(name, str) or normalized(name) is None:
            yield f"names has {name!r}: give host names, such as 'cache.example.org' or '*.example.org', or addresses"
    if variables["ciphers"] and not _openssl_knows(str(variables["ciphers"])):
        yield f"ciphers is {variables['ciphers']!r}, and OpenSSL knows none of it: give names such as 'ECDHE+AESGCM', with ':' between them"
    if variables["ciphersuites"] and not _CIPHERSUITES.fullmatch(str(variables["ciphersuites"])):
        yield f"ciphersuites is {variables['ciphersuites']!r}: give names such as 'TLS_AES_256_GCM_SHA384', with ':' between them"


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and re.fullmatch("[0-9]{1,9}", str(value)) is not None


def _openssl_knows(ciphers: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(ciphers)
    except (ssl.SSLError, ValueError):
        return False
    return True


def tls_request(variables: Mapping[str, Any], addresses: Mapping[str, Sequence[str]], *names: str) -> dict[str, Any]:
    """
    Return what redis_certificates takes for a host; empty without TLS, and for variables that are refused.

    Args:
        variables: Of the role.
        addresses: ``redis_server_report.tls_hosts``.
        names: Of the host itself.
    """
    if not addresses.get("announced") or tls_problems(variables):
        return {}
    taken = ("folder", "source", "ca_file", "ca_key_file", "certificate_file", "key_file")
    return {
        **{name: variables[name] for name in taken},
        "names": names_of([*names, *addresses["announced"], *addresses["bound"], *variables["names"]]),
        "announced": names_of(addresses["announced"], loopback=False),
        "days": int(variables["days"]),
        "renew_days": int(variables["renew_days"]),
    }


def tls_directives(variables: Mapping[str, Any]) -> dict[str, str]:
    """Return the directives that say what servers ask of clients; none for variables that are refused."""
    if tls_problems(variables):
        return {}
    protocols = {"1.2": "TLSv1.2 TLSv1.3", "1.3": "TLSv1.3"}[str(variables["min_protocol"])]
    given = {"tls-ciphers": variables["ciphers"], "tls-ciphersuites": variables["ciphersuites"]}
    return {
        "tls-protocols": protocols,
        "tls-auth-clients": _AUTH_CLIENTS[str(variables["clients"])],
        **{name: str(value) for name, value in given.items() if value},
    }


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"tls_problems": tls_problems, "tls_request": tls_request, "tls_directives": tls_directives}
