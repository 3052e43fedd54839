# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the roles and playbooks about hosts. Not for other playbooks."""

from __future__ import annotations

from typing import Any

from ..module_utils.keyfleet.host.folders import folder_problem
from ..module_utils.keyfleet.host.identity import twins
from ..module_utils.keyfleet.host.validation import kernel_problems


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"folder_problem": folder_problem, "kernel_problems": kernel_problems, "twins": twins}
