# SPDX-License-Identifier: MIT
"""The memory of a host or of its control group, and what new instances get of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from keyfleet.core.host.memory import MIB, format_bytes, limits, physical_bytes
from keyfleet.core.instance.config import COMPUTED_MARK
from keyfleet.core.instance.maxmemory import Memory, inspect_memory, maxmemory_in, share
from keyfleet.core.instance.model import Host, Instance

GIB = 1 << 30
NO_LIMIT = 9223372036854771712  # what version 1 reports


def tree(folder: Path, **files: str) -> None:
    """Write files of a fake /proc and /sys/fs/cgroup; a double underscore is a slash."""
    for name, text in files.items():
        place = folder / name.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text + "\n", encoding="ascii")


def machine(folder: Path, gib: int = 16) -> Path:
    """Return a folder with the files of a machine without control groups."""
    tree(folder, proc__meminfo=f"MemTotal:       {gib << 20} kB\nMemFree: 1 kB", proc__self__cgroup="0::/")
    (folder / "cgroup").mkdir(exist_ok=True)
    return folder


def asked(folder: Path, *instances: Instance, percent: int = 60, manager: str = "process") -> Memory:
    """Inspect the machine, whose deployments are below the same folder."""
    host = Host("redis", "/usr/bin/redis-server", manager, root=str(folder))
    return inspect_memory(host, instances, percent, proc=str(folder / "proc"), cgroup=str(folder / "cgroup"))


def deploy(folder: Path, name: str, *lines: str) -> None:
    """Write a configuration as an earlier run did."""
    place = folder / "etc/keyfleet" / name / "keyfleet.conf"
    place.parent.mkdir(parents=True)
    place.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_physical_memory_is_what_the_kernel_reports(tmp_path: Path) -> None:
    """Of this machine, and of another."""
    assert physical_bytes() > 64 * MIB
    assert 16 * GIB == physical_bytes(str(machine(tmp_path) / "proc"))


@pytest.mark.parametrize(
    ("manager", "files", "wanted"),
    [
        ("process", {"cgroup__memory.max": "max"}, (16 * GIB, False)),
        ("process", {"cgroup__memory.max": str(2 * GIB)}, (2 * GIB, True)),
        ("process", {"proc__self__cgroup": "0::/a/b", "cgroup__a__memory.max": str(GIB), "cgroup__a__b__memory.max": "max"}, (GIB, True)),
        ("systemd", {"proc__self__cgroup": "0::/user.slice", "cgroup__user.slice__memory.max": str(GIB)}, (16 * GIB, False)),
        ("systemd", {"cgroup__system.slice__memory.max": str(3 * GIB)}, (3 * GIB, True)),
        ("process", {"cgroup__memory__memory.limit_in_bytes": str(NO_LIMIT)}, (16 * GIB, False)),
        ("process", {"proc__self__cgroup": "4:cpu,memory:/x", "cgroup__memory__x__memory.limit_in_bytes": str(GIB)}, (GIB, True)),
        # Version 1 in a container names the group of the machine, and shows the container's at the top.
        ("process", {"proc__self__cgroup": "4:memory:/docker/1", "cgroup__memory__memory.limit_in_bytes": str(GIB)}, (GIB, True)),
        ("process", {"cgroup__memory.max": str(64 * GIB)}, (16 * GIB, False)),
    ],
)
def test_limit_of_the_control_group_counts_as_the_memory(
    tmp_path: Path, manager: str, files: dict[str, str], wanted: tuple[int, bool]
) -> None:
    """The lowest limit above the servers, both versions; of no other group."""
    machine(tmp_path)
    tree(tmp_path, **files)
    found = asked(tmp_path, manager=manager)
    assert wanted == (found.total_bytes, found.limited)


def test_limits_of_this_machine_are_numbers() -> None:
    """The real files are read without an error, whatever the machine has."""
    for manager in ("process", "systemd"):
        assert all(limit >= 0 for limit in limits(manager, "/proc", "/sys/fs/cgroup"))


def test_all_new_instances_together_stay_below_the_share(tmp_path: Path) -> None:
    """Equal parts, one kept; what others name or were given counts; those that name it get nothing from us."""
    machine(tmp_path)
    budget = 16 * GIB * 60 // 100
    one = asked(tmp_path, Instance("a"))
    assert ({"a": budget // 2 // MIB * MIB}, ["a"]) == (one.default_maxmemory, one.new)
    three = asked(tmp_path, Instance("a"), Instance("b"), Instance("c", directives={"maxmemory": "4gb"}))
    assert dict.fromkeys("ab", (budget - 4 * GIB) // 3 // MIB * MIB) == three.default_maxmemory
    assert sum(three.default_maxmemory.values()) + 4 * GIB <= budget
    deploy(tmp_path, "left", "maxmemory 2147483648")  # not listed any more, and running
    assert {"a": (budget - 2 * GIB) // 2 // MIB * MIB} == asked(tmp_path, Instance("a")).default_maxmemory
    gone = asked(tmp_path, Instance("a"), Instance("left", state="absent"))
    assert one.default_maxmemory == gone.default_maxmemory


def test_what_was_given_stays(tmp_path: Path) -> None:
    """On a machine that has more memory now, with another share, beside a new instance, and without a share."""
    deploy(machine(tmp_path), "a", COMPUTED_MARK, "port 7000", "maxmemory 1073741824")
    for gib, percent in ((16, 60), (64, 60), (16, 30), (16, 0)):
        machine(tmp_path, gib)
        found = asked(tmp_path, Instance("a"), percent=percent)
        assert ({"a": GIB}, []) == (found.default_maxmemory, found.new)
    both = asked(machine(tmp_path), Instance("a"), Instance("b"))
    assert (GIB, ["b"]) == (both.default_maxmemory["a"], both.new)


@pytest.mark.parametrize("lines", [(), ("maxmemory 64mb",)])
def test_deployed_instance_gets_no_limit_that_it_did_not_have(tmp_path: Path, lines: tuple[str, ...]) -> None:
    """One of an earlier version, or one whose maxmemory the inventory names no more: unlimited, as the server's default is."""
    deploy(machine(tmp_path), "a", *lines)
    found = asked(tmp_path, Instance("a"))
    assert ({}, []) == (found.default_maxmemory, found.new)


