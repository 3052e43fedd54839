# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options for the kernel of a host, of redis_kernel and of redis_preflight."""

from __future__ import annotations

from typing import Any

from .keyfleet.errors import RefusedError
from .keyfleet.host.init_system import runs_systemd
from .keyfleet.host.kernel import THP_VALUES, KernelPlan, KernelSettings


def kernel_argument_spec() -> dict[str, Any]:
    """Return the argument spec."""
    return {
        "sysctl": {"type": "dict", "default": {}},
        "sysctl_minimum": {"type": "dict", "default": {}},
        "transparent_hugepage": {"type": "str", "choices": list(THP_VALUES)},
        "service_manager": {"type": "str", "choices": ["auto", "systemd", "process"], "default": "auto"},
        "sysctl_file": {"type": "path", "default": KernelSettings.sysctl_file},
        "thp_unit": {"type": "path", "default": KernelSettings.thp_unit},
        "proc_sys": {"type": "path", "default": KernelSettings.proc_sys},
        "thp_path": {"type": "path", "default": KernelSettings.thp_path},
    }


def kernel_settings(params: dict[str, Any]) -> KernelSettings:
    """
    Return the settings that the options state.

    Raises:
        RefusedError: if a minimum is no number.
    """
    given = dict(params)
    manager = given.pop("service_manager")
    exact = {name: str(value) for name, value in given.pop("sysctl").items()}
    least = given.pop("sysctl_minimum")
    wrong = sorted(name for name, value in least.items() if not str(value).isdigit())
    if wrong:
        raise RefusedError(f"sysctl_minimum needs whole numbers; found {', '.join(f'{name}: {least[name]!r}' for name in wrong)}")
    least = {name: int(value) for name, value in least.items()}
    systemd = manager == "systemd" or (manager == "auto" and runs_systemd())
    return KernelSettings(exact, least, given.pop("transparent_hugepage"), systemd=systemd, **given)


def kept_as_they_are(found: KernelPlan) -> list[dict[str, str]]:
    """Return what the host does not allow or cannot keep, as results state it."""
    return [{"name": name, "reason": reason} for name, reason in found.skipped.items()]
