# SPDX-License-Identifier: MIT
"""Give the files of a stopped instance to the user who will run it."""

from __future__ import annotations

import stat
from collections import Counter
from pathlib import PurePosixPath

from ..errors import RefusedError
from ..host.accounts import format_owner
from ..host.safe_paths import Folder, is_folder, open_folder
from ..layout import Layout

Names = Counter[tuple[int, int]]  # how many names a file has below the folder, by device and inode


def hand_over(layout: Layout, owner: tuple[int, int]) -> None:
    """
    Give data, log and run folder of a stopped instance, and what is in them, to user and group.

    What belongs to root stays, since the server's user cannot have made it. A file that has further names elsewhere is not given away: the
    former user may have put it there with a hard link to a file of another user.

    Raises:
        RefusedError: naming a file that has names elsewhere and that the server could not read therefore.
    """
    for path in (layout.data_dir, layout.log_dir, layout.run_dir):
        if is_folder(path):
            with open_folder(path) as folder:
                _give(folder, owner, _names_below(folder))


def _names_below(folder: Folder) -> Names:
    found: Names = Counter()
    for name in folder.names():
        status = folder.status(name)
        if status is not None and stat.S_ISREG(status.st_mode):
            found[status.st_dev, status.st_ino] += 1
        elif status is not None and stat.S_ISDIR(status.st_mode):
            with folder.folder(name) as below:
                found += _names_below(below)
    return found


def _give(folder: Folder, owner: tuple[int, int], names: Names) -> None:
    """Give what is in a folder, then the folder, so that a run that was killed in between is continued by the next."""
    for name in folder.names():
        status = folder.status(name)
        if status is None or status.st_uid == 0:
            continue
        if stat.S_ISDIR(status.st_mode):
            with folder.folder(name) as below:
                _give(below, owner, names)
        elif stat.S_ISREG(status.st_mode) and (status.st_uid, status.st_gid) != owner:
            _give_file(folder, name, owner, names[status.st_dev, status.st_ino])
    if folder.owner() != owner:
        folder.give(owner)


def _give_file(folder: Folder, name: str, owner: tuple[int, int], names: int) -> None:
    try:
        folder.own(name, owner, most_names=names)
    except RefusedError as error:
        raise RefusedError(
            f"{error}, so it is not given to {format_owner(owner)}, who runs the servers: see what it is, and remove it or change its "
            f"owner (chown {format_owner(owner)} {PurePosixPath(folder.path, name)}); the instance was not started"
        ) from error
