# SPDX-License-Identifier: MIT
"""What modules import runs on managed hosts: it may need redis-py and the standard library of Python 3.9, nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "python_lib" / "keyfleet" / "core"
MODULE_SIDE = sorted([*CORE.rglob("*.py"), *(ROOT / "plugins" / "modules").glob("*.py"), *(ROOT / "plugins" / "module_utils").glob("*.py")])
IDS = [str(path.relative_to(ROOT)) for path in MODULE_SIDE]


OPTIONAL = {"core/managed/iam.py": "botocore"}  # used on the controller and in applications, which install it


def absolute_imports(source: str) -> Iterator[str]:
    """Yield the full name of everything that *source* imports absolutely, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def allowed(name: str) -> bool:
    """Return whether a managed host has the module *name*: standard library, redis-py, and what Ansible sends along."""
    return name.partition(".")[0] in {*sys.stdlib_module_names, "redis"} or name.startswith("ansible.module_utils.")


@pytest.mark.parametrize("path", MODULE_SIDE, ids=IDS)
def test_imports_only_what_managed_hosts_have(path: Path) -> None:
    """Every absolute import is redis-py, the standard library, or (in modules) ansible.module_utils."""
    optional = OPTIONAL.get(str(path.relative_to(CORE.parent)) if CORE in path.parents else "")
    assert [] == [name for name in absolute_imports(path.read_text()) if not allowed(name) and name.partition(".")[0] != optional]


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: path.name)
def test_core_knows_nothing_of_ansible(path: Path) -> None:
    """Applications import the core without Ansible."""
    assert [] == [name for name in absolute_imports(path.read_text()) if name.startswith("ansible")]


@pytest.mark.parametrize("path", MODULE_SIDE, ids=IDS)
def test_syntax_is_python_3_9(path: Path) -> None:
    """The oldest Python on managed hosts can read the file; scripts/lint checks the library calls as well."""
    ast.parse(path.read_text(), feature_version=(3, 9))


def test_core_imports_without_redis_py() -> None:
    """A managed host without redis-py gets a message of keyfleet, so importing every file of the core must not fail."""
    names = [".".join(("keyfleet", *path.relative_to(CORE.parent).with_suffix("").parts)) for path in sorted(CORE.rglob("[!_]*.py"))]
    code = f"import sys, importlib; sys.modules['redis'] = None; [importlib.import_module(name) for name in {names!r}]"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=CORE.parents[1], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
