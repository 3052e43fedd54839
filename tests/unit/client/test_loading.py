# SPDX-License-Identifier: MIT
"""What is loaded when: a program pays for the capabilities that it uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE_FOLDER = str(Path(__file__).parents[3] / "python_lib")
MODULES = "sorted(name for name in sys.modules if name.startswith('keyfleet.'))"


def loaded(program: str) -> list[str]:
    """Return the modules of keyfleet that are loaded after *program*."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {PACKAGE_FOLDER!r}); {program}; print(*{MODULES})"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()


@pytest.mark.parametrize(
    "program",
    ["import keyfleet", "from keyfleet import Client; Client.from_url('redis://a')", "import keyfleet; keyfleet.AsyncClient"],
    ids=["package", "client", "async-client"],
)
def test_capabilities_are_loaded_when_they_are_used(program: str) -> None:
    """Neither the package nor a client loads one."""
    assert [] == [name for name in loaded(program) if name.split(".")[1] == "_capabilities" or "capabilities" in name.split(".")[2:3]]


def test_the_package_loads_neither_client() -> None:
    """pytest loads it for its plugin in every run."""
    assert [] == [name for name in loaded("import keyfleet") if name.split(".")[1] in ("_async", "_sync", "_transport")]
