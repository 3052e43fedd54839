# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument specs of the roles, for plugins on the controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

# Each task reads them anew in a process of its own: the loader in Python takes 50 ms for the largest, this one 5.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def role_spec(role: Path) -> dict[str, dict[str, Any]]:
    """Return the options of each entry point of a role, by the name of the entry point."""
    loaded = yaml.load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"), LOADER)  # noqa: S506 - a safe loader
    return {name: entry.get("options", {}) for name, entry in loaded["argument_specs"].items()}
