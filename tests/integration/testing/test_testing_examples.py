# SPDX-License-Identifier: MIT
"""The examples of docs/client/testing.md, run as an application's tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import keyfleet
import pytest

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[3] / "docs/client/testing.md"


@pytest.mark.client
def test_all_examples_pass(tmp_path: Path) -> None:
    """Each block as it stands there, but for the one that asks for other engines."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    tests = [block for block in blocks if "def test_" in block]
    assert len(blocks) - 1 == len(tests)
    source = "\n\n".join(tests)
    (tmp_path / "test_shop.py").write_text(source, encoding="utf-8")
    environ = {**os.environ, "PYTHONPATH": str(Path(keyfleet.__file__).parents[1])}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "keyfleet.testing.plugin"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=120, check=False)
    assert f"{source.count('def test_')} passed" in done.stdout, done.stdout
