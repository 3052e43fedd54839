# SPDX-License-Identifier: MIT
"""What an import costs, in a new interpreter each time: processor time, which a busy machine changes least."""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median, quantiles

from .rows import RAW, Report, Row

ROUNDS = 21
IMPORTS = {
    "import keyfleet, more than redis": ("import keyfleet", "import redis", 15.0),
    "Client, more than redis": ("from keyfleet import Client", "import redis", 15.0),  # the package may load it when it is asked for
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
        medians = [median(times) for times in zip(*pairs)]
        note = f"{medians[0]:.0f} ms, {RAW} {medians[1]:.0f} ms: {medians[0] / medians[1]:.2f} x"
        report(Row("import", what, median(more), "ms", at_most=target, spread=(lower, upper), note=note))


def _milliseconds(statement: str) -> float:
    program = f"import time; started = time.process_time(); {statement}; print(time.process_time() - started)"
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # compiling is not what is asked
    found = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, env=environ, timeout=60)
    return 1000 * float(found.stdout)
