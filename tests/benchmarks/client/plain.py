# SPDX-License-Identifier: MIT
"""A process in which neither hiredis nor orjson can be imported."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

from .rows import Report, Row


def without_accelerators(engine: str, report: Report) -> None:
    """Compare keyfleet with redis-py where neither has its accelerator."""
    done = subprocess.run([sys.executable, "-m", __name__, engine], check=True, stdout=subprocess.PIPE, timeout=120)
    for line in done.stdout.splitlines():
        report(Row(**json.loads(line)))


if __name__ == "__main__":
    sys.modules["hiredis"] = sys.modules["orjson"] = None  # type: ignore[assignment]  # makes their import fail
    from . import sync

    sync.without_accelerators(sys.argv[1], lambda row: print(json.dumps(asdict(row))))
