# -*- coding: utf-8 -*-
# Copyright: (c) 2026, keyfleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role redis_server: variables in, what the modules take out. Not for other playbooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ..module_utils.keyfleet.acl.credentials import password_problem
from ..module_utils.keyfleet.instance.advice import advice
from ..module_utils.keyfleet.instance.compose import public_users
from ..module_utils.keyfleet.instance.model import from_variables, module_options, with_password
from ..module_utils.keyfleet.instance.order import next_restart
from ..module_utils.keyfleet.instance.validation import problems


def server_problems(variables: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the variables of the role; empty when nothing is."""
    return problems(variables)


def server_advice(
    variables: Mapping[str, Any],
    health: list[dict[str, Any]],
    memory: Mapping[str, Any],
    service_manager: str,
) -> list[str]:
    """
    Return what the operator should think about, a line each.

    Args:
        health: As redis_proof returns it.
        memory: As redis_preflight returns it; ``total_bytes`` is 0 if it is not known.
    """
    found: dict[str, dict[str, Any]] = {}
    for result in health:
        checks = {check["name"]: check["found"] for check in result["checks"]}
        if "memory" in checks:
            found[result["name"]] = {**checks.get("clients", {}), **checks["memory"]}
    options = {"manager": service_manager, "root": variables["root"], "keep_days": int(variables["log_keep_days"])}
    return advice(from_variables(variables, memory["default_maxmemory"]), found, memory["total_bytes"], **options)


def server_plan(variables: Mapping[str, Any], generated_password: Optional[str] = None) -> list[dict[str, Any]]:
    """
    Return the instances as the modules take them.

    Args:
        variables: The role's variables.
        generated_password: Of instances that have none of their own; None while it is not known.
    """
    return [module_options(with_password(instance, generated_password)) for instance in from_variables(variables)]


def server_users(variables: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the users of the inventory by instance, without any secret: ``name``, ``rules``, and whether it ``needs_password``."""
    return {instance.name: public_users(instance) for instance in from_variables(variables)}


def public_plan(plan: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Return ``name``, ``port`` and ``directives`` of the present instances, without any secret and without users.

    Args:
        plan: From `server_plan`.
    """
    return [{name: options[name] for name in ("name", "port", "directives")} for options in plan if options["state"] == "present"]


def server_install(variables: Mapping[str, Any], releases: str) -> dict[str, Any]:
    """
    Return how the program comes, as redis_preflight takes it.

    Args:
        releases: Folder of what the method ``archive`` builds.
    """
    install: dict[str, Any] = {"method": variables["install_method"], "version": variables["version"]}
    if install["method"] == "repo":
        install["repository"] = variables["repo"]
    if install["method"] == "archive":
        options = {name: variables["archive"][name] for name in ("sha256", "make_flags", "keep")}
        install["release"] = {**options, "folder": releases}
    return install


def server_notices(
    preflight: Mapping[str, Any], proven_systems: Sequence[str], memory_percent: int, undeclared_users: str, check: bool
) -> list[str]:
    """
    Return what the operator should know of a host before anything is touched, a line each.

    Args:
        preflight: Result of redis_preflight.
        undeclared_users: ``report`` or ``remove``: what becomes of users that were made by hand.
        check: Whether it is only foreseen.
    """
    found, system = [], preflight["system"]["name"]
    if system not in proven_systems:
        found.append(
            f"it runs {system}, which is unproven: no test of keyfleet has run on it. Proven are {', '.join(proven_systems)}; "
            "docs/operations/systems.md says what is known of others."
        )
    found += [f"{one['name']} was kept as it is: {one['reason']}" for one in preflight["kept"]]
    new, memory = preflight["memory"]["new"], preflight["memory"]
    if new:
        each, total = (f"{number // 1048576}mb" for number in (memory["default_maxmemory"][new[0]], memory["total_bytes"]))
        verb = "would get" if check else "get" if len(new) > 1 else "gets"
        share = f"name no maxmemory and {verb} {each} each" if len(new) > 1 else f"names no maxmemory and {verb} {each}"
        found.append(
            f"{', '.join(new)} {share}, an equal part of what is left of {memory_percent} % of the {total} of "
            f"{'its control group' if memory['limited'] else 'the host'}, one part kept for a later instance. It stays as it is from then "
            "on; set directives.maxmemory to change it."
        )
    if preflight["unlisted"]:
        found.append(
            "it has instances that redis_server_instances does not list; they are kept as they are: "
            f"{', '.join(preflight['unlisted'])}. To remove one, list it with state 'absent'."
        )
    if undeclared_users == "remove":
        fate = "they would be removed" if check else "this run removes them"
    else:
        fate = "they stay, and redis_server_undeclared_users: remove removes them"
    found += [
        f"instance {one['name']} has users that redis_server_users does not list: {', '.join(one['undeclared_users'])}; {fate}."
        for one in preflight["instances"]
        if one["undeclared_users"]
    ]
    return found


def kept_password_problems(password: str, rules: str, path: str, of_default: bool = False) -> list[str]:
    """Return why a generated password that is kept in *path* breaks the rules, without the password; empty if it does not."""
    problem = password_problem(password, rules, of_default=of_default)
    way = "run playbooks/rotate_credentials.yml, which makes one that they allow, or set redis_server_credential_rules to server"
    return [f"redis_server_credential_rules is {rules!r}, and the generated password in {path} {problem}: {way}"] if problem else []


def server_next_restart(waiting: Sequence[Sequence[str]], hosts: Sequence[str]) -> dict[str, str]:
    """
    Return ``host`` and ``name`` of the instance that restarts next; both empty if none waits.

    Args:
        waiting: Names of the instances that still wait, for each of *hosts*.
    """
    host, name = next_restart(dict(zip(hosts, waiting))) or ("", "")
    return {"host": host, "name": name}


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {
            "server_problems": server_problems,
            "server_advice": server_advice,
            "server_plan": server_plan,
            "server_users": server_users,
            "public_plan": public_plan,
            "server_install": server_install,
            "server_notices": server_notices,
            "kept_password_problems": kept_password_problems,
            "server_next_restart": server_next_restart,
        }
