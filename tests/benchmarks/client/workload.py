# SPDX-License-Identifier: MIT
"""What everybody stores: 100 keys, each with a dict of 200 bytes of JSON."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

VALUE: dict[str, Any] = {
    "id": 12345,
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "roles": ["admin", "editor"],
    "active": True,
    "score": 98.5,
    "note": "n" * 62,
}
KEYS = [f"user:{number}" for number in range(100)]
VALUES = dict.fromkeys(KEYS, VALUE)


def encode() -> str:
    """Return VALUE as JSON, encoded anew as an application does."""
    return json.dumps(VALUE)


def new_folder() -> Path:
    """Return a new folder for servers, removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="keyfleet-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
