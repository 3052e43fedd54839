# SPDX-License-Identifier: MIT
"""
Many files of one host in one step: inspect all, refuse or plan, then write.

Nothing is written before every entry was inspected. A file is replaced by rename, complete with owner and mode, so that no reader ever sees
half of it, or sees it with wider permissions. The last component of a path is never followed if it is a symbolic link, and the others are
only where no other user can have put the link; see ``safe_paths``.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from ..errors import FilesError, RefusedError
from .file_entries import FileEntry
from .safe_paths import UNCHANGED, Folder, is_folder, names_in, open_folder

_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
_SHOWN_BYTES = 100_000


@dataclass(frozen=True)
class Found:
    """What is at a path: ``kind`` is file, directory, link, other or absent; ``empty`` is about a directory."""

    kind: str = "absent"
    uid: int = -1
    gid: int = -1
    mode: int = 0
    content: bytes = field(default=b"", repr=False)
    target: str = ""
    empty: bool = True


@dataclass(frozen=True)
class Change:
    """One path that differs: what is there, and the ids that it shall have (None: as it is)."""

    entry: FileEntry
    found: Found
    uid: Optional[int]
    gid: Optional[int]

    @property
    def content_differs(self) -> bool:
        """True if the bytes of a file, or the target of a link, are to change."""
        if self.entry.state == "link":
            return self.entry.target != self.found.target
        return self.entry.state in ("file", "seed") and (self.found.kind == "absent" or self.entry.content != self.found.content)

    @property
    def differs(self) -> bool:
        """True if anything is to be done."""
        if self.entry.state == "absent":
            return self.found.kind != "absent"
        if self.found.kind == "absent":
            return True
        if self.entry.state == "link":
            return self.content_differs
        return self.content_differs or (self.entry.mode, *self.ids()) != (self.found.mode, self.found.uid, self.found.gid)

    def diffs(self) -> Iterator[dict[str, str]]:
        """Yield the change in the form of Ansible's diff: first the content, then owner, group and mode."""
        if self.content_differs:
            before, after = self._texts()
            yield {"before_header": self.entry.path, "after_header": self.entry.path, "before": before, "after": after}
        before, after = self._attributes()
        if before != after:
            header = f"{self.entry.path} (attributes)"
            yield {"before_header": header, "after_header": header, "before": before, "after": after}

    def _texts(self) -> tuple[str, str]:
        if self.entry.state == "link":
            return self.found.target and f"{self.found.target}\n", f"{self.entry.target}\n"
        if self.entry.hide_diff:
            return "" if self.found.kind == "absent" else "(content hidden, old)\n", "(content hidden, new)\n"
        return self._shown(self.found.content), self._shown(self.entry.content)

    def _shown(self, content: bytes) -> str:
        text = _text(content)
        if not self.entry.hide_lines:
            return text
        hidden = re.compile(f"({self.entry.hide_lines}).*")
        return "".join(hidden.sub(r"\1(hidden)", line, count=1) if hidden.match(line) else line for line in text.splitlines(keepends=True))

    def _attributes(self) -> tuple[str, str]:
        found, entry = self.found, self.entry
        before = after = "state absent\n"
        if found.kind != "absent":
            before = _described(found.kind, found.mode, found.uid, found.gid)
        if entry.state != "absent":
            kind = "file" if entry.state == "seed" else entry.state
            after = _described(kind, entry.mode, *self.ids())
        return before, after

    def ids(self) -> tuple[int, int]:
        """Return the user and group id that the path will have."""
        kept = (self.found.uid, self.found.gid) if self.found.kind != "absent" else (os.geteuid(), os.getegid())
        return kept[0] if self.uid is None else self.uid, kept[1] if self.gid is None else self.gid


def _text(content: bytes) -> str:
    if len(content) > _SHOWN_BYTES:
        return f"({len(content)} bytes)\n"
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"(binary, {len(content)} bytes)\n"


def _described(kind: str, mode: int, uid: int, gid: int) -> str:
    user, group = str(uid), str(gid)
    with suppress(KeyError):
        user = pwd.getpwuid(uid).pw_name
    with suppress(KeyError):
        group = grp.getgrgid(gid).gr_name
    return f"state {kind}\nowner {user}\ngroup {group}\n" + ("" if kind == "link" else f"mode {mode:04o}\n")


@dataclass(frozen=True)
class FilePlan:
    """
    What to do.

    Attributes:
        changes: In the order of the entries.
        unknown: Paths whose owner, group or folder does not exist yet, which only a check may leave open; counted as changes.
    """

    changes: tuple[Change, ...]
    unknown: tuple[str, ...]

    @property
    def changed_paths(self) -> list[str]:
        """Paths that differ, or may."""
        return [change.entry.path for change in self.changes]

    def apply(self) -> None:
        """Make every change; raise FilesError with what was done until then."""
        done: list[str] = []
        for change in self.changes:
            try:
                _apply(change)
            except OSError as error:
                raise FilesError(
                    change.entry.path, f"cannot be made {change.entry.state}: {error.strerror or error}", tuple(done)
                ) from error
            done.append(change.entry.path)


