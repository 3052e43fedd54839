# SPDX-License-Identifier: MIT
"""
Why no file can be put into a folder that is there or is to be made, found before anything is touched; reads only.

Source:
    path_resolution(7) for what may be wrong with a path; statvfs(3) for its file system; ``NAME_MAX`` and ``PATH_MAX`` of limits.h.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path, PurePosixPath

from .accounts import outermost_first

LONGEST_NAME, LONGEST_PATH = 255, 4095
LEAST_FREE_BYTES = 1 << 20  # keyfleet's own files need much less; a server that cannot write anything fails soon


def folder_problem(path: str, longest_below: int = 0, must_exist: str = "/") -> str:
    """
    Return why a file cannot be made below *path*, as a phrase that names the folder that prevents it; empty if nothing is known.

    Args:
        path: Absolute; what is missing of it is to be made.
        longest_below: Bytes of the longest path below it.
        must_exist: The path itself, or one above it, that is not made.
    """
    long = next((part for part in PurePosixPath(path).parts if len(part.encode()) > LONGEST_NAME), None)
    if long is not None:
        return f"{long[:40]}… is a name of {len(long.encode())} bytes where the system allows {LONGEST_NAME}: use a shorter one"
    if len(path.encode()) + longest_below > LONGEST_PATH:
        return f"it has {len(path.encode())} bytes where {LONGEST_PATH - longest_below} leave room for the files below: use a shorter one"
    nearest = "/"
    for folder in outermost_first(path):
        try:
            status = Path(folder).stat()
        except FileNotFoundError:
            if len(PurePosixPath(folder).parts) <= len(PurePosixPath(must_exist).parts):
                return f"its folder {must_exist} does not exist: make it, or name another"
            break
        except OSError as error:
            return _refusal(folder, error)
        if not stat.S_ISDIR(status.st_mode):
            return f"{folder} is no folder: name another"
        nearest = folder
    return _writing_problem(nearest)


def _refusal(folder: str, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return f"{folder} is a link that leads in a circle: remove it, or name another"
    if error.errno == errno.EACCES:
        return f"user {os.geteuid()} may not enter {PurePosixPath(folder).parent}: let it, or name another"
    return f"{folder} cannot be inspected ({error.strerror}): name another"


def _writing_problem(folder: str) -> str:
    system = os.statvfs(folder)
    if system.f_flag & os.ST_RDONLY:
        return f"{folder} is on a file system that is mounted read-only: mount it for writing, or name another"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"user {os.geteuid()} may not write in {folder}: let it, or name another"
    if not (system.f_blocks or system.f_files):
        return f"{folder} is of the kernel, which keeps no files there: name another"
    # A file system that has no blocks or no inodes at all does not count them.
    free = system.f_bavail * system.f_frsize
    if system.f_blocks and free < LEAST_FREE_BYTES:
        return f"the file system of {folder} has no space left ({free} bytes): free some, or name another"
    if system.f_files and not system.f_favail:
        return f"the file system of {folder} has no inode left for another file: remove some, or name another"
    return ""
