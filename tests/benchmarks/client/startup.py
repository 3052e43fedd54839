# SPDX-License-Identifier: MIT
"""What an import costs, in a new interpreter each time."""

from __future__ import annotations

import subprocess
import sys
from statistics import median, quantiles

from .rows import Report, Row

ROUNDS = 21
IMPORTS = {
    "import keyfleet, more than import redis": ("import keyfleet", "import redis", 15.0),
    "AsyncClient, more than redis.asyncio": ("from keyfleet import AsyncClient", "import redis.asyncio", None),
}


def imports(engine: str, report: Report) -> None:
    """Compare imports with those of redis-py alone."""
    del engine
    for what, (ours, theirs, target) in IMPORTS.items():
        _milliseconds(ours)  # writes the bytecode
        pairs = [(_milliseconds(ours), _milliseconds(theirs)) for _unused in range(ROUNDS)]
        more = [its - base for its, base in pairs]
        lower, _middle, upper = quantiles(more, n=4)
        fastest = [min(times) for times in zip(*pairs)]
        note = f"fastest: {fastest[0]:.0f} ms, redis-py {fastest[1]:.0f} ms"
        report(Row("import", what, median(more), "ms", at_most=target, spread=(lower, upper), note=note))


def _milliseconds(statement: str) -> float:
    program = f"import time; started = time.perf_counter(); {statement}; print(time.perf_counter() - started)"
    return 1000 * float(subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, timeout=60).stdout)
