# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the playbooks: where instances are reached, and what a run says of them at its end. Not for other playbooks."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

from ..module_utils.connection_options import FIELD_OF_OPTION
from ..module_utils.keyfleet.connect.values import format_nodes
from ..module_utils.keyfleet.instance.model import from_options
from ..module_utils.keyfleet.instance.tls import own_settings
from ..module_utils.keyfleet.layout import Layout
from ..module_utils.keyfleet.profile.names import Owner, env_path
from ..module_utils.keyfleet.profile.values import client_address, own_address

OPTION_OF_FIELD = {field: option for option, field in FIELD_OF_OPTION.items()}
# Directives that name a server of a replication to clients and replicas.
ANNOUNCING = ("replica-announce-ip",)
PROGRAM = "from keyfleet import Client; print(Client.from_env().ping())"


def server_endpoints(
    plan: list[dict[str, Any]], root: str, public_address: Optional[str] = None, cluster_nodes: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """
    Return where each present instance is reached: ``name``, ``tls``, ``host``, ``port`` (of TLS if it has it), ``unix_socket``,
    ``password``, hashes of its ``users``, and
    ``default_enabled``, whether a client that names no user can log in. Of a cluster also ``cluster_nodes``, as they announce themselves;
    the own one is first.

    The password is empty for none, and None while it is not known.

    Args:
        plan: From `server_plan`.
        public_address: Address of the host for clients elsewhere, for an instance that listens on all addresses; without it the
            answer is for a client on the host itself.
        cluster_nodes: Where clients reach all nodes, if the instances are nodes of a cluster.
    """
    found: list[dict[str, Any]] = []
    for options in plan:
        if options["state"] != "present":
            continue
        instance = from_options(options)
        secure = instance.secure_port
        tcp = options["port"] != 0 or secure != 0
        found.append(
            {
                "name": options["name"],
                "host": client_address(options["bind"], public_address) if tcp else "",
                "port": secure or options["port"],
                "tls": options["tls"],
                "unix_socket": "" if tcp else Layout(root, options["name"]).socket_file,
                "password": options["password"],
                "users": _hashes(options["user_rules"]),
                "default_enabled": not any(line.split(" ")[:2] == ["default", "off"] for line in options["user_rules"]),
            }
        )
        if cluster_nodes:
            own = format_nodes((instance.cluster_place(found[-1]["host"]),))
            found[-1]["cluster_nodes"] = [own, *(node for node in cluster_nodes if node != own)]
    return found


def server_nodes(plan: list[dict[str, Any]], root: str, public_address: Optional[str] = None) -> list[dict[str, Any]]:
    """
    Return ``name``, ``address`` (``host:port``), ``bus_port``, ``tls`` and ``announced``, where clients are sent to, of each present
    instance that has a port; arguments as above.
    """
    instances = {options["name"]: from_options(options) for options in plan}
    return [
        {
            "name": one["name"],
            "address": format_nodes(((one["host"], one["port"]),)),
            "tls": one["tls"],
            "bus_port": instances[one["name"]].bus_port,
            "announced": format_nodes((instances[one["name"]].cluster_place(one["host"]),)),
        }
        for one in server_endpoints(plan, root, public_address)
        if one["port"]
    ]


def server_own_tls(plan: list[dict[str, Any]], root: str) -> dict[str, Any]:
    """Return the options with which modules on the host itself connect to servers of its deployment; ``tls`` is False without TLS."""
    options = next((one for one in plan if one["state"] == "present" and one["tls"] != "off"), None)
    if options is None:
        return {"tls": False}
    found = own_settings(from_options(options), Layout(root, options["name"]))
    return {OPTION_OF_FIELD[field]: value for field, value in found.items()}


def server_tls_hosts(plan: list[dict[str, Any]], public_address: Optional[str] = None) -> dict[str, list[str]]:
    """
    Return the addresses of the instances with TLS: ``announced`` to clients or used by the host itself, and ``bound``; empty without any.

    Args:
        plan, public_address: As for `server_endpoints`.
    """
    secure = [options for options in plan if options["state"] == "present" and options["tls"] != "off"]
    announced: list[str] = []
    for options in secure:
        address = client_address(options["bind"], public_address)
        announced += dict.fromkeys((address, own_address(options["bind"]), from_options(options).cluster_place(address)[0]))
        announced += [str(options["directives"][name]) for name in ANNOUNCING if options["directives"].get(name)]
    return {"announced": announced, "bound": [address for options in secure for address in options["bind"]]}


def _hashes(users: Iterable[str]) -> dict[str, list[str]]:
    """Return the SHA-256 hashes of the passwords of each ACL user, by name."""
    return {name: [rule[1:] for rule in rules if rule.startswith("#")] for name, *rules in (line.split() for line in users)}


def server_summary(
    report: Mapping[str, Any], path: str, host: str = "", forms: Sequence[str] = (), folder: str = "", notes: Sequence[str] = ()
) -> list[str]:
    """
    Return a few lines that say what runs, where, and what to try next.

    Args:
        report: ``redis_server_report``; its health lacks, in check mode, the instances that no server answers for yet.
        path, host: Of the profiles, as for ``profile.env_path``.
        forms, folder: Further forms of the profiles, and where they are.
        notes: What `redis_profiles` said of profiles.
    """
    if report["is_gone"]:
        return [f"{host} could not be reached, and has left the deployment. If its machine runs, stop there: {', '.join(report['listed'])}"]
    endpoints = report["endpoints"]
    proven = [(result, next(one for one in endpoints if one["name"] == result["name"])) for result in report["health"]]
    names = {result["name"] for result in report["health"]}
    unproven = [endpoint["name"] for endpoint in endpoints if endpoint["name"] not in names]
    lines = [f"Not asked in check mode, since clients would reach it in another way: {', '.join(unproven)}"] if unproven else []
    if report["topology"] == "cluster":
        lines = [f"instance {one['name']} at {one['cluster_nodes'][0]}: a node of the cluster {report['deployment']}" for one in endpoints]
        profiles = [env_path(path, Owner(one["name"], host=host)) for one in endpoints if one["default_enabled"]]
        return [*lines, *(f"  connection profile: {profile} (mode 0600)" for profile in profiles), *report["advice"], *notes]
    if report["topology"] == "replication":
        what = f"a server of the replication {report['deployment']}"
        lines = [f"instance {one['name']} at {one['address']}: {what}" for one in report["nodes"]]
        profiles = [env_path(path, Owner(one["name"], host=host)) for one in endpoints if one["default_enabled"]]
        return [*lines, *(f"  connection profile: {profile} (mode 0600)" for profile in profiles), *report["advice"], *notes]
    if not proven:
        return [*(lines or ["No instance runs here: the inventory wants none."]), *notes]
    for result, endpoint in proven:
        lines += [_proof(result, endpoint), *(f"  {reason}" for reason in result["reasons"])]
        if endpoint["default_enabled"]:
            lines.append(f"  connection profile: {env_path(path, Owner(endpoint['name'], host=host))} (mode 0600)")
    lines += [*report["advice"], *notes]
    if forms:
        lines.append(f"Profiles as {', '.join(forms)}: {folder}")
    if report["service_manager"] == "process":
        lines.append("The process manager runs it: it comes back after a crash, but not after a reboot; run site.yml again then.")
    open_to_default = [(result, endpoint) for result, endpoint in proven if endpoint["default_enabled"]]
    if not open_to_default:
        return [*lines, "The user default is off: the profiles of redis_endpoint_users let applications in."]
    result, endpoint = open_to_default[0]
    profile, engine = env_path(path, Owner(endpoint["name"], host=host)), _checks(result)["engine"]["found"]["engine"]
    return [*lines, f"Try: {_trial(profile, endpoint, engine)}"]


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
    secure = "--tls --cacert $REDIS_TLS_CA_FILE " if endpoint["tls"] != "off" else ""
    return f"{load}{password}{engine}-cli {secure}{place} ping"


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "server_endpoints": server_endpoints,
            "server_own_tls": server_own_tls,
            "server_tls_hosts": server_tls_hosts,
            "server_nodes": server_nodes,
            "server_summary": server_summary,
        }
