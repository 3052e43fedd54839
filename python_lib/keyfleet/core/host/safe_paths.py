# SPDX-License-Identifier: MIT
"""
Files in folders that another user can change, handled as root without being led elsewhere.

The server's user owns its data, log and run folder. It can put a symbolic link, or a hard link, in the place of any file there, at any
moment between a check and a use. So every access below them goes through an open directory: a path is walked one component at a time from
``/``, each component is opened without following links, and a file is named relative to the descriptor of its folder.

What is trusted:
    A folder is trusted while it and all folders above it belong to root or to the user who runs this, and no other user may write in them,
    unless the sticky bit keeps entries from being replaced. A symbolic link is followed only in a trusted folder, and only if it belongs to
    root or to the user who runs this: the operator may put the root folder, or an instance's data, on another disk that way. From the first
    folder on that is not trusted, nothing below is followed or climbed out of with ``..``, whoever owns it there.
    The last component of the path of a file is never followed.
    In a folder that is not trusted, a file with several names is read or copied only if it belongs to the owner of the folder: the user
    cannot have put it there with a hard link to a file that is only root's to read.

How to use it:
    ``with open_folder(layout.data_dir) as data:`` gives a Folder. Its methods take the name of one entry, never a path: ``names``,
    ``status``, ``open_file``, ``read``, ``draft``, ``replace``, ``copy``, ``link``, ``rename``, ``remove``, ``remove_tree``, ``own``,
    ``make_folder``, ``folder``; and ``sync``, ``owner``, ``free_bytes``. ``data.folder("appendonlydir")`` opens a folder below.
    ``read_bytes``, ``replace_file``, ``remove_file``, ``remove_tree``, ``names_in``, ``is_folder`` and ``status_of`` do one step at a path.
Errors are OSError as the kernel reports them (FileNotFoundError, PermissionError …) and RefusedError for what is not followed.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import BinaryIO, Optional

from ..errors import RefusedError

_INSPECT = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
UNCHANGED = (-1, -1)  # an owner, as the system calls take it
_MOST_FOLDERS = 100  # each costs a descriptor and stack frames while a tree is walked
_MOST_LINKS = 40  # as many as the kernel follows in one path


class Folder:
    """
    An open directory, and what can be done with its entries.

    Attributes:
        path: As it was asked for; for messages.
        trusted: Whether only root and the user who runs this can replace its entries, see the module.
    """

    def __init__(self, descriptor: int, path: str, trusted: bool, depth: int = 0) -> None:
        self._descriptor, self.path, self.trusted, self._depth = descriptor, path, trusted, depth

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._descriptor)

    def names(self) -> list[str]:
        """Return the names of all entries, sorted."""
        with self._listable() as descriptor:
            return sorted(entry.name for entry in os.scandir(descriptor))

    def status(self, name: Optional[str] = None) -> Optional[os.stat_result]:
        """Return the status of an entry, of a link its own; None if there is none. Without a name, that of the folder."""
        if name is None:
            return os.fstat(self._descriptor)
        with suppress(FileNotFoundError):
            return os.stat(_plain(name), dir_fd=self._descriptor, follow_symlinks=False)
        return None

    def owner(self) -> tuple[int, int]:
        """Return user and group id of the folder."""
        status = os.fstat(self._descriptor)
        return status.st_uid, status.st_gid

    def folder(self, name: str) -> Folder:
        """Open a folder below, which must not be a link; RefusedError below 100 of them, which no server makes."""
        if self._depth == _MOST_FOLDERS:
            raise RefusedError(f"{self.path} is {_MOST_FOLDERS} folders deep, and nothing below is opened: see what it is, and remove it")
        descriptor = os.open(_plain(name), _INSPECT, dir_fd=self._descriptor)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISDIR(status.st_mode):
                raise self._refused(name, status, "a folder")
        except BaseException:
            os.close(descriptor)
            raise
        return Folder(descriptor, self._path_of(name), self.trusted and _is_ours(status), self._depth + 1)

    def make_folder(self, name: str, mode: int = 0o700, owner: Optional[tuple[int, int]] = None) -> Folder:
        """Make a folder and open it; its owner is that of this folder unless *owner* says otherwise. FileExistsError if it is there."""
        os.mkdir(_plain(name), 0o700, dir_fd=self._descriptor)
        made = self.folder(name)
        made.give(owner or self._owner_for_new(), mode)
        return made

    def give(self, owner: tuple[int, int], mode: Optional[int] = None) -> None:
        """Set owner and permissions of the folder itself."""
        with self._listable() as descriptor:
            _give(descriptor, owner)
            if mode is not None:
                os.fchmod(descriptor, mode)

    def open_file(self, name: str) -> BinaryIO:
        """Open a regular file for reading."""
        try:
            descriptor = os.open(_plain(name), _READ, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise self._refused(name, self.status(name), "a file") from error
            raise
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise self._refused(name, status, "a file")
            if not self.trusted and status.st_nlink > 1 and status.st_uid != self.owner()[0]:
                raise RefusedError(
                    f"{self._path_of(name)} is a hard link to a file of user {status.st_uid}, in a folder of user {self.owner()[0]}: it is "
                    "not read; remove it"
                )
        except BaseException:
            os.close(descriptor)
            raise
        return os.fdopen(descriptor, "rb")

    def read(self, name: str, last_bytes: Optional[int] = None) -> bytes:
        """Return the content of a regular file, or the end of it."""
        with self.open_file(name) as file:
            if last_bytes is not None:
                file.seek(max(0, os.fstat(file.fileno()).st_size - last_bytes))
            return file.read()

    @contextmanager
    def draft(self, name: str, mode: Optional[int] = None, owner: Optional[tuple[int, int]] = None) -> Iterator[BinaryIO]:
        """
        Yield a new file for writing, which takes the place of *name* by rename when the block ends, whole or not at all.

        Args:
            mode: Permission bits; without it, those of the file that is replaced, or 0600.
            owner: User and group id. Without it: in a folder that is not trusted, those of the folder; else those of the file that is
                replaced, or the caller's own.
        """
        found = self.status(name)
        kept = found if found is not None and stat.S_ISREG(found.st_mode) else None
        if mode is None:
            mode = kept.st_mode & 0o777 if kept else 0o600
        if owner is None:
            owner = (kept.st_uid, kept.st_gid) if kept and self.trusted else self._owner_for_new()
        temporary = _temporary(name)
        descriptor = os.open(temporary, _CREATE, 0o600, dir_fd=self._descriptor)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                # Readable by no other user until it is complete. On the disk before the rename, so that a crash leaves the old content or
                # the new one under the name, and never an empty file.
                file.flush()
                _give(descriptor, owner)
                os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            os.rename(temporary, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=self._descriptor)
            raise
        self.sync()

    def replace(self, name: str, content: bytes, mode: Optional[int] = None, owner: Optional[tuple[int, int]] = None) -> None:
        """Write a file anew, by rename; *mode* and *owner* as in ``draft``."""
        with self.draft(name, mode, owner) as file:
            file.write(content)

    def target(self, name: str) -> str:
        """Return what a symbolic link says; it is not followed."""
        return os.readlink(_plain(name), dir_fd=self._descriptor)

    def replace_link(self, name: str, target: str) -> None:
        """Make a symbolic link, replacing a file or another link."""
        temporary = _temporary(name)
        os.symlink(target, temporary, dir_fd=self._descriptor)
        try:
            os.rename(temporary, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except OSError:
            self.remove(temporary)
            raise

    def copy(self, name: str, folder: Folder, new_name: str) -> None:
        """Copy a regular file into a folder, replacing what has the name there; the owner is as in ``draft``."""
        with self.open_file(name) as source:
            mode = os.fstat(source.fileno()).st_mode & 0o777
            with folder.draft(new_name, mode) as target:
                shutil.copyfileobj(source, target, 1_048_576)

    def link(self, name: str, folder: Folder, new_name: str) -> None:
        """Give a regular file a second name in a folder of the same file system. FileExistsError if the name is taken."""
        with self.open_file(name) as file:
            os.link(name, _plain(new_name), src_dir_fd=self._descriptor, dst_dir_fd=folder._descriptor, follow_symlinks=False)
            linked = folder.status(new_name)
            if linked is None or not os.path.samestat(linked, os.fstat(file.fileno())):
                folder.remove(new_name)
                raise RefusedError(f"{self._path_of(name)} was replaced while it was linked")
        folder.sync()

    def rename(self, name: str, folder: Folder, new_name: str) -> None:
        """Move an entry, replacing a file that has the name."""
        os.rename(_plain(name), _plain(new_name), src_dir_fd=self._descriptor, dst_dir_fd=folder._descriptor)
        folder.sync()
        self.sync()

    def remove(self, name: str) -> bool:
        """Remove a file, or a link itself; return whether there was one."""
        try:
            os.unlink(_plain(name), dir_fd=self._descriptor)
        except FileNotFoundError:
            return False
        return True

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder."""
        os.rmdir(_plain(name), dir_fd=self._descriptor)

    def remove_tree(self, name: str) -> bool:
        """Remove an entry with all below it, never what a link in it points to; return whether there was one."""
        try:
            return self.remove(name)
        except (IsADirectoryError, PermissionError) as error:
            status = self.status(name)
            if status is None or not stat.S_ISDIR(status.st_mode):
                raise error
        with self.folder(name) as doomed:
            for entry in doomed.names():
                doomed.remove_tree(entry)
        self.remove_folder(name)
        return True

    def own(self, name: str, owner: tuple[int, int], most_names: int = 1) -> None:
        """
        Give a regular file or a folder to a user and group.

        Args:
            most_names: A file with more hard links than this is refused, since one of them may be a file of another user.
        """
        descriptor = os.open(_plain(name), _READ, dir_fd=self._descriptor)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISDIR(status.st_mode) and (not stat.S_ISREG(status.st_mode) or status.st_nlink > most_names):
                raise RefusedError(f"{self._path_of(name)} is not a file with {most_names} name(s): found {status.st_nlink} hard links")
            os.fchown(descriptor, *owner)
        finally:
            os.close(descriptor)

    def sync(self) -> None:
        """Make changes of entries survive a power failure."""
        with self._listable() as descriptor:
            os.fsync(descriptor)

    def free_bytes(self) -> int:
        """Return the free space of the file system, for ordinary users."""
        with self._listable() as descriptor:
            found = os.fstatvfs(descriptor)
        return found.f_bavail * found.f_frsize

    @contextmanager
    def _listable(self) -> Iterator[int]:
        """Yield a descriptor for reading; the folder's own only names it, so that one that may not be listed can be walked through."""
        descriptor = os.open(".", _LIST, dir_fd=self._descriptor)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _owner_for_new(self) -> tuple[int, int]:
        return (os.geteuid(), os.getegid()) if self.trusted or os.geteuid() != 0 else self.owner()

    def _path_of(self, name: str) -> str:
        return str(PurePosixPath(self.path, name))

    def _refused(self, name: str, status: Optional[os.stat_result], wanted: str) -> Exception:
        if status is None or not stat.S_ISLNK(status.st_mode):
            if wanted == "a folder":
                return NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), self._path_of(name))
            return RefusedError(f"{self._path_of(name)} is not {wanted}")
        return RefusedError(
            f"{self._path_of(name)} is a symbolic link of user {status.st_uid} where {wanted} is expected: it is not followed; remove it"
        )


