# SPDX-License-Identifier: MIT
"""From what a Sentinel watches to what it should watch: commands, in their order; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Optional

from .model import SETTINGS, Watch


@dataclass(frozen=True)
class Watching:
    """
    What a Sentinel reports of one replication.

    Attributes:
        primary: Host and port.
        settings: SETTINGS.
        replicas: Host and port of those that it knows.
        silent: Those of them that do not answer.
        sentinels: Host and port of the other Sentinels that it knows.
        silent_sentinels: Those of them that do not answer.
        is_settled: Whether the primary answers it and no failover is in progress.
    """

    primary: tuple[str, int]
    settings: Mapping[str, str]
    replicas: frozenset[tuple[str, int]] = frozenset()
    silent: frozenset[tuple[str, int]] = frozenset()
    sentinels: frozenset[tuple[str, int]] = frozenset()
    silent_sentinels: frozenset[tuple[str, int]] = frozenset()
    is_settled: bool = True


@dataclass(frozen=True)
class SentinelStep:
    """
    One step.

    Attributes:
        phrase: What it does.
        commands: Sent one after the other.
        forgets: Whether the Sentinel has to find replicas and other Sentinels anew afterwards, which is waited for.
    """

    phrase: str
    commands: tuple[tuple[Any, ...], ...] = field(repr=False)
    service: str = ""
    forgets: bool = False


def plan_watches(
    desired: Iterable[Watch],
    found: Mapping[str, Watching],
    *,
    sentinels: frozenset[tuple[str, int]] = frozenset(),
    made: Collection[str] = (),
    credentials: Optional[Mapping[str, str]] = None,
) -> tuple[list[SentinelStep], list[str]]:
    """
    Return the steps, and warnings about what stays as it is.

    Args:
        found: What the Sentinel watches, by service.
        sentinels: Host and port of those that stay; empty if that is not known.
        made: Services that keyfleet let it watch; those that are not desired any more are removed.
        credentials: Digest of the login that it has for each service, as keyfleet recorded it.
    """
    steps, warnings, wanted = [], [], {watch.service: watch for watch in desired}
    for name, watch in wanted.items():
        if name not in found:
            steps.append(_monitor(watch))
            continue
        steps += _settings(watch, found[name])
        if (credentials or {}).get(name) != login_digest(watch):
            steps.append(SentinelStep(f"set the login of {name}", tuple(_login(watch)), name))
        steps += _forget(watch, found[name], sentinels)
    for name in found:
        if name not in wanted and name in made:
            steps.append(SentinelStep(f"stop watching {name}", (("SENTINEL", "REMOVE", name),), name))
        elif name not in wanted:
            warnings.append(f"it watches {name}, which the inventory does not name; it stays (SENTINEL REMOVE {name} ends that)")
    return steps, warnings


def login_digest(watch: Watch) -> str:
    """Return what stands for the login of a service in the record."""
    return sha256(f"{watch.username} {watch.password}".encode()).hexdigest()


def _monitor(watch: Watch) -> SentinelStep:
    host, port = watch.primary
    sets = [("SENTINEL", "SET", watch.service, name, watch.settings[name]) for name in SETTINGS if name != "quorum"]
    first = ("SENTINEL", "MONITOR", watch.service, host, port, watch.settings["quorum"])
    return SentinelStep(f"watch {watch.service}", (first, *_login(watch), *sets), watch.service)


def _login(watch: Watch) -> list[tuple[Any, ...]]:
    if not watch.password:
        return []
    return [
        ("SENTINEL", "SET", watch.service, "auth-user", watch.username),
        ("SENTINEL", "SET", watch.service, "auth-pass", watch.password),
    ]


def _settings(watch: Watch, found: Watching) -> list[SentinelStep]:
    differing = {name: value for name, value in watch.settings.items() if found.settings.get(name) != value}
    if not differing:
        return []
    words = ", ".join(f"{name} to {value}" for name, value in differing.items())
    commands = tuple(("SENTINEL", "SET", watch.service, name, value) for name, value in differing.items())
    return [SentinelStep(f"set {words} of {watch.service}", commands, watch.service)]


def _forget(watch: Watch, found: Watching, staying: frozenset[tuple[str, int]]) -> list[SentinelStep]:
    """
    Forget servers and Sentinels that have left, which only RESET can, and everything else with them for a moment.

    It is safe while the primary answers and no failover is in progress; what still answers has not left.
    """
    servers = found.silent - watch.servers
    sentinels = found.silent_sentinels - staying if staying else frozenset()
    if not (servers or sentinels) or not found.is_settled:
        return []
    names = [*(f"{host}:{port}" for host, port in sorted(servers)), *(f"the Sentinel {host}:{port}" for host, port in sorted(sentinels))]
    commands = (("SENTINEL", "RESET", watch.service),)
    return [SentinelStep(f"forget {', '.join(names)} of {watch.service}", commands, watch.service, forgets=True)]
