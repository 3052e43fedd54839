# SPDX-License-Identifier: MIT
"""
Which folder of which machine a path means, so that two inventory names of one place are seen; reads only.

Source:
    random(4): ``boot_id`` is made anew at each boot, so that machines cloned from one image differ, which ``/etc/machine-id`` may not. The
    containers of one machine share it; device and inode distinguish their folders.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def identity_of(path: str) -> str:
    """Return a text that is equal for two paths exactly if they lead to one folder of one running machine, there or to be made."""
    boot = ""
    with suppress(OSError):
        boot = Path(BOOT_ID).read_text(encoding="ascii").strip()
    place = Path(path)
    missing: list[str] = []
    while True:
        with suppress(OSError):
            status = place.stat()
            return "/".join([boot, f"{status.st_dev}:{status.st_ino}", *reversed(missing)])
        if place == place.parent:  # not even the root can be read
            return ""
        missing.append(place.name)
        place = place.parent


def twins(places: Mapping[str, str]) -> list[list[str]]:
    """
    Return the names that mean one place, a list for each such place.

    Args:
        places: Identity by inventory name; an empty one is not known, and equals no other.
    """
    by_place: dict[str, list[str]] = {}
    for name, place in places.items():
        if place:
            by_place.setdefault(place, []).append(name)
    return [names for names in by_place.values() if len(names) > 1]