def open_folder(path: str) -> Folder:
    """
    Open a folder by its absolute path; links in it are followed only as the module says.

    Raises:
        RefusedError: if the path has a link that may lead elsewhere.
        OSError: FileNotFoundError, NotADirectoryError, PermissionError, as the kernel reports them.
    """
    if not path.startswith("/"):
        raise ValueError(f"not an absolute path: {path!r}")
    pending, links = _components(path), 0
    descriptor = os.open("/", _INSPECT)
    try:
        trusted = _is_ours(os.fstat(descriptor))
        while pending:
            name = pending.pop()
            if name == ".." and not trusted:
                raise RefusedError(f"{path}: '..' is not followed out of a folder that another user can replace")
            entry = os.open(name, _INSPECT, dir_fd=descriptor)
            status = os.fstat(entry)
            if stat.S_ISLNK(status.st_mode):
                target = _target(entry, status, trusted, path)
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                pending += _components(target)
                if not target.startswith("/"):
                    continue
                entry = os.open("/", _INSPECT)
                status = os.fstat(entry)
            os.close(descriptor)
            descriptor = entry
            if not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            trusted = trusted and _is_ours(status)
    except BaseException:
        os.close(descriptor)
        raise
    return Folder(descriptor, path, trusted)


def _target(entry: int, status: os.stat_result, trusted: bool, path: str) -> str:
    """Return where a link leads that may be followed, and close it."""
    try:
        target = os.readlink("", dir_fd=entry)
    finally:
        os.close(entry)
    if not trusted or status.st_uid not in (0, os.geteuid()):
        raise RefusedError(
            f"{path}: the symbolic link to {target} on the way is not followed, since user {status.st_uid}, or another that can write in "
            "its folder, could lead root elsewhere with it: name the real path instead"
        )
    return target


