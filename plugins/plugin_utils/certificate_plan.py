# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificates must be issued, and why; which ready ones cannot be used. Pure: no X.509 and no file is read here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Optional

SOURCES = ("own", "ca", "files")
# The host's own tasks connect there, whatever it binds besides.
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")


@dataclass(frozen=True)
class Certificate:
    """
    What a certificate says.

    Attributes:
        names: Host names and addresses it is valid for, as `normalized`.
        not_before, not_after: When it is valid, in UTC.
        is_ca: Whether it may sign others.
        signed_by_ca: Whether the CA at hand signed it.
        for_server, for_client: Its purposes.
        key_matches: Whether the key beside it is its own.
    """

    names: frozenset[str]
    not_before: datetime
    not_after: datetime
    is_ca: bool = False
    signed_by_ca: bool = True
    for_server: bool = True
    for_client: bool = True
    key_matches: bool = True


def normalized(name: str) -> Optional[str]:
    """Return a host name or address in the form in which names are compared; None if it can be in no certificate."""
    try:
        return str(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return name.lower() if len(name) <= 253 and _DNS.fullmatch(name) else None


def names_of(given: Iterable[str], *, loopback: bool = True) -> list[str]:
    """
    Return the names for a certificate, each once, in order; those that can be in none are left out, and so is what is no place.

    Args:
        loopback: Whether LOOPBACK is added.
    """
    plain = (name.lstrip("-") for name in (*given, *(LOOPBACK if loopback else ())))
    found = [normalized(name) for name in plain if name not in ("*", "0.0.0.0", "::", "::*")]  # noqa: S104 - nothing is bound here
    return list(dict.fromkeys(name for name in found if name))


def covers(names: Iterable[str], name: str) -> bool:
    """Return whether a certificate with *names* is valid for *name*; a wildcard stands for one label."""
    known = set(names)
    return name in known or ("." in name and f"*.{name.partition('.')[2]}" in known and not _is_address(name))


def issue_reason(found: Optional[Certificate], names: Iterable[str], now: datetime, renew_days: int, longest: datetime) -> str:
    """
    Return why a host needs another certificate from the CA; empty if the one it has stays.

    Args:
        found: The one it has.
        names: What it must be valid for; a name that is gone is no reason.
        renew_days: How many days it must be valid still.
        longest: When the CA expires: no other certificate would be valid for longer.
    """
    if found is None:
        return "it has none"
    if not found.key_matches:
        return "its key is another one"
    if not found.signed_by_ca:
        return "another CA signed it"
    missing = [name for name in names if not covers(found.names, name)]
    if missing:
        return f"it is not valid for {', '.join(missing)}"
    if not (found.for_server and found.for_client):
        return "it is not for servers and clients both"
    if now < found.not_before:
        return f"it is valid only from {found.not_before:%Y-%m-%d} on"
    if found.not_after - now < timedelta(days=renew_days) and found.not_after < longest:
        return f"it expires on {found.not_after:%Y-%m-%d}, in fewer than {renew_days} days"
    return ""


def ca_problems(found: Certificate, now: datetime) -> list[str]:
    """Return why a certificate is no CA that others can be checked with now."""
    problems = [] if found.is_ca else ["it is no CA but the certificate of a host: name the file of the CA that signed it"]
    if found.not_after <= now:
        problems.append(f"it expired on {found.not_after:%Y-%m-%d}: give one that is valid")
    if found.not_before > now:
        problems.append(f"it is valid only from {found.not_before:%Y-%m-%d} on: give one that is valid now")
    if not found.key_matches:
        problems.append("the key is of another certificate: give the two that belong together")
    return problems


def ready_problems(found: Certificate, announced: Iterable[str], now: datetime) -> list[str]:
    """
    Return why a ready certificate cannot be used.

    Args:
        announced: Names of which clients use one, and so each must be covered.
    """
    problems = [] if found.key_matches else ["the key is of another certificate: give the two that belong together"]
    if not found.signed_by_ca:
        problems.append("the CA did not sign it, nor a certificate of its chain")
    missing = [name for name in announced if not covers(found.names, name)]
    if missing:
        problems.append(
            f"it is valid for {', '.join(sorted(found.names)) or 'no name'}, and clients use {', '.join(missing)}: have it issued "
            "for that too"
        )
    if not found.for_server:
        problems.append("it is not for servers (extended key usage)")
    if found.not_after <= now:
        problems.append(f"it expired on {found.not_after:%Y-%m-%d}: give one that is valid")
    if found.not_before > now:
        problems.append(f"it is valid only from {found.not_before:%Y-%m-%d} on: give one that is valid now")
    return problems


def lost_ca_problem(has_ca: bool, issued: Mapping[str, Optional[Certificate]], place: str) -> str:
    """
    Return why no CA may be made now: certificates of one are in use, whose key is gone; empty if one may.

    Args:
        issued: The certificate of each host that the folder has, of this play or not.
        place: File of the CA.
    """
    if has_ca or not issued:
        return ""
    return (
        f"{place} is gone, and certificates that this CA signed are there ({', '.join(sorted(issued))}). Put it back from a copy. If there "
        "is none, remove the folder, run again, and give every application the new CA certificate"
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
