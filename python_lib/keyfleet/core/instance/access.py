# SPDX-License-Identifier: MIT
"""A managed host and the instances that run on it: where they are, what was recorded of them, how to talk to one."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from ..connect.client import close, connect
from ..connect.redis_py import translated
from ..connect.settings import Settings
from ..errors import CredentialsError, RefusedError, ServerError, UnreachableError
from ..host.text_files import read_lines
from ..instances import Instance
from ..layout import Layout
from ..profile.values import client_address
from ..service.choose import ServiceManager, manager_for

if TYPE_CHECKING:
    import redis

POLL_SECONDS = 0.05
ASK_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Host:
    """
    How instances run on this host.

    Attributes:
        engine: ``redis`` or ``valkey``.
        binary: Path of the server.
        service_manager: ``systemd`` or ``process``.
        root: Folder that all paths derive from.
        start_timeout_seconds: Longest wait until a server has saved and stopped, and until a started one has loaded its data.
        previous_password: Password that running servers may still want; empty for none.
    """

    engine: str
    binary: str
    service_manager: str
    root: str = "/"
    start_timeout_seconds: float = 300.0
    previous_password: Optional[str] = field(default=None, repr=False)

    def layout(self, name: str) -> Layout:
        """Return the paths of an instance."""
        return Layout(self.root, name)

    def manager(self, name: str) -> ServiceManager:
        """Return what starts and stops an instance."""
        return manager_for(self.service_manager, self.layout(name), timeout_seconds=self.start_timeout_seconds)

    def deployed_names(self) -> list[str]:
        """Return the names of all instances that were deployed below this root."""
        folder = Path(self.layout("any").config_dir).parent
        try:
            return sorted(entry.name for entry in folder.iterdir() if Path(self.layout(entry.name).config_file).exists())
        except OSError:
            return []


@dataclass(frozen=True)
class Record:
    """
    What keyfleet last applied to an instance, kept beside its configuration.

    Attributes:
        engine: The engine that wrote the data.
        port, bind, unix_socket: Where it listens, or did last.
        applied: Directives of the inventory; one that leaves the inventory returns to its default.
    """

    engine: str
    port: int
    bind: tuple[str, ...]
    unix_socket: bool
    applied: tuple[str, ...] = ()

    @classmethod
    def of(cls, instance: Instance, engine: str) -> Record:
        """Return the record of an instance as wished."""
        names = {name for name in instance.directives if name != "user"}
        return cls(engine, instance.port, instance.bind, instance.unix_socket, tuple(sorted(names)))

    def knowing(self, names: Iterable[str]) -> Record:
        """Return the record with more directives that were applied."""
        return replace(self, applied=tuple(sorted({*self.applied, *names})))

    def at(self, other: Record) -> Record:
        """Return the record with the address of another."""
        return replace(self, port=other.port, bind=other.bind, unix_socket=other.unix_socket)

    def as_instance(self, wished: Instance) -> Instance:
        """Return *wished* at the address on record."""
        return replace(wished, port=self.port, bind=self.bind, unix_socket=self.unix_socket)


def read_record(layout: Layout) -> Optional[Record]:
    """Return the record of an instance; None if there is none."""
    try:
        stored: dict[str, Any] = json.loads(Path(layout.record_file).read_text(encoding="utf-8"))
        return Record(**{**stored, "bind": tuple(stored["bind"]), "applied": tuple(stored["applied"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise RefusedError(f"{layout.record_file} is not as keyfleet writes it ({error}): put it back, or remove it") from error


def write_record(layout: Layout, record: Record) -> None:
    """Write the record whole or not at all."""
    draft = Path(f"{layout.record_file}.new")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(record), sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(layout.record_file)


def _directive_of(line: str) -> str:
    return "" if line.startswith("#") else line.partition(" ")[0]


def written_names(layout: Layout) -> set[str]:
    """Return the directives in the server's own file, which CONFIG REWRITE put there."""
    return {_directive_of(line) for line in read_lines(layout.server_file)} - {""}


def forget_written(layout: Layout, names: set[str]) -> None:
    """Take directives out of the server's own file; only while the server is stopped, since the file is its own."""
    if names & written_names(layout):
        kept = [line for line in read_lines(layout.server_file) if _directive_of(line) not in names]
        Path(layout.server_file).write_text("\n".join([*kept, ""]), encoding="utf-8")


def prepare_start(host: Host, instance: Instance) -> None:
    """Record the wish, and take out of the stopped server's own file what has left the inventory since it was last applied."""
    layout = host.layout(instance.name)
    record, wished = read_record(layout), Record.of(instance, host.engine)
    forget_written(layout, set(record.applied if record else ()) - set(wished.applied))
    write_record(layout, wished)


def settings_of(instance: Instance, layout: Layout) -> Settings:
    """Return how this host itself connects to an instance."""
    common: dict[str, Any] = {"password": instance.password or None, "timeout_seconds": ASK_TIMEOUT_SECONDS, "retry_attempts": 0}
    if instance.port == 0:
        return Settings(unix_socket=layout.socket_file, **common)
    return Settings(host=client_address(instance.bind), port=instance.port, **common)


@contextlib.contextmanager
def opened(host: Host, wished: Instance, pid: Optional[int] = None) -> Iterator[redis.Redis]:
    """
    Connect to a running instance, at the address on record or the wished one, with the wished password or the previous one.

    Args:
        pid: The process that must answer, so that a foreign server on the port is never taken for ours.
    Raises:
        UnreachableError, CredentialsError: if no address answers, or one refuses both passwords.
        RefusedError: if another process answers.
    """
    layout = host.layout(wished.name)
    record = read_record(layout)
    places = [record.as_instance(wished)] if record else []
    if not places or settings_of(places[0], layout) != settings_of(wished, layout):
        places.append(wished)
    passwords = [wished.password] + ([] if host.previous_password is None else [host.previous_password])
    failures: list[ServerError] = []
    for place in places:
        for password in passwords:
            settings = settings_of(replace(place, password=password), layout)
            client = connect(settings)
            try:
                _check_pid(client, settings, pid)
            except (UnreachableError, CredentialsError) as error:
                close(client)
                failures.append(error)
                continue
            try:
                with translated(settings):
                    yield client
            finally:
                close(client)
            return
    raise next((error for error in failures if isinstance(error, CredentialsError)), failures[0])


def _check_pid(client: redis.Redis, settings: Settings, pid: Optional[int]) -> None:
    with translated(settings):
        found = client.info("server").get("process_id")
    if pid is not None and found is not None and int(found) != pid:
        raise RefusedError(f"{settings.address} is answered by process {found}, not by the instance's process {pid}")


def wait_until_ready(host: Host, wished: Instance, pid: Optional[int] = None) -> None:
    """
    Wait until an instance answers and has loaded its data.

    Raises:
        UnreachableError: if that takes longer than the host's start timeout.
    """
    deadline = time.monotonic() + host.start_timeout_seconds
    while True:
        try:
            with opened(host, wished, pid) as client:
                if not client.info("persistence").get("loading"):
                    return
            reason = "it still loads its data"
        except UnreachableError as error:
            reason = error.reason
        if time.monotonic() > deadline:
            address = settings_of(wished, host.layout(wished.name)).address
            raise UnreachableError(address, f"not ready after {host.start_timeout_seconds:g} s: {reason}")
        time.sleep(POLL_SECONDS)
