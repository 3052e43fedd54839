# SPDX-License-Identifier: MIT
"""Servers for tests of redis_replication."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.replications import Replication, Start


@pytest.fixture
def start_servers(tmp_path: Path, redis_engine: str) -> Iterator[Start]:
    """Start servers that know no other; they end with the test."""
    with ExitStack() as ended:

        def start(count: int = 3, **options: Any) -> Replication:
            return ended.enter_context(Replication(tmp_path, **{"engine": redis_engine, "count": count, **options}))

        yield start
