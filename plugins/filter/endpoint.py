# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role redis_endpoint and of the playbooks: where instances are reached, and how to tell. Not for other playbooks."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import Iterable
from typing import Any, Optional

from ..module_utils.keyfleet.layout import Layout
from ..module_utils.keyfleet.profile import client_address, profile_path, profile_text
from ..module_utils.keyfleet.settings_values import format_nodes

PROGRAM = "from keyfleet import Client; print(Client.from_env().ping())"


def server_endpoints(plan: list[dict[str, Any]], root: str, public_address: Optional[str] = None) -> list[dict[str, Any]]:
    """
    Return where each present instance is reached: ``name``, ``host``, ``port``, ``unix_socket``, ``password``.

    Args:
        plan: From `server_plan`.
        public_address: Address of the host for clients elsewhere, for an instance that listens on all addresses; without it the
            answer is for a client on the host itself.
    """
    found = []
    for options in plan:
        if options["state"] != "present":
            continue
        tcp = options["port"] != 0
        found.append(
            {
                "name": options["name"],
                "host": client_address(options["bind"], public_address) if tcp else "",
                "port": options["port"],
                "unix_socket": "" if tcp else Layout(root, options["name"]).socket_file,
                "password": options["password"] or "",
            }
        )
    return found


def endpoint_files(
    endpoints: Iterable[dict[str, Any]], path: str, host: str = "", key_prefix: str = "", absent: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """
    Return the env files as the module redis_files takes them.

    Args:
        endpoints: From `server_endpoints`; each gets a file.
        path, host: As for `profile_path`.
        absent: Names of instances whose file is removed.
    """
    files = [
        {"path": profile_path(path, endpoint["name"], host), "secret_content": profile_text(endpoint, key_prefix), "mode": "0600"}
        for endpoint in endpoints
    ]
    return files + [{"path": profile_path(path, name, host), "state": "absent"} for name in absent]


def server_summary(health: list[dict[str, Any]], endpoints: list[dict[str, Any]], manager: str, path: str, host: str = "") -> list[str]:
    """
    Return a few lines that say what runs, where, and what to try next.

    Args:
        health: Results of the module redis_health, a loop over names; in check mode without those that do not run yet.
        endpoints: From `server_endpoints`.
        manager: The service manager in use.
        path, host: As for `profile_path`.
    """
    proven = [(result, next(one for one in endpoints if one["name"] == result["item"])) for result in health]
    if not proven:
        return ["No instance runs here yet." if endpoints else "No instance runs here: the inventory wants none."]
    lines = []
    for result, endpoint in proven:
        lines += [_proof(result, endpoint), *(f"  {reason}" for reason in result["reasons"])]
        lines.append(f"  connection profile: {profile_path(path, endpoint['name'], host)} (mode 0600)")
    result, endpoint = proven[0]
    if manager == "process":
        lines.append("The process manager runs it: it comes back after a crash, but not after a reboot; run site.yml again then.")
    return [*lines, "Try: " + _trial(profile_path(path, endpoint["name"], host), endpoint, _checks(result)["engine"]["found"]["engine"])]


def _checks(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in result["checks"]}


def _proof(result: dict[str, Any], endpoint: dict[str, Any]) -> str:
    checks, place = _checks(result), endpoint["unix_socket"] or format_nodes(((endpoint["host"], endpoint["port"]),))
    engine = checks["engine"]["found"]
    probe = "a value was written and read back" if checks["round_trip"]["status"] == "ok" else "no value was written"
    return f"{engine['engine']} {engine['version']}, instance {endpoint['name']} at {place}: {result['verdict']}; {probe}"


def _trial(profile: str, endpoint: dict[str, Any], engine: str) -> str:
    """Return a shell line that works as it stands: with the client library, if this Python has it, or else with the server's own client."""
    load = f"set -a; . {shlex.quote(profile)}; set +a; "
    found = importlib.util.find_spec("keyfleet")
    if found is not None and found.origin is not None:
        return f"{load}{shlex.quote(sys.executable)} -c {shlex.quote(PROGRAM)}"
    place = f"-s {shlex.quote(endpoint['unix_socket'])}" if endpoint["unix_socket"] else "-h $REDIS_HOST -p $REDIS_PORT"
    password = "REDISCLI_AUTH=$REDIS_PASSWORD " if endpoint["password"] else ""
    return f"{load}{password}{engine}-cli {place} ping"


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"server_endpoints": server_endpoints, "endpoint_files": endpoint_files, "server_summary": server_summary}
