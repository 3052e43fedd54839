# SPDX-License-Identifier: MIT
"""What runs the host; reads only."""

from __future__ import annotations

import shutil
from pathlib import Path


def runs_systemd() -> bool:
    """Return whether systemd runs the host and can be asked; sd_booted(3) names the folder."""
    return Path("/run/systemd/system").is_dir() and shutil.which("systemctl") is not None
