# SPDX-License-Identifier: MIT
"""What an operator should think about, from what the servers report; pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..directives.plan import acl_lines
from ..host.memory import format_bytes
from ..layout import Layout
from .model import Instance

# More than this share of the memory for data leaves too little for saving, replicas' buffers and the system.
MOST_PERCENT = 75
DEFAULT_CLIENTS = 10_000  # of every engine and version; a server lowers it to what its limit of open files allows


def advice(
    instances: Iterable[Instance], found: Mapping[str, Mapping[str, Any]], total_bytes: int, *, manager: str, root: str, keep_days: int
) -> list[str]:
    """
    Return a line for each thing that is likely to hurt later; empty if there is none.

    Args:
        instances: As the inventory states them.
        found: By name, what the health checks ``memory`` and ``clients`` found: ``maxmemory_bytes``, ``policy``, ``maxclients``.
        total_bytes: The host's memory, 0 if it is not known.
        manager, root: As for `Host`.
        keep_days: How many logs logrotate keeps.
    """
    present = [instance for instance in instances if instance.present and instance.name in found]
    lines = [line for instance in present for line in _of_instance(instance, found[instance.name], total_bytes)]
    total = sum(int(found[instance.name]["maxmemory_bytes"]) for instance in present)
    if total_bytes and total * 100 > total_bytes * MOST_PERCENT:
        lines.append(
            f"Memory: maxmemory of all instances is {format_bytes(total)} of the host's {format_bytes(total_bytes)}, more than "
            f"{MOST_PERCENT} %: while a server saves, what is written meanwhile is there twice, and the kernel may end it; lower maxmemory"
        )
    rotations = [Layout(root, instance.name).rotation_file for instance in present if instance.log == "file" and keep_days]
    if manager == "process" and rotations:
        files = " ".join(shlex.quote(path) for path in rotations)
        lines.append(f"Logs: nothing here calls logrotate; let cron call it with {files}, or set redis_server_log: manager")
    return lines


def _of_instance(instance: Instance, found: Mapping[str, Any], total_bytes: int) -> Iterator[str]:
    where = f"Memory: instance {instance.name}"
    if not found["maxmemory_bytes"]:
        most = f"the host's {format_bytes(total_bytes)} are" if total_bytes else "the host's memory is"
        yield f"{where} has no maxmemory: it grows until {most} used up and the kernel ends a process; set directives.maxmemory"
    clients = found.get("maxclients")
    if clients is not None and "maxclients" not in instance.directives and int(clients) < DEFAULT_CLIENTS:
        yield (
            f"Clients: instance {instance.name} has maxclients {clients} in place of the server's default {DEFAULT_CLIENTS}: its limit of "
            "open files allows no more, or it was set by hand; raise the hard limit (ulimit -n) of what starts the servers, or set "
            "directives.maxclients"
        )
    named = [line.split(" ")[1] for line in acl_lines(instance.directives)]
    if named:
        yield (
            f"Users: instance {instance.name} has {', '.join(named)} from directives.user, which the next version no longer takes: write "
            "them as redis_server_users (docs/operations/users.md); nothing changes for them"
        )
    policy = str(found["policy"])
    for use, fits, why, better in _POLICIES:
        if instance.use == use and not policy.startswith(fits):
            yield f"{where} is used as {use} and its maxmemory-policy is {policy}: {why}; {better}"


# Use, beginnings of the policies that fit, what happens with the others, and what to do.
_POLICIES: Sequence[tuple[str, tuple[str, ...], str, str]] = (
    ("cache", ("allkeys-",), "when it is full, writes fail, or keys without a TTL stay forever", "set allkeys-lru or allkeys-lfu"),
    ("store", ("noeviction",), "when it is full, it removes data that no client deleted", "set noeviction"),
    (
        "mixed",
        ("volatile-",),
        "when it is full, either writes fail or data that was to stay is removed",
        "set volatile-lru or volatile-ttl and give cached keys a TTL, or have an instance for each use",
    ),
)
