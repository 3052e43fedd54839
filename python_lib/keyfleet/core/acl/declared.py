# SPDX-License-Identifier: MIT
"""Users as the inventory states them: what is wrong with them, and the rules that they are; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .model import DEFAULT, OWN_USERS, Permissions, User, digest

_PERMISSIONS = ("categories", "commands", "keys", "keys_read", "keys_write", "channels")
_SECRETS = ("passwords", "password_hashes", "nopass")
FIELDS = ("name", "enabled", *_SECRETS, *_PERMISSIONS, "selectors")
_NAME = re.compile(r"[!-~]{1,128}")  # printable ASCII: a profile, a line of an ACL file and a URL can hold it
_HASH = re.compile("[0-9a-f]{64}")
_COMMAND = re.compile(r"[+-]?[a-zA-Z0-9_.-]+(\|[!-'*-~]+)?")
_CATEGORY = re.compile("[+-]?[a-z][a-z0-9_-]*")


def user_problems(listed: Any) -> list[str]:
    """Return what is wrong with a list of declared users, each beginning with ``[NAME]`` or ``[NUMBER]``; empty when nothing is."""
    if not isinstance(listed, (list, tuple)):
        return [" is of another kind: give a list of dictionaries, each with at least 'name'"]
    found, names = [], set[str]()
    for index, options in enumerate(listed):
        name = options.get("name") if isinstance(options, Mapping) else None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            found.append(f"[{index}].name is {name!r}: give 1 to 128 letters, digits or signs of ASCII, without spaces")
            continue
        found += [f"[{name}]{problem}" for problem in _one(name, options)]
        found += [f"[{name}] is there twice: give each user another name"] if name in names else []
        names.add(name)
    return found or list(_together(listed))


def _one(name: str, options: Mapping[str, Any]) -> Iterator[str]:
    if name in OWN_USERS:
        yield " is the user that keyfleet itself is: use another name"
    for unknown in sorted(str(option) for option in options if option not in FIELDS):
        yield f".{unknown} is not an option: use {', '.join(FIELDS)}"
    yield from _secret_problems(name, options)
    yield from _permission_problems("", options)
    selectors = options.get("selectors") or []
    if not isinstance(selectors, list) or not all(isinstance(selector, Mapping) for selector in selectors):
        yield ".selectors is of another kind: give a list of dictionaries"
        return
    for index, selector in enumerate(selectors):
        where = f".selectors[{index}]"
        yield from (
            f"{where}.{option} is not an option: use {', '.join(_PERMISSIONS)}" for option in selector if option not in _PERMISSIONS
        )
        yield from _permission_problems(where, selector)
        for pattern in (pattern for option in _PERMISSIONS[2:] for pattern in _texts(selector, option)):
            if re.search(r"""["'()\\]""", pattern):
                yield f"{where} has the pattern {pattern!r}: the server takes no quotes, parentheses or backslashes in a selector"


def _secret_problems(name: str, options: Mapping[str, Any]) -> Iterator[str]:
    for option in ("enabled", "nopass"):
        if not isinstance(options.get(option, False), (bool, type(None))):
            yield f".{option} is {options[option]!r}: give true or false, without quotes"
    given = [option for option in _SECRETS if options.get(option)]
    if name == DEFAULT and given:
        yield f".{given[0]} is not for the user default: its password is the instance's (redis_server_password)"
    for option in ("passwords", "password_hashes"):
        if options.get(option) is not None and not _is_texts(options[option]):
            yield f".{option} is of another kind: give a list of texts; put quotes around them"
    for value in _texts(options, "password_hashes"):
        if not _HASH.fullmatch(value):
            yield ".password_hashes has one that is no SHA-256: give 64 of 0-9a-f, from: printf %s 'PASSWORD' | sha256sum | cut -d' ' -f1"
    if "nopass" in given and len(given) > 1:
        yield f".nopass is true, with which {given[0]} would have no effect: leave one of them out"
    if name != DEFAULT and options.get("enabled", True) is not False and not given:
        yield " is enabled and has no password: give passwords or password_hashes, or say nopass: true or enabled: false"


def _permission_problems(where: str, options: Mapping[str, Any]) -> Iterator[str]:
    for option in _PERMISSIONS:
        if options.get(option) is not None and not _is_texts(options[option]):
            yield f"{where}.{option} is {options[option]!r}: give a list of texts"
    checks = {
        "categories": (_CATEGORY, "names such as read or -dangerous"),
        "commands": (_COMMAND, "names such as get, -keys or config|get"),
    }
    for option, (possible, phrase) in checks.items():
        for value in _texts(options, option):
            if not possible.fullmatch(value):
                yield f"{where}.{option} has {value!r}: give {phrase}"
    for option in _PERMISSIONS[2:]:
        for pattern in _texts(options, option):
            if not pattern or re.search(r"[\s\0]", pattern):
                yield f"{where}.{option} has {pattern!r}: give patterns without spaces, such as app:*"


def _together(listed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Return whether no application could enter: ``default`` is off, and no other user is enabled."""
    enabled = {options["name"]: options.get("enabled", True) is not False for options in listed}
    if enabled.get(DEFAULT) is False and not any(enabled.values()):
        yield f"[{DEFAULT}].enabled is false, and no other user is enabled: no application could log in; declare one"


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def _texts(options: Mapping[str, Any], option: str) -> list[str]:
    """Return a list of texts; what is of another kind is refused elsewhere."""
    value = options.get(option)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def without_passwords(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a declared user with hashes in the place of its passwords, for what must not know them."""
    hashes = sorted({*_texts(options, "password_hashes"), *(digest(password) for password in _texts(options, "passwords"))})
    return {
        **{option: value for option, value in options.items() if option != "passwords" and value is not None},
        "password_hashes": hashes,
    }


def declared_user(options: Mapping[str, Any], hashes: Sequence[str] = ()) -> User:
    """
    Return the user that options say, for which ``user_problems`` found nothing.

    Args:
        hashes: Further passwords: those of ``default``, which are the instance's.
    """
    hidden = without_passwords(options)
    return User(
        options["name"],
        enabled=options.get("enabled", True) is not False,
        nopass=bool(options.get("nopass")),
        hashes=frozenset([*hidden["password_hashes"], *hashes]),
        own=_declared_permissions(options),
        selectors=tuple(_declared_permissions(selector) for selector in options.get("selectors") or []),
    )


def _declared_permissions(options: Mapping[str, Any]) -> Permissions:
    """Return permissions: what categories say comes first, so that a command can be excepted from one."""
    keys: dict[str, str] = {}
    for option, access in (("keys", "RW"), ("keys_read", "R"), ("keys_write", "W")):
        for pattern in _texts(options, option):
            keys[pattern] = "".join(letter for letter in "RW" if letter in keys.get(pattern, "") + access)
    channels = frozenset(_texts(options, "channels"))
    return Permissions(
        commands=("-@all", *_rules(options, "categories", "@"), *_rules(options, "commands", "")),
        keys={"*": "RW"} if keys.get("*") == "RW" else keys,
        channels=frozenset("*") if "*" in channels else channels,
    )


def _rules(options: Mapping[str, Any], option: str, mark: str) -> list[str]:
    return [f"{'-' if value[0] == '-' else '+'}{mark}{value.lstrip('+-')}" for value in _texts(options, option)]