def plan(entries: Iterable[FileEntry], *, check: bool = False) -> FilePlan:
    """
    Inspect every path and return what differs.

    Args:
        check: Leave open what a package that is not installed yet will bring: owners, groups and folders.
    Raises:
        RefusedError: naming every path that cannot become what it shall be; nothing was touched.
    """
    problems: list[str] = []
    unknown: list[str] = []
    changes: list[Change] = []
    earlier: dict[str, str] = {}
    for entry in entries:
        found = _inspect(entry)
        earlier[entry.path] = entry.state
        if entry.state == "seed" and found.kind == "file":
            continue
        uid, gid, missing = _owner_of(entry)
        change = Change(entry, found, uid, gid)
        missing += _folder_problems(entry, found, earlier)
        refusals = _kind_problems(entry, found)
        if missing and check:
            unknown.append(entry.path)
        else:
            refusals += missing
        if change.differs:
            refusals += _right_problems(change)
        if change.differs or missing:
            changes.append(change)
        problems += [f"{entry.path}: {refusal}" for refusal in refusals]
    if problems:
        raise RefusedError("; ".join(problems))
    return FilePlan(tuple(changes), tuple(unknown))


def _inspect(entry: FileEntry) -> Found:
    """Return what is at the path, with the bytes of a file that is to be compared."""
    path = Path(entry.path)
    try:
        with open_folder(str(path.parent)) as folder:
            status = folder.status(path.name) if path.name else folder.status()
            if status is None:
                return Found()
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "other")
            target = folder.target(path.name) if kind == "link" else ""
            content = folder.read(path.name) if kind == entry.state == "file" else b""
            empty = not (kind == "directory" and entry.state == "absent" and names_in(entry.path))
    except (FileNotFoundError, NotADirectoryError):
        return Found()
    except OSError as error:
        raise RefusedError(f"{entry.path}: cannot be read: {error.strerror}") from error
    return Found(kind, status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), content, target, empty)


def _owner_of(entry: FileEntry) -> tuple[Optional[int], Optional[int], list[str]]:
    """Return the ids of owner and group (None: not given), and what is wrong with the names."""
    missing = []
    uid, gid = _number(entry.owner), _number(entry.group)
    if entry.owner and uid is None:
        try:
            uid = pwd.getpwnam(entry.owner).pw_uid
        except KeyError:
            missing.append(f"this host knows no user {entry.owner!r}")
    if entry.group and gid is None:
        try:
            gid = grp.getgrnam(entry.group).gr_gid
        except KeyError:
            missing.append(f"this host knows no group {entry.group!r}")
    return uid, gid, missing


def _number(name: Optional[str]) -> Optional[int]:
    return int(name) if name and name.isdigit() else None


def _kind_problems(entry: FileEntry, found: Found) -> list[str]:
    """Return why what is there cannot become what is desired."""
    wanted = "file" if entry.state == "seed" else entry.state
    if entry.state == "absent" and found.kind == "directory":
        real = Path(os.path.realpath(Path(entry.path).parent), Path(entry.path).name)
        if entry.recurse and len(real.parts) < 3:
            return ["a folder this close to the root is never removed with its contents"]
        return [] if entry.recurse or found.empty else ["the folder is not empty; recurse removes it with its contents"]
    if entry.state == "absent" or found.kind in ("absent", wanted):
        return []
    return [f"a {found.kind} is there, which is neither followed nor replaced by a {wanted}: remove it yourself if it is not needed"]


def _right_problems(change: Change) -> list[str]:
    """Return why this user may not make the change."""
    if os.geteuid() == 0:
        return []
    problems, folder = [], Path(change.entry.path).parent
    if change.uid not in (None, os.geteuid()):
        problems.append(f"only root can give it to user {change.entry.owner!r}; this is user {os.geteuid()}")
    if change.gid not in (None, os.getegid(), *os.getgroups()):
        problems.append(f"only root can give it to group {change.entry.group!r}, which user {os.geteuid()} is not in")
    if is_folder(str(folder)) and not os.access(folder, os.W_OK | os.X_OK):
        problems.append(f"user {os.geteuid()} may not write in {folder}")
    elif change.entry.state != "absent" and change.found.uid not in (-1, os.geteuid()):
        problems.append(f"it belongs to user {change.found.uid}; this is user {os.geteuid()}")
    return problems


def _folder_problems(entry: FileEntry, found: Found, earlier: Mapping[str, str]) -> list[str]:
    """Return whether the folder of something new is missing, and no earlier entry makes it."""
    folder = str(Path(entry.path).parent)
    there = earlier[folder] == "directory" if folder in earlier else is_folder(folder)
    return [] if there or entry.state == "absent" or found.kind != "absent" else [f"its folder {folder} does not exist"]


def _apply(change: Change) -> None:
    """Make a change. Another process may have made the same one since the plan, as hosts do whose files share a folder."""
    entry, name = change.entry, Path(change.entry.path).name
    if entry.state == "absent":
        with suppress(FileNotFoundError), open_folder(str(Path(entry.path).parent)) as folder:
            _remove(change, name, folder)
            folder.sync()
        return
    with open_folder(str(Path(entry.path).parent)) as folder:
        if entry.state in ("file", "seed"):
            if entry.state == "file" or folder.status(name) is None:
                folder.replace(name, entry.content, entry.mode, _new_owner(change))
            return
        if entry.state == "directory":
            with _make_or_open(folder, name) as made:
                made.give(_new_owner(change), entry.mode)
        else:
            folder.replace_link(name, entry.target)
        folder.sync()


def _make_or_open(folder: Folder, name: str) -> Folder:
    with suppress(FileExistsError):
        return folder.make_folder(name, owner=UNCHANGED)
    return folder.folder(name)


def _remove(change: Change, name: str, folder: Folder) -> None:
    if change.found.kind != "directory":
        folder.remove(name)
    elif change.entry.recurse:
        folder.remove_tree(name)
    else:
        folder.remove_folder(name)


def _new_owner(change: Change) -> tuple[int, int]:
    """Return the ids to set; what is new and has no owner in the entry keeps those that the kernel gave it."""
    uid, gid = change.ids()
    new = change.found.kind == "absent"
    return -1 if new and change.uid is None else uid, -1 if new and change.gid is None else gid
