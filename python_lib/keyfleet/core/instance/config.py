# SPDX-License-Identifier: MIT
"""The configuration files of an instance: the one that keyfleet writes, and the server's own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ..directives.plan import render
from ..directives.values import HIDDEN, SECRET_DIRECTIVES, quote, split
from ..host.safe_paths import replace_file
from ..host.text_files import read_lines
from ..layout import Layout
from .model import Instance

HEADER = "# Ansible managed: role redis_server of keyfleet.redis"
STARTER_MARK = "# starter "
STARTING = ("port", "tls-port", "unixsocket", "unixsocketperm")  # of keyfleet, and with another value while a start is not proven yet
COMPUTED_MARK = "# maxmemory was computed when the instance was new, and stays"


def config_lines(
    instance: Instance, layout: Layout, service_manager: str, overrides: Mapping[str, object] = MappingProxyType({})
) -> list[str]:
    """
    Return the directives that the server reads last: what keyfleet decides, then what the inventory names.

    Args:
        overrides: Directives that have another value for now, such as those that wait for a restart.
    """
    managed = {**instance.managed(layout, service_manager), **{name: str(overrides[name]) for name in STARTING if name in overrides}}
    directives = {**instance.directives, **{name: value for name, value in overrides.items() if name not in STARTING}}
    bind = [" ".join(["bind", *instance.bind])]
    return [*bind, *(f"{name} {quote(value)}" for name, value in managed.items() if name != "bind"), *render(directives)]


def starter_digest(text: str) -> str:
    """Return the digest of a systemd unit or runner specification; comments and empty lines of it do not count."""
    material = "\n".join(line for line in text.splitlines() if line and not line.startswith("#"))
    return hashlib.sha256(material.encode()).hexdigest()[:16]


def config_text(instance: Instance, layout: Layout, service_manager: str, overrides: Mapping[str, object] = MappingProxyType({})) -> str:
    """
    Return the configuration file that the server reads last.

    The digest of the unit or runner specification is part of it, so that a change of that shows in the copy made when the process starts.

    Args:
        overrides: As for ``config_lines``.
    """
    return "\n".join(
        [
            HEADER,
            "# Read after server.conf, which belongs to the server (CONFIG REWRITE); passwords are in users.acl, as hashes.",
            f"{STARTER_MARK}{instance.starter}",
            *([COMPUTED_MARK] if instance.maxmemory_computed else []),
            *config_lines(instance, layout, service_manager, overrides),
            "",
        ]
    )


def without_secrets(text: str) -> str:
    """Return the text of a configuration file with the values of secret directives hidden."""
    return re.sub(rf"(?m)^({'|'.join(sorted(SECRET_DIRECTIVES))}) .*$", rf"\1 {HIDDEN}", text)


def values_in(lines: Iterable[str]) -> dict[str, str]:
    """Return the directives of one value in a configuration file, by lower-case name; the last line of a name counts, as for the server."""
    found = {}
    for line in lines:
        words = split(line.strip()) if line.strip() and not line.startswith("#") else []
        if len(words) == 2:
            found[words[0].lower()] = words[1]
    return found


def _directive_of(line: str) -> str:
    return "" if line.startswith("#") else line.partition(" ")[0]


def written_names(layout: Layout) -> set[str]:
    """Return the directives in the server's own file, which CONFIG REWRITE put there."""
    return {_directive_of(line) for line in read_lines(layout.server_file)} - {""}


def forget_written(layout: Layout, names: set[str]) -> None:
    """Take directives out of the server's own file; only while the server is stopped, since the file is its own."""
    if names & written_names(layout):
        kept = [line for line in read_lines(layout.server_file) if _directive_of(line) not in names]
        replace_file(layout.server_file, "\n".join([*kept, ""]).encode(errors="surrogateescape"))
