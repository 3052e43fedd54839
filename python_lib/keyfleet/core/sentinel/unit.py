# SPDX-License-Identifier: MIT
"""The systemd unit of a Sentinel, hardened as those of the servers; pure."""

from __future__ import annotations

from ..service.starters import unit_text

UNIT_FILE = "/etc/systemd/system/keyfleet-sentinel.service"
_SERVER_ONLY = (
    *("ExecStartPre=", "# What the process was started with", "# CONFIG REWRITE copies", "# A primary whose replication"),
    *("# Loading and saving", "Timeout", "Documentation="),
)


def sentinel_unit(binary: str, user: str, group: str) -> str:
    """Return the unit."""
    lines = [line for line in unit_text("sentinel", binary, user, group).splitlines() if not line.startswith(_SERVER_ONLY)]
    own = {
        "Description=": "Description=Sentinel",
        "ExecStart=": f"ExecStart={binary} /var/lib/keyfleet-sentinel/sentinel/sentinel.conf --sentinel",
        "ExecPaths=": f"ExecPaths={binary} /usr/lib /lib -/lib64 -/usr/local/lib",
    }
    lines = [own.get(line.partition("=")[0] + "=", line) for line in lines]
    return "\n".join(line.replace("=keyfleet/%i", "=keyfleet-sentinel/sentinel") for line in lines) + "\n"
