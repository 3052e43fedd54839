# SPDX-License-Identifier: MIT
"""
The data files of an instance: what is on disk, under which names, and how they get other names without losing a key.

The folder belongs to the server's user, so everything goes through ``host/safe_paths``. An append-only file is a folder with a manifest,
base files that are only ever replaced, and increments that are appended in place: a base may be a hard link, an increment must be a copy.

Source:
    https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/ and ``aof.c`` of Redis 7.0 for the manifest.
"""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple, Optional

from ..directives.values import quote, split
from ..errors import RefusedError
from ..host.safe_paths import Folder, open_folder, remove_tree, status_of

KEPT = "kept"  # folder below the data folder, for what a run moved away; see docs/operations/persistence.md
MANIFEST = ".manifest"
MAGIC = re.compile(rb"(REDIS|VALKEY)(\d{3,4})")
SPARE_BYTES = 16 << 20  # what must stay free beside copies


@dataclass(frozen=True)
class Place:
    """Directives that say which files hold the data, by the server's names; the defaults are the server's."""

    appendonly: bool = False
    appenddirname: str = "appendonlydir"
    appendfilename: str = "appendonly.aof"
    dbfilename: str = "dump.rdb"

    @classmethod
    def of(cls, values: Mapping[str, str], default: Optional[Place] = None) -> Place:
        """Return the place that directives say; what they do not name is as in *default*."""
        known = default or cls()
        return cls(
            values.get("appendonly", "yes" if known.appendonly else "no").lower() == "yes",
            *(values.get(name, getattr(known, name)) for name in ("appenddirname", "appendfilename", "dbfilename")),
        )

    def directives(self) -> dict[str, str]:
        """Return the place as directives."""
        return {**{name: str(value) for name, value in asdict(self).items()}, "appendonly": "yes" if self.appendonly else "no"}

    @property
    def aof(self) -> tuple[str, str]:
        """Folder and name of the append-only file."""
        return self.appenddirname, self.appendfilename


PLACE_DIRECTIVES = tuple(Place().directives())


class AofFile(NamedTuple):
    """One line of a manifest: file name, ``b`` (base), ``i`` (increment) or ``h`` (history), and the words of the line after the name."""

    name: str
    kind: str
    rest: tuple[str, ...]


@dataclass(frozen=True)
class Disk:
    """
    The data files of one instance.

    Attributes:
        rdbs: Names of RDB files.
        aofs: Folder and name of every append-only file that has a manifest.
    """

    rdbs: frozenset[str] = frozenset()
    aofs: frozenset[tuple[str, str]] = frozenset()

    def holds(self, place: Place) -> str:
        """Return what a start should read there: ``aof``, ``rdb`` or "" for nothing; a dump counts where AOF is on and has no file."""
        if place.appendonly and place.aof in self.aofs:
            return "aof"
        return "rdb" if place.dbfilename in self.rdbs else ""

    @property
    def names(self) -> list[str]:
        """Every data file, for messages."""
        return sorted([*self.rdbs, *("/".join(aof) for aof in self.aofs)])


def parse_manifest(text: str) -> list[AofFile]:
    """Return the files of a manifest."""
    found = []
    for line in text.splitlines():
        words = split(line)
        if words[:1] == ["file"] and len(words) >= 6:
            found.append(AofFile(words[1], words[words.index("type", 2) + 1], tuple(words[2:])))
    return found


def renamed_manifest(files: Iterable[AofFile], old: str, new: str) -> list[tuple[AofFile, str]]:
    """Return the files to keep with the name that each gets; history is left out, the server would only delete it."""
    return [(file, new + file.name[len(old) :] if file.name.startswith(old) else file.name) for file in files if file.kind != "h"]


