# SPDX-License-Identifier: MIT
"""Text files that keyfleet, a server or the system writes."""

from __future__ import annotations

from .safe_paths import read_bytes


def read_lines(path: str) -> list[str]:
    """Return the lines of a file, by ``safe_paths``; none if it is not there."""
    try:
        return read_bytes(path).decode(errors="surrogateescape").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
