# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the modules for the instances of a host share; documented in the fragment ``server``."""

from __future__ import annotations

from typing import Any

from .keyfleet.instance.host_files import complete
from .keyfleet.instance.maxmemory import Memory, inspect_memory
from .keyfleet.instance.model import MODULE_OPTIONS, Host, Instance, from_options
from .keyfleet.service.choose import choose


def server_argument_spec() -> dict[str, Any]:
    """Return the shared part of the argument spec."""
    return {
        "engine": {"type": "str", "required": True, "choices": ["redis", "valkey"]},
        "binary": {"type": "path", "required": True},
        "service_manager": {"type": "str", "choices": ["auto", "systemd", "process"], "default": "auto"},
        "root": {"type": "path", "default": "/"},
        "start_timeout_seconds": {"type": "int", "default": 300},
        "memory_percent": {"type": "int", "default": 0},
        "previous_password": {"type": "str", "no_log": True},
        "admin_passwords": {"type": "list", "elements": "str", "default": [], "no_log": True},
        "undeclared_users": {"type": "str", "choices": ["report", "remove"], "default": "report"},
        "keep_passwords": {"type": "bool", "default": False, "no_log": False},
        "user": {"type": "str", "default": ""},
        "group": {"type": "str", "default": ""},
        "instances": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {option.name: option.module_option() for option in MODULE_OPTIONS.values()},
        },
    }


def host_from(params: dict[str, Any]) -> Host:
    """Return the host as the module's parameters describe it."""
    return Host(
        engine=params["engine"],
        binary=params["binary"],
        service_manager=choose(params["service_manager"]),
        root=params["root"],
        start_timeout_seconds=params["start_timeout_seconds"],
        previous_password=params["previous_password"],
        admin_passwords=tuple(params["admin_passwords"]),
        removes_undeclared_users=params["undeclared_users"] == "remove",
        keeps_passwords=params["keep_passwords"],
        user=params["user"],
        group=params["group"],
    )


def instances_from(params: dict[str, Any]) -> list[Instance]:
    """Return the instances as the inventory states them."""
    return [from_options(options) for options in params["instances"]]


def completed_from(params: dict[str, Any], host: Host) -> tuple[list[Instance], Memory]:
    """Return the instances with what the host adds to them, and the memory that was found."""
    instances = instances_from(params)
    memory = inspect_memory(host, instances, params["memory_percent"])
    return complete(host, instances, memory), memory