class DataFolder:
    """The data folder of an instance; a missing folder counts as empty."""

    def __init__(self, path: str) -> None:
        self.path = path

    def inspect(self) -> Disk:
        """Return which data files are there, whatever their names."""
        rdbs: set[str] = set()
        aofs: set[tuple[str, str]] = set()
        with contextlib.suppress(FileNotFoundError), open_folder(self.path) as folder:
            for name in folder.names():
                status = folder.status(name)
                if status is None or name == KEPT or name.startswith((".", "temp-")):
                    continue
                if stat.S_ISDIR(status.st_mode):
                    with folder.folder(name) as inner:
                        aofs.update((name, found[: -len(MANIFEST)]) for found in inner.names() if found.endswith(MANIFEST))
                elif stat.S_ISREG(status.st_mode) and _format(folder, name):
                    rdbs.add(name)
        return Disk(frozenset(rdbs), frozenset(aofs))

    def manifest(self, place: Place) -> list[AofFile]:
        """Return the files of the append-only file at a place; none if it is not there."""
        with contextlib.suppress(FileNotFoundError), open_folder(self.path) as top, top.folder(place.appenddirname) as folder:
            return parse_manifest(folder.read(place.appendfilename + MANIFEST).decode("utf-8", "surrogateescape"))
        return []

    def data_format(self, place: Place) -> str:
        """Return the format that a start would read there, such as ``REDIS0010``; "" if there is none, or none with a number."""
        held = self.inspect().holds(place)
        with contextlib.suppress(FileNotFoundError), open_folder(self.path) as top:
            if held == "rdb":
                return _format(top, place.dbfilename)
            for file in self.manifest(place) if held else []:
                if file.kind == "b":
                    with top.folder(place.appenddirname) as folder:
                        return _format(folder, file.name)
        return ""

    def fingerprint(self, place: Place) -> dict[str, list[int]]:
        """Return size and time of change (ns) of each file that a start would read there, by path below the folder."""
        held = self.inspect().holds(place)
        names = [place.dbfilename] if held == "rdb" else []
        below = f"{place.appenddirname}/" if held == "aof" else ""
        if below:
            names = [place.appendfilename + MANIFEST, *(file.name for file in self.manifest(place))]
        found = {}
        with contextlib.suppress(FileNotFoundError), open_folder(self.path + ("/" + place.appenddirname if below else "")) as folder:
            for name in names:
                status = folder.status(name)
                found[below + name] = [status.st_size, status.st_mtime_ns] if status else []
        return found

    def relocate(self, source: Place, target: Place) -> None:
        """
        Make the data of *source* readable under the names of *target* too; what is at *source* stays as it is.

        Raises:
            RefusedError: if the disk has no room for the copies; nothing was made then.
        """
        held = self.inspect().holds(source)
        with open_folder(self.path) as top:
            if held == "rdb" and source.dbfilename != target.dbfilename:
                top.link(source.dbfilename, top, target.dbfilename)
            elif held == "aof" and source.aof != target.aof:
                self._copy_aof(top, source, top, target)

    def keep(self, place: Place) -> Optional[str]:
        """
        Copy what a start would read into a new folder below ``kept``, and return its path; None if there is nothing.

        Raises:
            RefusedError: if the disk has no room for the copies.
        """
        held = self.inspect().holds(place)
        if not held:
            return None
        with open_folder(self.path) as top, _folder_in(top, KEPT) as kept:
            number = _next_number(kept)
            with kept.make_folder(number) as copy:
                if held == "rdb":
                    top.link(place.dbfilename, copy, place.dbfilename)
                else:
                    self._copy_aof(top, place, copy, place)
        return f"{self.path}/{KEPT}/{number}"

    def _copy_aof(self, top: Folder, source: Place, into: Folder, target: Place) -> None:
        """
        Make the append-only file of *source* readable in another folder.

        A base is never written again, so a link is enough. The server appends to the last increment, which a link would change under both
        names. The manifest is written last: without it, a start reads none of the files.
        """
        kept = renamed_manifest(self.manifest(source), source.appendfilename, target.appendfilename)
        with top.folder(source.appenddirname) as before:
            sizes = [status.st_size for status in (before.status(file.name) for file, _new in kept if file.kind == "i") if status]
            if sum(sizes) + SPARE_BYTES > top.free_bytes():
                raise RefusedError(
                    f"moving the data needs {sum(sizes)} bytes for copies in {self.path}, and the disk has {top.free_bytes()} left: make "
                    "room, and run again"
                )
            with _folder_in(into, target.appenddirname) as after:
                for file, name in kept:
                    after.remove(name)  # what a killed run left
                    if file.kind == "i":
                        before.copy(file.name, after, name)
                    else:
                        before.link(file.name, after, name)
                lines = [" ".join(["file", quote(name), *file.rest]) for file, name in kept]
                after.replace(target.appendfilename + MANIFEST, "\n".join([*lines, ""]).encode("utf-8", "surrogateescape"))

    def set_aside(self, *, rdb: str = "", aof: Optional[Sequence[str]] = None) -> Optional[str]:
        """Move an RDB file, or an append-only file, into a new folder below ``kept``; return its path, None if there was nothing."""
        disk = self.inspect()
        pair = (aof[0], aof[1]) if aof else ("", "")
        if rdb not in disk.rdbs and pair not in disk.aofs:
            return None
        with open_folder(self.path) as top, _folder_in(top, KEPT) as kept:
            number = _next_number(kept)
            with kept.make_folder(number) as place:
                if rdb in disk.rdbs:
                    top.rename(rdb, place, rdb)
                if pair in disk.aofs:
                    self._move_aof(pair, top, place, alone=len([1 for folder, _name in disk.aofs if folder == pair[0]]) == 1)
        return f"{self.path}/{KEPT}/{number}"

    def _move_aof(self, aof: tuple[str, str], top: Folder, place: Folder, *, alone: bool) -> None:
        """Move the whole folder, or only the files of the manifest where the folder holds another append-only file too."""
        if alone:
            top.rename(aof[0], place, aof[0])
            return
        moved = [file.name for file in self.manifest(Place(True, *aof))]
        with top.folder(aof[0]) as before, place.make_folder(aof[0]) as after:
            for name in (aof[1] + MANIFEST, *moved):
                with contextlib.suppress(FileNotFoundError):
                    before.rename(name, after, name)

    def has_kept(self) -> bool:
        """Return whether something is there that earlier runs moved aside."""
        return status_of(f"{self.path}/{KEPT}") is not None

    def forget_kept(self) -> None:
        """Remove what earlier runs moved aside."""
        remove_tree(f"{self.path}/{KEPT}")


def readable(data: str, program: str) -> bool:
    """
    Return whether a program that writes the format *program* reads the format *data*; an empty one is not known and counts as readable.

    Source:
        ``rdb.c``: versions above the server's own are refused; Valkey 9 numbers its own from 80 and refuses Redis's from 12 on.
    """
    found, own = MAGIC.fullmatch(data.encode()), MAGIC.fullmatch(program.encode())
    if found is None or own is None:
        return True
    if found[1] == own[1]:
        return int(found[2]) <= int(own[2])
    return found[1] == b"REDIS" and int(found[2]) < 12


def _format(folder: Folder, name: str) -> str:
    """Return the format of an RDB file, "" if it is none."""
    try:
        with folder.open_file(name) as file:
            found = MAGIC.match(file.read(9))
    except (OSError, RefusedError):
        return ""
    return found[0].decode() if found else ""


def _next_number(kept: Folder) -> str:
    return str(1 + max([int(name) for name in kept.names() if name.isdigit()], default=0))


def _folder_in(parent: Folder, name: str) -> Folder:
    """Open a folder; make it if it is missing."""
    with contextlib.suppress(FileExistsError):
        return parent.make_folder(name)
    return parent.folder(name)
