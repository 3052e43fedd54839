# SPDX-License-Identifier: MIT
"""Bring the Sentinel of a host to the desired state: files, process, what it watches."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ..connect.settings import Settings
from ..errors import ServerError, UnreachableError
from ..host.file_entries import parse
from ..host.files import plan as plan_files
from ..host.safe_paths import read_bytes, remove_tree, replace_file, status_of
from ..replication.sentinels import Sentinel, as_mapping
from ..service.choose import ServiceManager, manager_for
from ..service.starters import runner_text
from .config import differing, edited, file_lines, flags, seed
from .model import SETTINGS, SentinelLayout, SentinelOptions, Watch
from .plan import Watching, login_digest, plan_watches
from .unit import UNIT_FILE, sentinel_unit

POLL_SECONDS = 0.1
TRY_SECONDS = 1.0
OPEN_FILES = 10_240


@dataclass(frozen=True)
class SentinelHost:
    """
    How a Sentinel runs on this host.

    Attributes:
        binary: Path of the server, which is a Sentinel with ``--sentinel``.
        service_manager: ``systemd`` or ``process``.
        root: Folder that all paths derive from.
        user, group: Who runs it, if root manages the host.
        wait_seconds: Longest wait for its start, and until it knows all others.
        sentinels: Host and port of every Sentinel of the same replications, this one included; empty if that is not known.
    """

    binary: str
    service_manager: str
    root: str = "/"
    user: str = ""
    group: str = ""
    wait_seconds: float = 60.0
    sentinels: frozenset[tuple[str, int]] = frozenset()

    @property
    def layout(self) -> SentinelLayout:
        """Paths of the Sentinel."""
        return SentinelLayout(self.root)

    @property
    def manager(self) -> ServiceManager:
        """What starts and stops it."""
        return manager_for(self.service_manager, self.layout, timeout_seconds=self.wait_seconds)


@dataclass
class SentinelOutcome:
    """
    What was done, or in check mode would be.

    Attributes:
        steps: A phrase each.
        warnings: What stays as it is.
        watched: Services that the Sentinel watches afterwards.
    """

    steps: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)


def converge(host: SentinelHost, options: SentinelOptions, watches: Sequence[Watch], *, check: bool = False) -> SentinelOutcome:
    """
    Write what is missing, start the Sentinel, change by commands what commands can change.

    Raises:
        KeyfleetError: if a path cannot be written, or the Sentinel does not start, or refuses a command.
    """
    outcome = SentinelOutcome()
    layout = host.layout
    files = plan_files(parse(_entries(host, options)), check=check)
    status = host.manager.status()
    text = _text(layout.sentinel_file)
    lines = file_lines(options, layout, host.service_manager)
    changes = differing(text, lines) if text else []
    if files.changes:
        outcome.steps.append("write the files of the Sentinel")
    if not check:
        files.apply()
        host.manager.reload_units()
    if changes:
        outcome.steps.append(f"change {', '.join(changes)} in the file of the Sentinel while it is stopped")
        if not check:
            host.manager.stop(host.wait_seconds)
            replace_file(layout.sentinel_file, edited(_text(layout.sentinel_file), lines).encode())
            status = host.manager.status()
    if not status.active:
        outcome.steps.append("start the Sentinel")
    if status.enabled is False and not check:
        host.manager.enable()
    if check and (changes or not status.active):
        outcome.steps += [f"watch {watch.service}" for watch in watches] if not status.active and not text else []
        outcome.watched = [watch.service for watch in watches]
        return outcome
    host.manager.start()
    with_sentinel(options, host.wait_seconds, lambda sentinel: _watch(host, options, sentinel, watches, outcome, check=check))
    return outcome


def _entries(host: SentinelHost, options: SentinelOptions) -> list[dict[str, Any]]:
    layout, is_root = host.layout, os.geteuid() == 0
    ours = {"owner": "root", "group": host.group} if is_root else {}
    theirs = {"owner": host.user, "group": host.group} if is_root else {}
    systemd = host.service_manager == "systemd"
    place = UNIT_FILE if systemd else layout.runner_file
    starter = sentinel_unit(host.binary, host.user, host.group) if systemd else runner_text()
    parents = {
        PurePosixPath(place).parent,
        *(PurePosixPath(folder).parent for folder in (layout.config_dir, layout.data_dir, layout.log_dir)),
    }
    parents |= set() if systemd else {PurePosixPath(layout.run_dir).parent}
    below = {folder for leaf in parents for folder in (leaf, *leaf.parents) if folder.is_relative_to(host.root) and folder.name}
    missing = sorted((folder for folder in below if status_of(str(folder)) is None), key=lambda folder: len(folder.parts))
    entries: list[dict[str, Any]] = [
        *({"path": str(folder), "state": "directory", "mode": "0755"} for folder in missing),
        {"path": place, "content": starter, "mode": "0644"},
        {"path": layout.config_dir, "state": "directory", **ours, "mode": "0750"},
        {"path": layout.data_dir, "state": "directory", **theirs, "mode": "0750"},
        {"path": layout.log_dir, "state": "directory", **theirs, "mode": "0750"},
    ]
    if not systemd:
        spec = json.dumps(_runner_spec(host), indent=2) + "\n"
        entries.append({"path": layout.run_dir, "state": "directory", **theirs, "mode": "0755"})
        entries.append({"path": layout.spec_file, "content": spec, **ours, "mode": "0640"})
    content = seed(options, layout, host.service_manager)
    return [*entries, {"path": layout.sentinel_file, "state": "seed", "content": content, **theirs, "mode": "0600"}]


def _runner_spec(host: SentinelHost) -> dict[str, Any]:
    layout = host.layout
    spec = {
        "name": layout.name,
        "argv": [host.binary, layout.sentinel_file, "--sentinel"],
        "run_dir": layout.run_dir,
        "log_file": f"{layout.log_dir}/runner.log",
        "working_dir": layout.data_dir,
        "nofile": OPEN_FILES,
    }
    return {**spec, **({"user": host.user, "group": host.group} if os.geteuid() == 0 else {})}


def _text(path: str) -> str:
    try:
        return read_bytes(path).decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def with_sentinel(options: SentinelOptions, wait_seconds: float, work: Callable[[Sentinel], None]) -> None:
    """Connect to the Sentinel of this host as soon as it answers, and do something with it."""
    plain = [address.lstrip("-") for address in options.bind]
    place = next((address for address in plain if address not in ("*", "0.0.0.0", "::", "::*")), "127.0.0.1")  # noqa: S104
    settings = Settings(password=options.password or None, timeout_seconds=5.0)
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            sentinel = Sentinel(settings, place, options.port)
            sentinel.ask(("PING",), problem="does not answer")
            break
        except UnreachableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
    try:
        work(sentinel)
    finally:
        sentinel.close()


def _watch(
    host: SentinelHost,
    options: SentinelOptions,
    sentinel: Sentinel,
    watches: Sequence[Watch],
    outcome: SentinelOutcome,
    *,
    check: bool,
) -> None:
    found, record = read_watching(sentinel, watches, host.sentinels), _read_record(host.layout)
    _set_flags(sentinel, options, outcome, check=check)
    steps, outcome.warnings = plan_watches(watches, found, sentinels=host.sentinels, made=list(record), credentials=record)
    outcome.steps += [step.phrase for step in steps]
    outcome.watched = [watch.service for watch in watches]
    if check:
        return
    wanted = {watch.service: login_digest(watch) for watch in watches}
    if {**record, **wanted} != record:  # named before it is done: a killed run forgets nothing
        _write_record(host.layout, {**record, **{name: "" for name in wanted if record.get(name) != wanted[name]}})
    for step in steps:
        for command in step.commands:
            sentinel.change(command, problem=f"cannot {step.phrase}", ignore="Duplicate|No such")
        if step.forgets:
            known = found[step.service]
            staying = len(known.sentinels - (known.silent_sentinels - host.sentinels))
            _wait_until_whole(host, sentinel, next(watch for watch in watches if watch.service == step.service), staying)
    if wanted != record:
        _write_record(host.layout, wanted)


def _set_flags(sentinel: Sentinel, options: SentinelOptions, outcome: SentinelOutcome, *, check: bool) -> None:
    """Set whether servers are known by name, which the Sentinel changes while it runs."""
    for name, value in flags(options).items():
        (reply,) = sentinel.ask(("SENTINEL", "CONFIG", "GET", name), problem=f"cannot be asked for {name}")
        if as_mapping(reply).get(name) != value:
            outcome.steps.append(f"set {name} to {value}")
            if not check:
                sentinel.change(("SENTINEL", "CONFIG", "SET", name, value), problem=f"cannot set {name}")


def read_watching(
    sentinel: Sentinel, watches: Iterable[Watch] = (), sentinels: frozenset[tuple[str, int]] = frozenset()
) -> dict[str, Watching]:
    """
    Return what the Sentinel watches, by service.

    A Sentinel notices only after some seconds that a server is silent. Servers that *watches* do not list and Sentinels that *sentinels*
    does not are tried from here, so that one that was stopped a moment ago is known as silent.
    """
    (primaries,) = sentinel.ask(("SENTINEL", "MASTERS"), problem="cannot be asked what it watches")
    listed = {watch.service: watch.servers for watch in watches}
    found = {}
    for primary in map(as_mapping, primaries):
        name = primary["name"]
        asked = (("SENTINEL", command, name) for command in ("REPLICAS", "SENTINELS"))
        replicas, others = map(_flags_by_place, sentinel.ask(*asked, problem="cannot be asked for what it knows"))
        leaving = replicas.keys() - listed.get(name, replicas.keys())
        found[name] = Watching(
            primary=(primary["ip"], int(primary["port"])),
            settings={name: primary[name] for name in SETTINGS},
            replicas=frozenset(replicas),
            silent=_silent(replicas, leaving),
            sentinels=frozenset(others),
            silent_sentinels=_silent(others, others.keys() - (sentinels or others.keys())),
            is_settled=primary["flags"] == "master",
        )
    return found


def _flags_by_place(reply: Sequence[Any]) -> dict[tuple[str, int], list[str]]:
    return {(one["ip"], int(one["port"])): one["flags"].split(",") for one in map(as_mapping, reply)}


def _silent(known: Mapping[tuple[str, int], Sequence[str]], tried: Collection[tuple[str, int]]) -> frozenset[tuple[str, int]]:
    return frozenset(place for place, flags in known.items() if "s_down" in flags or (place in tried and not _accepts(place)))


def _accepts(place: tuple[str, int]) -> bool:
    """Return whether anything listens there."""
    try:
        socket.create_connection(place, TRY_SECONDS).close()
    except OSError:
        return False
    return True


def _wait_until_whole(host: SentinelHost, sentinel: Sentinel, watch: Watch, others: int) -> None:
    """Wait until a Sentinel has found all replicas and Sentinels again; until then, the next one must not forget them."""
    deadline = time.monotonic() + host.wait_seconds
    while True:
        (reply,) = sentinel.ask(("SENTINEL", "MASTER", watch.service), problem="cannot be asked")
        found = as_mapping(reply)
        if int(found["num-slaves"]) >= len(watch.servers) - 1 and int(found["num-other-sentinels"]) >= others:
            return
        if time.monotonic() > deadline:
            raise ServerError(
                f"found {found['num-slaves']} replicas and {found['num-other-sentinels']} other Sentinels of {watch.service} in "
                f"{host.wait_seconds:g} s, of {len(watch.servers) - 1} and {others}; run it again when the reason is found",
                sentinel.address,
            )
        time.sleep(POLL_SECONDS)


def _read_record(layout: SentinelLayout) -> dict[str, str]:
    try:
        found: Mapping[str, Any] = json.loads(_text(layout.record_file) or "{}")
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in found.items()}


def _write_record(layout: SentinelLayout, record: Mapping[str, str]) -> None:
    replace_file(layout.record_file, json.dumps(record, sort_keys=True).encode(), 0o600)


def remove(host: SentinelHost, *, check: bool = False) -> bool:
    """
    Stop the Sentinel and remove its files; return whether there was one.

    Raises:
        KeyfleetError: if it does not stop.
    """
    layout = host.layout
    folders = [folder for folder in (layout.config_dir, layout.data_dir, layout.log_dir, layout.run_dir) if status_of(folder)]
    status = host.manager.status()
    if not folders and status.stopped:
        return False
    if not check:
        host.manager.stop(host.wait_seconds)
        host.manager.disable()
        for folder in folders:
            remove_tree(folder)
    return True
