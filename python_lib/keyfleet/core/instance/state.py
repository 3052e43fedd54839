# SPDX-License-Identifier: MIT
"""What an instance is now: process, files, record, directives and data; reads only."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Optional

from ..acl.live import read_users
from ..acl.model import User, users_in
from ..acl.plan import UserPlan
from ..directives.live import read_active
from ..directives.plan import config_command_in
from ..directives.throwaway import config_get, file_identity, throwaway
from ..directives.trial import engine_version, judge
from ..directives.values import Table, table_for
from ..errors import DeniedError, ServiceError
from ..host.safe_paths import is_folder, open_folder, read_bytes, status_of
from ..host.text_files import read_lines
from ..layout import Layout
from ..service.manager import ServiceStatus
from ..tls.certificates import has_files
from .access import POLL_SECONDS, opened, wait_until_ready
from .acl import users_to_do
from .config import STARTER_MARK, values_in, written_names
from .datafiles import DataFolder, Disk, Place
from .keys import DatabaseKeys, count_keys
from .model import Host, Instance
from .program import program_reasons
from .record import DataRecord, Record, read_data_record, read_record
from .starting import conditions, server_account
from .tls import running_leaf


@dataclass(frozen=True)
class Running:
    """
    What a running server says.

    Attributes:
        pid: Its process.
        orphaned: Whether no supervisor runs it, or its manager has no note of it.
        command: What CONFIG is called; None if it answers none.
        active: Its directives, as CONFIG GET reports them; empty without CONFIG.
        counts: Keys of each database.
        users: By name.
        reasons: Why its process is not the one that would be started now.
        tls_leaf: Digest of the certificate that it shows; empty without TLS.
    """

    pid: Optional[int]
    orphaned: bool = False
    command: Optional[str] = "CONFIG"
    active: Mapping[str, str] = field(default_factory=dict, repr=False)
    counts: Mapping[int, DatabaseKeys] = field(default_factory=dict)
    users: Mapping[str, User] = field(default_factory=dict, repr=False)
    reasons: tuple[str, ...] = ()
    tls_leaf: str = ""


@dataclass(frozen=True)
class State:
    """
    What an instance is now.

    Attributes:
        status: What the service manager says.
        running: What the server says; None if it does not run.
        record: What keyfleet applied last.
        data: What keyfleet knew of the data at its own last stop.
        data_unchanged: Whether the files of that time are as they were.
        own: Directives of one value in the server's own file.
        own_names: All directives in it.
        written: Directives of one value in the configuration file; None if there is no file.
        config_text: The configuration file; empty if it is missing.
        users: What to do for the users; None without a program, in check mode, or while the password is not known.
        files_owned: Whether owner and mode of both are right.
        started: Lines that the process was started with.
        disk: Data files.
        data_format, program_format: Format of the data that a start would read, and the one that the program writes; "" if not known.
        desired: Every directive as a server with the desired ones has it; empty without a program, in check mode.
        table: Directives of the program.
        has_tls_files: Whether certificates are beside its configuration.
    """

    status: ServiceStatus
    running: Optional[Running] = None
    record: Optional[Record] = None
    data: Optional[DataRecord] = None
    data_unchanged: bool = False
    own: Mapping[str, str] = field(default_factory=dict, repr=False)
    own_names: frozenset[str] = frozenset()
    written: Optional[Mapping[str, str]] = field(default=None, repr=False)
    config_text: str = field(default="", repr=False)
    users: Optional[UserPlan] = field(default=None, repr=False)
    files_owned: bool = True
    started: tuple[str, ...] = field(default=(), repr=False)
    disk: Disk = field(default_factory=Disk)
    data_format: str = ""
    program_format: str = ""
    desired: Mapping[str, str] = field(default_factory=dict, repr=False)
    table: Optional[Table] = None
    has_tls_files: bool = False

    @property
    def place(self) -> Place:
        """Names under which a start would search for the data now; before a first deployment, those of the last one."""
        if self.written is None and self.data is not None:
            return self.data.place
        return Place.of({**self.own, **(self.written or {})})


def observe(host: Host, instance: Instance) -> State:
    """
    Read everything that a plan for an instance needs.

    A server that is starting or stopping is waited for, since neither can be planned with.

    Raises:
        ServiceError, UnreachableError: if it neither starts nor stops in time.
        CredentialsError: if it refuses the passwords at hand.
    """
    layout = host.layout(instance.name)
    status = _settled(host, instance)
    running = None
    if status.active or status.pid is not None:
        wait_until_ready(host, instance, status.pid)
        running = _ask(host, instance, status)
    written = values_in(read_lines(layout.config_file)) if status_of(layout.config_file) else None
    program = os.access(host.binary, os.X_OK)
    acl_lines = [line for line in _text(layout.acl_file).splitlines() if line.strip()]
    record, in_file = read_record(layout), users_in(acl_lines)
    readable = len(in_file) == len(acl_lines)  # with any other line, or a user twice, no server starts
    made = record.users if record is not None and record.users is not None else in_file  # before it was recorded, the file had no others
    state = State(
        status=status,
        running=running,
        record=record,
        data=read_data_record(layout),
        own=values_in(read_lines(layout.server_file)),
        own_names=frozenset(written_names(layout)),
        written=written,
        config_text=_text(layout.config_file),
        users=users_to_do(host, instance, in_file if running is None else running.users, in_file if readable else None, made)
        if program
        else None,
        files_owned=_owned(layout),
        started=tuple(read_lines(layout.started_file)),
        disk=DataFolder(layout.data_dir).inspect(),
        desired=judge(host.binary, instance.directives, conditions(host, server_account(host))).values if program else {},
        table=table_for(*engine_version(host.binary)) if program else None,
        has_tls_files=has_files(layout),
    )
    return _with_data(host, state, layout) if running is None and state.disk.names and program else state


def _settled(host: Host, instance: Instance) -> ServiceStatus:
    """Return the status once the server neither starts nor stops."""
    deadline = time.monotonic() + host.start_timeout_seconds
    while True:
        status = host.manager(instance.name).status()
        if status.state not in ("starting", "stopping"):
            return status
        if time.monotonic() > deadline:
            raise ServiceError(
                instance.name, "wait for", f"it is still {status.state} after {host.start_timeout_seconds:g} s: run again later"
            )
        time.sleep(POLL_SECONDS)


def _with_data(host: Host, state: State, layout: Layout) -> State:
    """Add what is known of the data of a stopped server."""
    folder = DataFolder(layout.data_dir)
    unchanged = False
    if state.data is not None and state.data.files:
        with contextlib.suppress(OSError):
            unchanged = folder.fingerprint(state.data.place) == dict(state.data.files)
    found = {"data_unchanged": unchanged, "data_format": folder.data_format(state.place), "program_format": program_format(host.binary)}
    return State(**{**vars(state), **found})


def program_format(binary: str) -> str:
    """Return the format of RDB files that a program writes, such as ``REDIS0010``; the same file is asked once."""
    return _program_format(binary, file_identity(binary))


@cache
def _program_format(binary: str, _identity: tuple[int, ...]) -> str:
    with throwaway(binary, []) as ask:
        ask("SAVE")
        return DataFolder(config_get(ask, "dir")["dir"]).data_format(Place())


def _text(path: str) -> str:
    try:
        return read_bytes(path).decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _owned(layout: Layout) -> bool:
    """Return whether both files belong to whom their folder belongs to, and no other user can read them."""
    if not is_folder(layout.config_dir):
        return False
    with open_folder(layout.config_dir) as folder:
        owner, found = folder.owner(), [status_of(path) for path in (layout.config_file, layout.acl_file)]
    return all(status is not None and (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (*owner, 0o640) for status in found)


def _ask(host: Host, instance: Instance, status: ServiceStatus) -> Running:
    """Ask a running server."""
    layout = host.layout(instance.name)
    record = read_record(layout) or Record.of(instance, host.engine)
    started = read_lines(layout.started_file)
    command = config_command_in(started or read_lines(layout.config_file))
    with opened(host, instance, status.pid) as client:
        active: Mapping[str, str] = {}
        try:
            if command is not None:
                active = read_active(client, [*instance.directives, *record.applied], command=command)
        except DeniedError:
            command = None
        return Running(
            pid=status.pid,
            orphaned=not (status.active and status.recorded),
            command=command,
            active=active,
            counts=count_keys(client),
            users=read_users(client),
            reasons=(*program_reasons(client, host, status.pid), *_starter_reasons(host, instance, started)),
            tls_leaf=running_leaf(record.as_instance(instance), active, layout),
        )


def _starter_reasons(host: Host, instance: Instance, started: list[str]) -> list[str]:
    """Return whether the unit or the runner's specification changed since the server started."""
    if not started:
        return ["what it was started with is not known, since its started.conf is gone"]
    marks = [line.rstrip() for line in started if line.startswith(STARTER_MARK)]
    if marks == [f"{STARTER_MARK}{instance.starter}".rstrip()]:
        return []
    return ["its systemd unit changed" if host.service_manager == "systemd" else "the runner's specification changed"]
