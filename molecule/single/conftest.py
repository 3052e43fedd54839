# SPDX-License-Identifier: GPL-3.0-or-later
"""Both instances of every host of the scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nodes import Instance, engine_of, password_of

PORTS = {"default": 6379, "sessions": 6380}


@pytest.fixture(params=PORTS)
def instance(request: pytest.FixtureRequest, host: Any) -> Instance:
    """One instance; what the inventory says of it is in inventory/hosts.yml."""
    return Instance(host, engine_of(host), request.param, PORTS[request.param], password_of(Path(__file__).parent, host.backend.name))
