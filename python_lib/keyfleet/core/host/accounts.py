# SPDX-License-Identifier: MIT
"""Users and groups of the host, and what they may do."""

from __future__ import annotations

import grp
import os
import pwd
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Optional


@dataclass(frozen=True)
class Account:
    """
    A user with one of its groups.

    Attributes:
        user, group: Names.
        uid, gid: Numbers.
        groups: Further groups of a process of this account.
    """

    user: str
    group: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    @property
    def owner(self) -> tuple[int, int]:
        """User and group id."""
        return self.uid, self.gid

    def can_write(self, status: os.stat_result) -> bool:
        """Return whether the account can put something else in the place of the entries of a folder."""
        if self.uid == 0 or status.st_uid == self.uid:
            return True
        bits = 0o020 if status.st_gid in (self.gid, *self.groups) else 0o002
        return bool(status.st_mode & bits) and not status.st_mode & 0o1000


def has_user(name: str) -> bool:
    """Return whether the host knows a user."""
    with suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False


def has_group(name: str) -> bool:
    """Return whether the host knows a group."""
    with suppress(KeyError):
        return bool(grp.getgrnam(name))
    return False


def account_of(user: str, group: str, *, all_groups: bool) -> Account:
    """
    Return the account of a user and a group; KeyError if there is none.

    Args:
        all_groups: Whether its processes have the user's further groups, as systemd gives them.
    """
    uid, gid = pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
    return Account(user, group, uid, gid, tuple(os.getgrouplist(user, gid)) if all_groups else ())


def owner_of_process(pid: int) -> Optional[tuple[int, int]]:
    """Return the effective user and group id of a process, None if it has ended."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        uid, gid = (int(words[1]) for words in re.findall(r"(?m)^[UG]id:\t(\d+)\t(\d+)", text))
        return uid, gid
    return None


def format_owner(owner: tuple[int, int]) -> str:
    """Return user and group by name where they have one."""
    user, group = str(owner[0]), str(owner[1])
    with suppress(KeyError):
        user = pwd.getpwuid(owner[0]).pw_name
    with suppress(KeyError):
        group = grp.getgrgid(owner[1]).gr_name
    return f"{user}:{group}"


def outermost_first(path: str) -> Iterable[str]:
    """Return the folders above a path, and the path."""
    place = PurePosixPath(path)
    return [str(folder) for folder in reversed((place, *place.parents))]
