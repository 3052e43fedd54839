# SPDX-License-Identifier: MIT
"""How much memory a host has, and the limits of its control groups; reads only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

MIB = 1 << 20


def physical_bytes(proc: str = "/proc") -> int:
    """Return the memory of the machine."""
    text = Path(proc, "meminfo").read_text(encoding="ascii")
    found = re.search(r"^MemTotal:\s+(\d+) kB", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"{proc}/meminfo has no MemTotal")
    return int(found[1]) << 10


def limits(service_manager: str, proc: str, cgroup: str) -> Iterator[int]:
    """
    Yield the limits of the control groups that the servers are in, both versions of control groups.

    Under systemd that is the slice of services; a runner stays in the group that it was started in. Inside of a container the top of the
    tree is the container's own group. Where version 1 has no limit, it reports a number that no machine has.

    Source:
        cgroups(7); the kernel's Documentation/admin-guide/cgroup-v2.rst, ``memory.max``, and cgroup-v1/memory.rst.
    """
    groups = _groups(proc) if service_manager == "process" else {"": "system.slice", "memory": "system.slice"}
    for controller, name in (("", "memory.max"), ("memory", "memory.limit_in_bytes")):
        top = Path(cgroup, controller)
        place = top / groups.get(controller, "").lstrip("/")
        for folder in (place, *place.parents):
            if folder == top or top in folder.parents:
                text = "".join(_lines(folder / name))
                if text.isdigit():
                    yield int(text)


def _groups(proc: str) -> Mapping[str, str]:
    """Return the group of this process, by controller; version 2 has none."""
    rows = [line.split(":", 2) for line in _lines(Path(proc, "self/cgroup"))]
    return {controller: path for _unused, controllers, path in rows for controller in controllers.split(",")}


def _lines(path: Path) -> list[str]:
    """Return the lines of a file of the kernel, which has links of its own; none if it is not there."""
    with suppress(FileNotFoundError):
        return path.read_text(encoding="utf-8").splitlines()
    return []


def format_bytes(number: int) -> str:
    """Return bytes as a person reads them."""
    for unit, factor in (("GB", 1 << 30), ("MB", MIB)):
        if number >= factor:
            return f"{number / factor:.3g} {unit}" if number < 1000 * factor else f"{number // factor} {unit}"
    return f"{number} bytes"
