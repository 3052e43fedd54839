# SPDX-License-Identifier: MIT
"""The version of the wheel is the one of the collection; everything else is in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup

found = re.search(r"^version: (\S+)$", Path(__file__).with_name("galaxy.yml").read_text(encoding="utf-8"), re.MULTILINE)
if not found:
    raise SystemExit("galaxy.yml has no line 'version: X.Y.Z', which is the version of the wheel, too.")
setup(version=found[1])
