# SPDX-License-Identifier: MIT
"""Nodes for tests of redis_cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.formations import Formation

Start = Callable[..., Formation]


@pytest.fixture
def start_nodes(tmp_path: Path, redis_engine: str) -> Iterator[Start]:
    """Start nodes that know no other; they end with the test."""
    with ExitStack() as ended:

        def start(count: int = 6, **options: Any) -> Formation:
            formation = Formation(tmp_path, **{"engine": redis_engine, "count": count, **options})
            ended.callback(formation.cluster.stop)
            return formation

        yield start
