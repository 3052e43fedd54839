# SPDX-License-Identifier: GPL-3.0-or-later
"""The instance of the host of the scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nodes import Instance, password_of


@pytest.fixture
def instance(host: Any) -> Instance:
    """The one instance; what the inventory says of it is in inventory/hosts.yml."""
    return Instance(host, "default", 6379, password_of(Path(__file__).parent, host.backend.name))
