"""
Write python_lib/keyfleet/_sync from _async: the same code without async and await.

Usage: scripts/generate_sync.py [--check]
  --check  write nothing; exit with 1 if a file would change
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "python_lib" / "keyfleet"
HEADER = "# SPDX-License-Identifier: MIT - made from _async/{name} by scripts/generate_sync.py; change that one"
LICENCE = "# SPDX-License-Identifier: MIT"
RULES = (  # of code alone: docstrings are written so that they hold for both clients
    (r"\basync def\b", "def"),
    (r"\basync with\b", "with"),
    (r"\bawait ", ""),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\basync for\b", "for"),
    (r"\b__aiter__\b", "__iter__"),
    (r"\b__anext__\b", "__next__"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\bAwaitable, (?=Callable)", ""),
    (r"\bAwaitable\[(\w+)\]", r"\1"),
    (r"\bAsync(?=[A-Z])", ""),
    (r"(?<=\._transport\.)asyncio_", "thread_"),
    (r"\bfrom redis\.asyncio\.cluster\b", "from redis.cluster"),
    (r"\bfrom redis\.asyncio\b", "from redis"),
)


def without_async(text: str, used: set[str]) -> str:
    """Return *text* with all rules applied; note in *used* which ones matched."""
    for pattern, replacement in RULES:
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        if count:
            used.add(pattern)
    return text


def formatted(text: str) -> str:
    """Return *text* as ruff formats it, its imports sorted anew."""
    ruff = Path(sys.executable).with_name("ruff")
    for arguments in (("check", "--select", "I", "--fix", "--quiet"), ("format", "--quiet")):
        command = [str(ruff), *arguments, "--stdin-filename", str(PACKAGE / "_sync" / "x.py"), "-"]
        text = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    return text


def main(arguments: list[str]) -> int:
    """Generate or check; return the exit code."""
    if arguments not in ([], ["--check"]):
        sys.stdout.write(str(__doc__).strip() + "\n")
        return 0 if arguments == ["--help"] else 2
    used: set[str] = set()
    wanted = {}
    for source in sorted((PACKAGE / "_async").rglob("*.py")):
        name = source.relative_to(PACKAGE / "_async")
        made = formatted(without_async(source.read_text(encoding="utf-8"), used))
        wanted[PACKAGE / "_sync" / name] = made.replace(LICENCE, HEADER.format(name=name), 1)
    unused = [pattern for pattern, _replacement in RULES if pattern not in used]
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    left = [path for path in (PACKAGE / "_sync").rglob("*.py") if path not in wanted]
    for pattern in unused:
        sys.stderr.write(f"rule {pattern} matches nothing; remove it\n")
    if arguments:
        for path in [*stale, *left]:
            sys.stderr.write(f"{path.relative_to(PACKAGE)} is not what _async makes; run scripts/generate_sync.py\n")
        return 1 if unused or stale or left else 0
    for path in left:
        path.unlink()
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    return 1 if unused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
