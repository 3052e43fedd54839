# SPDX-License-Identifier: MIT
"""Text files that keyfleet or the kernel writes."""

from __future__ import annotations

from pathlib import Path


def read_lines(path: str) -> list[str]:
    """Return the lines of a file; none if it is not there."""
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
