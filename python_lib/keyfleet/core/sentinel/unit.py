# SPDX-License-Identifier: MIT
"""The systemd unit of a Sentinel, hardened as those of the servers; pure."""

from __future__ import annotations

from ..service.starters import UNIT

UNIT_FILE = "/etc/systemd/system/keyfleet-sentinel.service"
_SERVER_ONLY = ("ExecStartPre=", "# What the process was started with", "# CONFIG REWRITE copies", "# Loading and saving", "Timeout")


def sentinel_unit(binary: str, user: str, group: str) -> str:
    """Return the unit."""
    filled = UNIT.format(engine="sentinel", title="Sentinel", binary=binary, user=user, group=group)
    lines = [line for line in filled.splitlines() if not line.startswith(_SERVER_ONLY)]
    start = f"ExecStart={binary} /var/lib/keyfleet-sentinel/sentinel/sentinel.conf --sentinel"
    lines = [start if line.startswith("ExecStart=") else line for line in lines]
    lines = ["Description=Sentinel" if line.startswith("Description=") else line for line in lines]
    lines = [line for line in lines if not line.startswith("Documentation=")]
    return "\n".join(line.replace("=keyfleet/%i", "=keyfleet-sentinel/sentinel") for line in lines) + "\n"
