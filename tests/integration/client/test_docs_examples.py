# SPDX-License-Identifier: MIT
"""The Python in the documents of the cache runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from keyfleet.testing.servers import Server

DOCS = Path(__file__).resolve().parents[3] / "docs" / "client"


@pytest.mark.parametrize("page", ["cache", "invalidation"])
def test_the_examples_of_a_page_run(page: str, redis_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, with the names that those before have made."""
    for name, value in (("REDIS_HOST", redis_server.host), ("REDIS_PORT", str(redis_server.port))):
        monkeypatch.setenv(name, value)
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    assert blocks
    try:
        for block in blocks:
            exec(block, names)  # noqa: S102 - the documents are ours
    finally:
        names["client"].close()
