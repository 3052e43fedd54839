# SPDX-License-Identifier: MIT
"""What logrotate does with the log of an instance; pure."""

from __future__ import annotations

from typing import Optional

from ..layout import Layout

MAX_SIZE = "100M"
# logrotate takes these for patterns and sections, also between quotes and behind a backslash.
UNWRITABLE = "{}[]*?\\"


def unwritable(path: str) -> str:
    """Return which characters of a path no file for logrotate can hold."""
    return "".join(sorted(set(path) & set(UNWRITABLE)))


def rotation_text(layout: Layout, keep_days: int, header: str, account: Optional[tuple[str, str]] = None) -> str:
    """
    Return a file for logrotate.

    Args:
        keep_days: How many old logs are kept, one for each day or each 100 MB.
        header: Comment lines for the top.
        account: User and group of the log's folder, which root must take on; None where the caller is that user.
    Source:
        logrotate(8). The servers open their log for each line (``serverLogRaw``, server.c), so that they need no signal, and make a new
        file of mode 0600, as their umask says.
    """
    directives = [
        *([f"su {account[0]} {account[1]}"] if account else []),
        "daily",
        f"maxsize {MAX_SIZE}",
        f"rotate {keep_days}",
        "missingok",
        "notifempty",
        "compress",
        "delaycompress",
        "nocreate",
        "nocopytruncate",
    ]
    path = layout.log_file.replace('"', '\\"')
    return "\n".join([header.rstrip(), f'"{path}" {{', *(f"    {directive}" for directive in directives), "}", ""])