def _components(path: str) -> list[str]:
    """Return the components of a path, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _is_ours(status: os.stat_result) -> bool:
    """Return whether only root and the user who runs this can replace the entries of a folder."""
    ours = status.st_gid in (0, os.getegid())  # without root, a user has a group of its own on most systems, and an umask for it
    foreign = status.st_mode & (stat.S_IWOTH | (0 if ours else stat.S_IWGRP))
    return status.st_uid in (0, os.geteuid()) and (not foreign or bool(status.st_mode & stat.S_ISVTX))


def _give(descriptor: int, owner: tuple[int, int]) -> None:
    """Change the owner of an open file, if it is another one: without root, naming one's own is not allowed everywhere."""
    status = os.fstat(descriptor)
    if owner not in (UNCHANGED, (status.st_uid, status.st_gid)):
        os.fchown(descriptor, *owner)


def _temporary(name: str) -> str:
    return f".{_plain(name)}.{secrets.token_hex(6)}.tmp"


def _plain(name: str) -> str:
    if "/" in name or name in ("", ".", ".."):
        raise ValueError(f"not the name of an entry: {name!r}")
    return name


@contextmanager
def _parent(path: str) -> Iterator[tuple[Folder, str]]:
    place = PurePosixPath(path)
    with open_folder(str(place.parent)) as folder:
        yield folder, place.name


