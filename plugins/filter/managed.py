# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role redis_managed: what is wrong with its variables, how to log in, and what was found. Not for other playbooks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.keyfleet.acl.credentials import password_problem
from ..module_utils.keyfleet.connect.values import format_nodes
from ..module_utils.keyfleet.errors import KeyfleetError
from ..module_utils.keyfleet.managed.iam import make_token, name_problems

Declared = Mapping[str, Any]

# Services that are clusters whatever is declared.
CLUSTERS = ("serverless", "memorydb")
OF_AWS = ("elasticache", *CLUSTERS)
HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?|[0-9A-Fa-f:.]+")


def managed_problems(declared: Declared) -> list[str]:
    """Return what is wrong with the variables of a service: variable, value found, values allowed, never a password."""
    return list(_problems(declared))


def _problems(declared: Declared) -> Iterator[str]:
    for name in ("endpoint", "reader_endpoint", "tls_server_name"):
        if declared[name] and not HOST.fullmatch(declared[name]):
            yield f"redis_managed_{name} is {declared[name]!r}; allowed is a host name or address, without a port"
    if not declared["endpoint"]:
        yield "redis_managed_endpoint is empty; give the configuration endpoint of a cluster, or the primary endpoint"
    if not 1 <= declared["port"] <= 65535:
        yield f"redis_managed_port is {declared['port']}; allowed are 1 to 65535"
    if declared["reader_endpoint"] and is_cluster(declared):
        yield f"redis_managed_reader_endpoint is {declared['reader_endpoint']!r}; a cluster has no reader endpoint, it knows its replicas"
    if declared["engine"] not in ("", "redis", "valkey"):
        yield f"redis_managed_engine is {declared['engine']!r}; allowed are redis, valkey and an empty text"
    yield from _tls_problems(declared)
    yield from _login_problems(declared)


def _tls_problems(declared: Declared) -> Iterator[str]:
    file = declared["tls_ca_file"]
    if file and not os.access(file, os.R_OK):
        yield f"redis_managed_tls_ca_file is {file!r}, which is not a readable file of the controller"
    given = next((name for name in ("tls_ca_file", "tls_server_name") if declared[name]), "")
    if given and not declared["tls"]:
        yield f"redis_managed_{given} is given and redis_managed_tls is false; remove it, or turn TLS on"
    if declared["service"] in OF_AWS and not declared["tls"] and (declared["password"] or declared["iam"]):
        yield "redis_managed_tls is false; the service takes passwords and tokens with TLS only"
    if declared["service"] == "serverless" and not declared["tls"] and not (declared["password"] or declared["iam"]):
        yield "redis_managed_tls is false; a serverless cache has TLS always"


def _login_problems(declared: Declared) -> Iterator[str]:
    user, password, service = declared["user"], declared["password"], declared["service"]
    if declared["iam"]:
        if password:
            yield "redis_managed_password is given and redis_managed_iam is true; IAM makes the password itself, keep one"
        of_iam = "memorydb" if service == "memorydb" else "elasticache"
        yield from (f"redis_managed_iam: {text}" for text in name_problems(declared["iam_cache"], user, of_iam, service == "serverless"))
        return
    if declared["iam_cache"] or declared["iam_region"]:
        yield "redis_managed_iam_cache or redis_managed_iam_region is given and redis_managed_iam is false; remove them, or turn IAM on"
    if user and not password:
        yield f"redis_managed_user is {user!r} and redis_managed_password is empty; give the password, or use redis_managed_iam"
    if not password or service not in OF_AWS:
        return
    problem = password_problem(password, "elasticache", of_default=not user)
    if problem:
        yield f"redis_managed_password, {'the password of a user' if user else 'an AUTH token'}, {problem}"
    if not user and service in CLUSTERS:
        yield f"redis_managed_user is empty; the service {service} has no AUTH tokens, give the user of the password"


def is_cluster(declared: Declared) -> bool:
    """Return whether the service is asked as a cluster."""
    return bool(declared["cluster"]) or declared["service"] in CLUSTERS


