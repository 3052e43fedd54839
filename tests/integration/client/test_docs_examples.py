# SPDX-License-Identifier: MIT
"""The Python in the documents of the cache, and the calls of the page for those who come from others, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from keyfleet import Client, Key, Limit, LocalShare
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


def test_the_new_calls_for_those_who_come_from_others_run(redis_server: Server) -> None:
    """Each call of the right column that is whole, in the order of the page; what its names stand for is below."""
    text = (DOCS / "coming_from.md").read_text(encoding="utf-8")
    rows = [line.split("|")[2] for line in text.splitlines() if line.startswith("| ") and "|---" not in line]
    calls = [call for row in rows for call in re.findall(r"`(@?client\.[^`]*\))`", row) if "…" not in call]
    assert len(calls) > 50
    with Client.from_settings(redis_server.settings()) as client:
        for call in calls:
            client.delete("k", "k1", "k2")
            made = client.sessions.create(42)
            names = {
                "client": client,
                "Key": Key,
                "Limit": Limit,
                "LocalShare": LocalShare,
                "User": dict,
                "k": "k",
                "v": "v",
                "name": "n",
                "key": "key",
                "keys": ["k1", "k2"],
                "values": {"k1": "1"},
                "pattern": "k*",
                "ip": "203.0.113.7",
                "text": "return 1",
                "lua": "return 1",
                "id": made.id,
                "limit": 5,
                "window_seconds": 60,
                "cart": ["a"],
                "token": client.tokens.store(42).token,
                "loader": lambda missing: dict.fromkeys(missing, 1),
                "fn": lambda *_arguments: 1,
                "f": lambda *_arguments: "subject",
            }
            client.rpush("k", "1") if "OBJECT" in call else client.set_json("k", 1)
            if call.startswith("@"):
                exec(f"{call}\ndef decorated(user_id=1): return 1\nassert decorated() == 1", names)  # noqa: S102 - the documents are ours
            else:
                eval(call, names)  # noqa: S307 - the documents are ours
