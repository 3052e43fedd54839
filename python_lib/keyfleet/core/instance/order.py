# SPDX-License-Identifier: MIT
"""In which order instances restart, over all hosts of a deployment; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional


def next_restart(waiting: Mapping[str, Sequence[str]]) -> Optional[tuple[str, str]]:
    """
    Return host and name of the instance that restarts next; None if none waits.

    It is asked anew after each restart, so that one instance is down at a time over all hosts, and what a restart changed counts.

    Args:
        waiting: Names of the instances that still wait, by host, in the order of the inventory.
    """
    return next(((host, name) for host, names in waiting.items() for name in names), None)
