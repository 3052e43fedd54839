# SPDX-License-Identifier: MIT
"""What tests of one instance share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.instances import LiveInstance


@pytest.fixture
def live(redis_engine: str) -> Iterator[LiveInstance]:
    """An instance that is not deployed yet; its folder has a short path, since unix sockets need one."""
    with tempfile.TemporaryDirectory(prefix="kf-", dir="/tmp") as folder:
        instance = LiveInstance(Path(folder), redis_engine)
        yield instance
        instance.end()
