# SPDX-License-Identifier: MIT
"""Nodes for tests of redis_cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from keyfleet.testing._binaries import ServerStartError, find_binary
from support.formations import Formation, Start


def _is_here(engine: str) -> bool:
    try:
        find_binary(engine)
    except ServerStartError:
        return False
    return True


collect_ignore = [] if _is_here("valkey-9.1") else ["test_cluster_atomic.py"]


@pytest.fixture
def start_nodes(tmp_path: Path, redis_engine: str) -> Iterator[Start]:
    """Start nodes that know no other; they end with the test."""
    with ExitStack() as ended:

        def start(count: int = 6, **options: Any) -> Formation:
            formation = Formation(tmp_path, **{"engine": redis_engine, "count": count, **options})
            ended.callback(formation.cluster.stop)
            return formation

        yield start
