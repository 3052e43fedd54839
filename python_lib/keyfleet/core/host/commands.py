# SPDX-License-Identifier: MIT
"""Programs of the host, run in a clean environment."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import Optional

# The supervisor has the same one: it is copied to hosts as a single file, and imports nothing.
CLEAN_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def run(argv: Sequence[str], timeout_seconds: Optional[float] = None, *, inherit: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a program in a clean environment, with nothing inherited but the variables *inherit*; raise OSError or TimeoutExpired."""
    return subprocess.run(  # noqa: S603 - an argument list, no shell
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env={**CLEAN_ENVIRONMENT, **{name: os.environ[name] for name in inherit if name in os.environ}},
        timeout=timeout_seconds,
        check=False,
    )
