# SPDX-License-Identifier: GPL-3.0-or-later
"""The process can do little, and its secret is nowhere to be found."""

from __future__ import annotations

import re

import pytest
from nodes import Instance

HIGHEST_SCORE = 1.1
"""Debian's own unit of redis-server has it."""


def status(instance: Instance) -> dict[str, str]:
    """Return what the kernel says of the server process."""
    lines = instance.host.file(f"/proc/{instance.pid()}/status").content_string.splitlines()
    return {name: value.strip() for name, _colon, value in (line.partition(":") for line in lines)}


def test_exposure_of_the_unit_is_low(instance: Instance) -> None:
    """systemd itself rates the unit."""
    overall = instance.host.check_output("systemd-analyze security --no-pager %s | tail -n 1", instance.unit)
    assert HIGHEST_SCORE >= float(re.findall(r"\d+\.\d+", overall)[-1])


def test_process_has_no_privileges(instance: Instance) -> None:
    """The engine's own user, no capabilities and no way to gain some, files for no other user."""
    found = status(instance)
    user = str(instance.host.user(instance.engine).uid)
    assert ([user] * 4, "0" * 16, "0" * 16, "1", "2", "0077") == (
        found["Uid"].split(),
        found["CapEff"],
        found["CapBnd"],
        found["NoNewPrivs"],
        found["Seccomp"],
        found["Umask"],
    )


def test_process_may_open_enough_files(instance: Instance) -> None:
    """Every client that maxclients allows has room, and the server did not have to lower it."""
    limits = instance.host.file(f"/proc/{instance.pid()}/limits").content_string
    open_files = int(re.search(r"Max open files +(\d+)", limits)[1])  # type: ignore[index]  # the kernel always has the line
    assert open_files >= int(instance.config("maxclients")) + 32
    assert "10000" == instance.config("maxclients")


def test_server_sees_the_kernel_settings(instance: Instance) -> None:
    """Without sight of /proc/sys the server could not warn of a wrong overcommit setting."""
    assert instance.host.file("/proc/sys/vm/overcommit_memory").content_string.strip() in {"0", "1", "2"}
    log = instance.host.file(f"/var/log/keyfleet/{instance.name}/server.log")
    warned = "overcommit" in log.content_string
    assert warned == (instance.host.file("/proc/sys/vm/overcommit_memory").content_string.strip() == "0")


@pytest.mark.parametrize("top", ["etc", "var/lib", "var/log"])
def test_files_are_for_the_server_alone(instance: Instance, top: str) -> None:
    """Nothing of an instance can be read, or changed, by other users."""
    folder = f"/{top}/keyfleet/{instance.name}"
    assert "" == instance.host.check_output("find %s -not -type l -perm /o=rwx", folder)
    assert "" != instance.host.check_output("find %s -type f", folder)


def test_secret_is_nowhere_to_be_seen(instance: Instance) -> None:
    """Neither in command lines, environments, units, the journal, nor in any file that others can read."""
    places = {
        "command lines": "ps -eww -o args=",
        "environments": "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -v ^REDISCLI_AUTH=",
        "units": "systemctl cat keyfleet@.service; systemctl show --all " + instance.unit,
        "journal": "journalctl --no-pager --all",
        "logs": f"cat /var/log/keyfleet/{instance.name}/*",
    }
    found = {place: instance.host.run(command).stdout for place, command in places.items()}
    assert [] == [place for place, text in found.items() if not text or any(needle in text for needle in instance.needles)]
    assert ["/usr/lib/os-release"] == instance.files_with(["ID=debian"], "/usr/lib/os-release"), "the search finds nothing at all"
    assert [] == instance.files_with(instance.needles, "/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr/local", "/var")
