# SPDX-License-Identifier: MIT
"""How much memory a host has for its servers, and what a new instance gets of it that names no ``maxmemory``; reads only."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

from ..directives.values import size
from ..host.memory import MIB, format_bytes, limits, physical_bytes
from ..host.safe_paths import names_in
from ..host.text_files import read_lines
from ..layout import Layout
from .config import COMPUTED_MARK
from .model import Host, Instance

SMALLEST = 16 * MIB  # an empty server needs some; less than this is of no use


@dataclass
class Memory:
    """
    What was found, and what follows.

    Attributes:
        total_bytes: What the host has, or less where a container or a control group limits it.
        limited: Whether it is such a limit.
        default_maxmemory: Bytes by name, of instances that name no ``maxmemory``: what they have been given once, or are given now.
        new: Names of those that are given it now.
        problems: Why the run must stop.
    """

    total_bytes: int = 0
    limited: bool = False
    default_maxmemory: dict[str, int] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as plain data, without the problems."""
        return {name: value for name, value in asdict(self).items() if name != "problems"}


def inspect_memory(
    host: Host, instances: Sequence[Instance], percent: int, *, proc: str = "/proc", cgroup: str = "/sys/fs/cgroup"
) -> Memory:
    """
    Find the host's memory, and a ``maxmemory`` for each new instance that names none.

    What an instance was given stays: it is read from its configuration, and not computed again. One that was deployed without, or takes up
    data that is there, has no limit. See docs/decisions/maxmemory.md.

    Args:
        instances: As the inventory states them.
        percent: Share of the memory that all instances together may be given, 0 to give nothing.
        proc, cgroup: Where the kernel reports it.
    """
    physical = physical_bytes(proc)
    total = min([physical, *limits(host.service_manager, proc, cgroup)])
    found = Memory(total, total < physical)
    present = [instance for instance in instances if instance.present]
    deployed = set(host.deployed_names())
    unlimited = [instance.name for instance in present if "maxmemory" not in instance.directives]
    given = {name: maxmemory_in(_deployed_lines(host.layout(name))) for name in deployed}
    for name in unlimited:
        if name in deployed and given[name][1]:
            found.default_maxmemory[name] = given[name][0]
    found.new = [name for name in unlimited if percent and name not in deployed and not _has_data(host.layout(name))]
    if not found.new:
        return found
    gone = {instance.name for instance in instances if not instance.present}
    listed = {instance.name: size(str(instance.directives["maxmemory"])) or 0 for instance in present if instance.name not in unlimited}
    promised = sum({**{name: given[name][0] for name in deployed - gone}, **listed}.values())
    each = share(total, percent, promised, len(found.new))
    if each is None:
        found.problems.append(
            f"redis_server_instances[{found.new[0]}] names no maxmemory, and nothing is left to give it: the others have "
            f"{format_bytes(promised)} of the {format_bytes(total * percent // 100)} that servers may have here "
            f"(redis_server_memory_percent is {percent}, of {format_bytes(total)}); set directives.maxmemory for it, "
            "and lower that of another if the host is to bear both"
        )
        return found
    found.default_maxmemory.update(dict.fromkeys(found.new, each))
    return found


def _deployed_lines(layout: Layout) -> list[str]:
    """Return the configuration that was deployed; without the file, the copy that the process was started with."""
    return read_lines(layout.config_file) or read_lines(layout.started_file)


def _has_data(layout: Layout) -> bool:
    """Return whether an earlier deployment left data, which may be larger than any limit that keyfleet computes."""
    with contextlib.suppress(OSError):  # the preflight says why nothing can be there
        return set(names_in(layout.data_dir)) - {Path(layout.server_file).name} != set()
    return False


def share(total_bytes: int, percent: int, promised_bytes: int, new: int) -> Optional[int]:
    """Return what each of *new* instances gets: what is not promised yet, one share kept for a later one; None if that is too little."""
    each = (total_bytes * percent // 100 - promised_bytes) // (new + 1) // MIB * MIB
    return each if each >= SMALLEST else None


def maxmemory_in(lines: Sequence[str]) -> tuple[int, bool]:
    """Return the ``maxmemory`` of a configuration file of keyfleet in bytes, 0 for none, and whether it was computed."""
    found = [line.split()[1].strip('"') for line in lines if line.startswith("maxmemory ")]
    return (size(found[-1]) or 0 if found else 0), COMPUTED_MARK in lines