def test_instance_that_takes_up_data_gets_no_limit(tmp_path: Path) -> None:
    """The data of an earlier deployment may be larger than what would be computed; the server's own file is no data."""
    data = machine(tmp_path) / "var/lib/keyfleet/a"
    data.mkdir(parents=True)
    (data / "server.conf").touch()
    assert ["a"] == asked(tmp_path, Instance("a")).new
    (data / "dump.rdb").touch()
    assert [] == asked(tmp_path, Instance("a")).new


def test_nothing_is_computed_without_a_share(tmp_path: Path) -> None:
    """redis_server_memory_percent 0 leaves new instances as the server's default is."""
    found = asked(machine(tmp_path), Instance("a"), percent=0)
    assert ({}, [], []) == (found.default_maxmemory, found.new, found.problems)


def test_nothing_left_is_a_problem(tmp_path: Path) -> None:
    """Named with what is missing and the variables to change."""
    (problem,) = asked(machine(tmp_path), Instance("a"), Instance("b", directives={"maxmemory": "15gb"})).problems
    words = ["redis_server_instances[a]", "names no maxmemory", "15 GB", "9.6 GB", "redis_server_memory_percent is 60", "16 GB"]
    assert [] == [word for word in words if word not in problem], problem
    assert [None, 16 * MIB] == [share(100 * MIB, 60, promised, 1) for promised in (30 * MIB, 28 * MIB)]


def test_configuration_shows_the_limit_and_who_set_it() -> None:
    """Written by us with a mark, by the inventory without."""
    assert [(0, False), (64 * MIB, False), (5, True)] == [
        maxmemory_in(lines) for lines in ([], ["maxmemory 1", "maxmemory 64mb"], [COMPUTED_MARK, "maxmemory 5"])
    ]


def test_bytes_are_shown_to_people() -> None:
    """Three digits and a unit."""
    assert ["5 bytes", "16 MB", "1.5 GB", "97656 GB"] == [format_bytes(number) for number in (5, 16 * MIB, 3 * GIB // 2, 97656 * GIB)]
