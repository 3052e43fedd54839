# SPDX-License-Identifier: MIT
"""What keyfleet last applied to an instance, kept beside its configuration, and what its data was when keyfleet stopped it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Optional

from ..errors import RefusedError
from ..host.safe_paths import read_bytes, remove_file, replace_file
from ..layout import Layout
from ..tls.certificates import digest, leaf_fingerprint
from .datafiles import Place
from .keys import DatabaseKeys
from .model import Instance, rules_of


@dataclass(frozen=True)
class Record:
    """
    What keyfleet last applied to an instance, kept beside its configuration.

    Attributes:
        engine: The engine that wrote the data.
        port, bind, unix_socket: Where it listens, or did last.
        tls, tls_port: As those of an instance.
        tls_leaf, tls_ca: Digests of the certificate and of the CA file that the server loaded last.
        applied: Directives of the inventory; one that leaves the inventory returns to its default.
        users: Users of the inventory; one that leaves it is removed. None in records of before there was such a list.
    """

    engine: str
    port: int
    bind: tuple[str, ...]
    unix_socket: bool
    applied: tuple[str, ...] = ()
    users: Optional[tuple[str, ...]] = None
    tls: str = "off"
    tls_port: int = 0
    tls_leaf: str = ""
    tls_ca: str = ""

    @classmethod
    def of(cls, instance: Instance, engine: str) -> Record:
        """Return the record of an instance in the desired state."""
        names = {name for name in instance.directives if name != "user"}
        users = {line.partition(" ")[0] for line in rules_of(instance)}
        found = cls(engine, instance.port, instance.bind, instance.unix_socket, tuple(sorted(names)), tuple(sorted(users)))
        if instance.tls == "off":
            return found
        known = replace(found.knowing(tls_names(instance)), tls=instance.tls, tls_port=instance.tls_port)
        return replace(known, tls_leaf=leaf_fingerprint(instance.tls_pem), tls_ca=digest(instance.tls_ca))

    def knowing(self, names: Iterable[str], users: Iterable[str] = ()) -> Record:
        """Return the record with more directives that were applied, and more users that were made."""
        known = None if self.users is None else tuple(sorted({*self.users, *users}))
        return replace(self, applied=tuple(sorted({*self.applied, *names})), users=known)

    def at(self, other: Record) -> Record:
        """Return the record with the address of another."""
        return replace(self, port=other.port, bind=other.bind, unix_socket=other.unix_socket, tls=other.tls, tls_port=other.tls_port)

    def as_instance(self, desired: Instance) -> Instance:
        """Return *desired* at the address on record."""
        found = replace(desired, port=self.port, bind=self.bind, unix_socket=self.unix_socket)
        return replace(found, tls=self.tls, tls_port=self.tls_port)


def tls_names(instance: Instance) -> list[str]:
    """Return the directives that return to their defaults when an instance gives up TLS."""
    return sorted({"tls-port", *instance.tls_lines(Layout("/", instance.name))} if instance.tls != "off" else ())


def read_record(layout: Layout) -> Optional[Record]:
    """Return the record of an instance; None if there is none."""
    try:
        stored: dict[str, Any] = json.loads(read_bytes(layout.record_file))
        users = stored.get("users")
        lists = {"bind": tuple(stored["bind"]), "applied": tuple(stored["applied"]), "users": None if users is None else tuple(users)}
        return Record(**{**stored, **lists})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise RefusedError(f"{layout.record_file} is not as keyfleet writes it ({error}): put it back, or remove it") from error


def write_record(layout: Layout, record: Record) -> None:
    """Write the record whole or not at all."""
    _write(layout.record_file, asdict(record))


@dataclass(frozen=True)
class DataRecord:
    """
    What an instance held when keyfleet stopped it.

    Attributes:
        place: Names of its data files.
        counts: Keys of each database, exact if *files* are unchanged; None if the stop did not save.
        files: Size and time of change (ns) of each data file, by path below the data folder.
    """

    place: Place
    counts: Optional[Mapping[int, DatabaseKeys]] = None
    files: Mapping[str, list[int]] = field(default_factory=dict)


def read_data_record(layout: Layout) -> Optional[DataRecord]:
    """Return what was recorded of the data; None if nothing was, or it cannot be read: it only ever adds a comparison."""
    try:
        stored: dict[str, Any] = json.loads(read_bytes(layout.data_record_file))
        counts = stored["counts"]
        found = None if counts is None else {int(number): DatabaseKeys(*pair) for number, pair in counts.items()}
        return DataRecord(Place(**stored["place"]), found, stored["files"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_data_record(layout: Layout, record: DataRecord) -> None:
    """Write what is known of the data whole or not at all."""
    _write(layout.data_record_file, asdict(record))


def forget_data_record(layout: Layout) -> None:
    """Remove what is recorded of the data."""
    remove_file(layout.data_record_file)


def _write(path: str, content: Mapping[str, Any]) -> None:
    replace_file(path, json.dumps(content, sort_keys=True).encode() + b"\n", 0o600)