def read_bytes(path: str, last_bytes: Optional[int] = None) -> bytes:
    """Return the content of a regular file, or the end of it."""
    with _parent(path) as (folder, name):
        return folder.read(name, last_bytes)


def replace_file(path: str, content: bytes, mode: Optional[int] = None, owner: Optional[tuple[int, int]] = None) -> None:
    """Write a file anew, by rename; *mode* and *owner* as in ``Folder.draft``."""
    with _parent(path) as (folder, name):
        folder.replace(name, content, mode, owner)


def remove_file(path: str) -> bool:
    """Remove a file, or a link itself; return whether there was one, in a folder that may be missing too."""
    with suppress(FileNotFoundError, NotADirectoryError), _parent(path) as (folder, name):
        return folder.remove(name)
    return False


def remove_tree(path: str) -> bool:
    """Remove a folder with all below it; return whether there was one."""
    with suppress(FileNotFoundError, NotADirectoryError), _parent(path) as (folder, name):
        return folder.remove_tree(name)
    return False


def names_in(path: str) -> list[str]:
    """Return the names of the entries of a folder, sorted; none if it does not exist."""
    with suppress(FileNotFoundError, NotADirectoryError), open_folder(path) as folder:
        return folder.names()
    return []


def is_folder(path: str) -> bool:
    """Return whether there is a folder at a path."""
    with suppress(FileNotFoundError, NotADirectoryError), open_folder(path):
        return True
    return False


def status_of(path: str) -> Optional[os.stat_result]:
    """Return the status of what is at a path, of a link its own; None if there is nothing."""
    with suppress(FileNotFoundError, NotADirectoryError), _parent(path) as (folder, name):
        return folder.status(name)
    return None
