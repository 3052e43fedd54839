# SPDX-License-Identifier: MIT
"""The configuration files of an instance: the one that keyfleet writes, and the server's own."""

from __future__ import annotations

import hashlib

from ..directives.plan import render
from ..directives.values import quote
from ..host.safe_paths import replace_file
from ..host.text_files import read_lines
from ..layout import Layout
from .model import Instance

COMPUTED_MARK = "# maxmemory was computed when the instance was new, and stays"


def config_lines(instance: Instance, layout: Layout, service_manager: str) -> list[str]:
    """Return the directives that the server reads last: what keyfleet decides, then what the inventory names."""
    managed = instance.managed(layout, service_manager)
    bind = [" ".join(["bind", *instance.bind])]
    return [*bind, *(f"{name} {quote(value)}" for name, value in managed.items() if name != "bind"), *render(instance.directives)]


def config_text(instance: Instance, layout: Layout, service_manager: str, *, header: str, starter: str) -> str:
    """
    Return the configuration file that the server reads last.

    Args:
        header: Comment lines for the top.
        starter: Text of the unit or runner specification; its digest goes into the file, so that a change of it shows in the copy
            made when the process starts. Comments of it do not count.
    """
    material = "\n".join(line for line in starter.splitlines() if line and not line.startswith("#"))
    return "\n".join(
        [
            header.rstrip(),
            "# Read after server.conf, which belongs to the server (CONFIG REWRITE); passwords are in users.acl, as hashes.",
            f"# starter {hashlib.sha256(material.encode()).hexdigest()[:16]}",
            *([COMPUTED_MARK] if instance.maxmemory_computed else []),
            *config_lines(instance, layout, service_manager),
            "",
        ]
    )


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
