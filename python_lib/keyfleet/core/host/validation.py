# SPDX-License-Identifier: MIT
"""What is wrong with the variables of the role redis_host, found from the inventory alone; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

QUEUE = range(1, 65536)


def kernel_problems(somaxconn: Any, root: Any) -> list[str]:
    """
    Return what is wrong: variable, value found, values allowed; empty when nothing is.

    Args:
        somaxconn: Least length of the queue of connections; a number, or digits as ``-e`` gives them.
        root: Folder that stands for the root of the host.
    """
    return list(_problems(somaxconn, root))


def _problems(somaxconn: Any, root: Any) -> Iterator[str]:
    digits = re.fullmatch("[0-9]{1,9}", str(somaxconn)) if isinstance(somaxconn, (int, str)) and not isinstance(somaxconn, bool) else None
    if digits is None or int(somaxconn) not in QUEUE:
        yield f"redis_host_somaxconn is {somaxconn!r}: give {QUEUE.start} to {QUEUE.stop - 1}"
    if not isinstance(root, str) or not root.startswith("/"):
        yield f"redis_host_root is {root!r}: use an absolute path"
