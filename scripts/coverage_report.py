# SPDX-License-Identifier: MIT
"""
Print the coverage of each part of the code, and the ten files with the most lines and branches that no test reached.

Usage: scripts/coverage_report.py FILE     FILE is what `coverage json` wrote; scripts/coverage makes it
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

LISTED = 10
PARTS = {  # a file belongs to the first that matches
    "client, generated": "python_lib/keyfleet/_sync/",
    "core": "python_lib/keyfleet/core/",
    "client": "python_lib/keyfleet/",
    "filters of roles": "plugins/filter/",
    "plugins": "plugins/",
}


def total(summaries: list[dict[str, Any]]) -> str:
    """Return the share of lines and branches that tests reached, in percent."""
    reached = sum(summary["covered_lines"] + summary["covered_branches"] for summary in summaries)
    possible = sum(summary["num_statements"] + summary["num_branches"] for summary in summaries)
    return f"{100 * reached / possible:5.1f} %" if possible else "no code"


def report(files: dict[str, dict[str, Any]]) -> list[str]:
    """Return the lines to print for the `files` of coverage's JSON."""
    parts: dict[str, list[dict[str, Any]]] = {part: [] for part in PARTS}
    for name, file in files.items():
        part = next((part for part, prefix in PARTS.items() if name.startswith(prefix)), None)
        if part:
            parts[part].append(file["summary"])
    lines = [f"{part:18} {total(summaries)}" for part, summaries in parts.items()]
    lines.append(f"{'all':18} {total([file['summary'] for file in files.values()])}")
    missing = {name: file["summary"]["missing_lines"] + file["summary"]["missing_branches"] for name, file in files.items()}
    lines.append(f"\nThe {LISTED} files with the most lines and branches that no test reached:")
    for name in sorted(missing, key=lambda name: -missing[name])[:LISTED]:
        lines.append(f"{missing[name]:5} {total([files[name]['summary']])}  {name}")
    return lines


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] == "--help":
        print((__doc__ or "").strip())
        sys.exit(0 if sys.argv[1:] == ["--help"] else 2)
    print(*report(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["files"]), sep="\n")
