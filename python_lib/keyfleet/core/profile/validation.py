# SPDX-License-Identifier: MIT
"""What is wrong with the variables of a connection profile, found before anything is deployed; pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .forms import FORMS_ELSEWHERE

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ARN = re.compile(r"arn:aws[a-z-]*:(secretsmanager:[a-z0-9-]+:\d{12}:secret:[^\s\"]+|ssm:[a-z0-9-]+:\d{12}:parameter/[^\s\"]+)")
_ARN_FORMS = "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME or arn:aws:ssm:REGION:ACCOUNT:parameter/NAME"


def profile_problems(
    endpoints: Sequence[Mapping[str, Any]],
    forms: Sequence[str] = (),
    users: Sequence[Mapping[str, Any]] = (),
    secret_arns: Mapping[str, str] | None = None,
) -> list[str]:
    """
    Return what is wrong: variable, value found, values allowed, never a password; empty when nothing is.

    Args:
        endpoints: As for ``profile.profile_values``, with the ``name`` of the instance. If they have ``users``, a mapping of each ACL user
            to the SHA-256 hashes of its passwords, users of profiles are compared with it; ``password`` None is one that is not known yet.
        forms: Forms in addition to the env file.
        users: ``name``, ``password``, ``instances`` (all if it is missing) and ``ecs_secret_arn`` of those who get profiles of their own.
        secret_arns: ARN of the password of the user ``default``, by name of the instance.
    """
    names = [str(endpoint["name"]) for endpoint in endpoints]
    found = [*_instance_problems(names), *_user_problems(users, names)]
    for endpoint in endpoints:
        name = endpoint["name"]
        found += _form_problems(f"instance {name}", endpoint, forms)
        found += _value_problems(f"the password of instance {name}", endpoint.get("password"), forms)
        if "ecs" in forms and endpoint.get("password") != "":
            found += _arn_problems(f"redis_endpoint_ecs_secret_arns[{name}]", (secret_arns or {}).get(name, ""))
    for user in users:
        where = f"redis_endpoint_users[{user.get('name')}]"
        found += _value_problems(f"{where}.password", user.get("password"), forms)
        if "ecs" in forms:
            found += _arn_problems(f"{where}.ecs_secret_arn", user.get("ecs_secret_arn") or "")
        for endpoint in endpoints:
            if applies(user, endpoint):
                found += _acl_problems(where, user, endpoint)
    return found


def address_problem(address: str) -> str:
    """Return why a name cannot stand for the servers in profiles; empty if it can, or is empty."""
    if not address or _HOST.fullmatch(address):
        return ""
    return f"redis_endpoint_address is {address!r}: give a host name, such as cache.example.org, without a scheme and a port"


def applies(user: Mapping[str, Any], endpoint: Mapping[str, Any]) -> bool:
    """Return whether a user gets a profile of an instance."""
    return user.get("instances") is None or endpoint["name"] in user["instances"]


def _instance_problems(names: Sequence[str]) -> Iterator[str]:
    for name in sorted(set(names)):
        if not _NAME.fullmatch(name):
            yield f"redis_endpoint_instances[{name}].name: use 1 to 64 letters, digits, '.', '_' and '-', which are parts of file names"
        if names.count(name) > 1:
            yield f"redis_endpoint_instances has the name {name!r} twice: names are unique, since the files are called after them"


def _user_problems(users: Iterable[Mapping[str, Any]], names: Sequence[str]) -> Iterator[str]:
    seen = set()
    for user in users:
        name = str(user.get("name"))
        where = f"redis_endpoint_users[{name}]"
        if not _NAME.fullmatch(name) or name == "default":
            yield f"{where}.name: use 1 to 64 letters, digits, '.', '_' and '-', which are parts of file names, and not 'default'"
        if name in seen:
            yield f"redis_endpoint_users has the name {name!r} twice: give each user one entry, with the list of its instances"
        seen.add(name)
        if not user.get("password"):
            yield f"{where}.password is not given: a user without a password needs no profile of its own"
        for instance in user.get("instances") or ():
            if names and instance not in names:
                yield f"{where}.instances has {instance!r}: there are {', '.join(names)}"


def _acl_problems(where: str, user: Mapping[str, Any], endpoint: Mapping[str, Any]) -> Iterator[str]:
    """Return why the server would not let the user in, as far as the inventory says."""
    if "users" not in endpoint or not user.get("password"):
        return
    hashes = endpoint["users"].get(user["name"])
    if hashes is None:
        known = ", ".join(sorted(endpoint["users"])) or "none"
        yield f"{where}: instance {endpoint['name']} has no such user; its directives.user names {known}"
    elif hashlib.sha256(str(user["password"]).encode()).hexdigest() not in hashes:
        yield f"{where}.password is not the one whose hash directives.user of instance {endpoint['name']} has"


def _form_problems(where: str, endpoint: Mapping[str, Any], forms: Iterable[str]) -> Iterator[str]:
    elsewhere = [form for form in forms if form in FORMS_ELSEWHERE]
    if endpoint.get("unix_socket") and elsewhere:
        yield (
            f"redis_endpoint_forms has {', '.join(elsewhere)}, and {where} listens on a socket alone, which is not there in a container: "
            "give it a port, or leave these forms out"
        )


def _value_problems(where: str, value: Any, forms: Sequence[str]) -> Iterator[str]:
    text = str(value or "")
    if forms and _CONTROL.search(text):
        yield f"{where} has a control character, such as a line break, which redis_endpoint_forms cannot write: use another password"
    if "dotenv" in forms and ("${" in text or text.endswith("\\")):
        yield f"{where} has '${{' or ends in a backslash, which a dotenv file cannot hold: use another password, or another form"


def _arn_problems(where: str, arn: str) -> Iterator[str]:
    if not _ARN.fullmatch(arn):
        yield f"{where} is {arn!r}, and the form ecs needs where the password is kept: {_ARN_FORMS}"
