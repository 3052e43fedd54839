# SPDX-License-Identifier: MIT
"""The page for those who come from other clients: every call that it names exists, with the arguments that it names."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from keyfleet import CacheOptions, Client
from keyfleet._sync.capabilities.cache.cache import Cache
from keyfleet._sync.capabilities.rate_limits import RateLimits
from keyfleet._sync.capabilities.sessions import Sessions
from keyfleet._sync.capabilities.tokens import Tokens

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/client/coming_from.md").read_text(encoding="utf-8")
OURS = "\n".join(line.split("|")[2] for line in PAGE.splitlines() if line.startswith("| ") and "|---" not in line)
OWNERS: dict[str, Any] = {
    "client": Client,
    "client.cache": Cache,
    "client.rate_limits": RateLimits,
    "client.sessions": Sessions,
    "client.tokens": Tokens,
    "Client": Client,
}
CALL = r"((?:client|Client)(?:\.(?:cache|rate_limits|sessions|tokens))?)\.(\w+)"


@pytest.mark.parametrize("source", ["redis-py", "ioredis", "cashews", "aiocache", "django-redis", "limits", "Sessions"])
def test_every_source_has_a_section(source: str) -> None:
    """With at least five calls."""
    section = PAGE.partition(f"\n## {source}")[2].partition("\n## ")[0]
    assert section.count("\n| `") >= 5


def test_every_call_exists() -> None:
    """Of the client and its capabilities."""
    calls = re.findall(rf"`@?{CALL}", OURS)
    assert len(calls) > 40
    assert [] == [f"{owner}.{name}" for owner, name in calls if not hasattr(OWNERS[owner], name)]


def test_every_argument_exists() -> None:
    """Names before an equals sign within the call."""
    found = re.findall(rf"{CALL}\(([^`]*)\)", OURS)
    wrong = []
    for owner, name, text in found:
        allowed = set(inspect.signature(getattr(OWNERS[owner], name)).parameters)
        if name == "with_options":
            allowed = set(inspect.signature(CacheOptions).parameters)
        wrong += [f"{name}({argument})" for argument in re.findall(r"(\w+)=", text.split(")")[0]) if argument not in allowed]
    assert [] == wrong