def managed_login(declared: Declared) -> dict[str, Any]:
    """Return the connection options of modules; with IAM the password is a token that is made now."""
    address = format_nodes(((declared["endpoint"], int(declared["port"])),))
    place = {"startup_nodes": [address]} if is_cluster(declared) else {"login_host": declared["endpoint"], "login_port": declared["port"]}
    names = {"login_user": "user", "login_password": "password", "ca_certs": "tls_ca_file", "tls_server_name": "tls_server_name"}
    given = {option: declared[name] for option, name in names.items() if declared[name]}
    if declared["iam"]:
        given["login_password"] = _iam_token(declared)
    return {**place, **given, "tls": declared["tls"], "timeout_seconds": declared["timeout_seconds"]}


def _iam_token(declared: Declared) -> str:
    service = declared["service"]
    try:
        return make_token(
            declared["iam_cache"],
            declared["user"],
            region=declared["iam_region"] or None,
            service="memorydb" if service == "memorydb" else "elasticache",
            serverless=service == "serverless",
        )
    except KeyfleetError as error:
        raise AnsibleFilterError(f"redis_managed_iam: {error}") from error


def managed_profile(declared: Declared) -> dict[str, Any]:
    """Return the instance that `redis_endpoint` writes a profile of; a token of IAM is none of its secrets, since it ends soon."""
    address = format_nodes(((declared["endpoint"], int(declared["port"])),))
    return {
        "name": "default",
        "host": declared["endpoint"],
        "port": declared["port"],
        "tls": "only" if declared["tls"] else "off",
        "tls_server_name": declared["tls_server_name"],
        "username": declared["user"],
        "password": declared["password"],
        **({"cluster_nodes": [address]} if is_cluster(declared) else {}),
    }


def managed_topology_problem(health: Mapping[str, Any], declared: Declared) -> str:
    """Return why the service has not the topology that is declared; empty if it has, or does not say."""
    reported = next((check for check in health["checks"] if check["name"] == "cluster" and check["status"] != "skipped"), None)
    if reported is None or is_cluster(declared):
        return ""
    return f"{declared['endpoint']} is a cluster, and redis_managed_cluster is false; set it to true, and give the configuration endpoint"


def managed_summary(health: Mapping[str, Any], declared: Declared, reader: Mapping[str, Any]) -> list[str]:
    """
    Return a few lines that say what answers, and what could not be checked.

    Args:
        health, reader: Results of `redis_health`; that of the reader endpoint is empty without one.
    """
    checks = health["checks"]
    engine: Mapping[str, Any] = next((check["found"] for check in checks if check["name"] == "engine" and "engine" in check["found"]), {})
    what = f"{engine['engine']} {engine['version']}" if engine else "an engine that it does not name"
    shape = f"a cluster of {sum(check['name'] == 'ping' for check in checks)} primaries" if is_cluster(declared) else "one primary"
    lines = [f"{declared['endpoint']}: {what}, {shape}; {health['verdict']}; a value was written and read back", *health["reasons"]]
    if any(check["name"] == "round_trip" and check["status"] == "skipped" for check in checks):
        lines[0] = f"{declared['endpoint']}: {what}, {shape}; {health['verdict']}; no value was written"
    if reader.get("checks"):
        lines.append(f"{declared['reader_endpoint']}: a replica; {reader['verdict']}")
    denied = {f"{check['name']} ({check['reason']})" for check in checks if check["status"] == "skipped" and _is_unknown(check["reason"])}
    return [*lines, *(["not checked, since the service does not say: " + "; ".join(sorted(denied))] if denied else [])]


def _is_unknown(reason: str) -> bool:
    return "is not available" in reason or "does not report" in reason


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "managed_login": managed_login,
            "managed_problems": managed_problems,
            "managed_profile": managed_profile,
            "managed_summary": managed_summary,
            "managed_topology_problem": managed_topology_problem,
        }
