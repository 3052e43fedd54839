# SPDX-License-Identifier: MIT
"""The name of a deployment and of its profiles: what a file is called, and whose it is; pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Optional

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
# Folders of the state folder that are no deployment's.
_TAKEN = ("profiles",)


def deployment_problem(name: Any) -> Optional[str]:
    """Return what is wrong with the name of a deployment, which is part of paths and of names in Kubernetes; None if nothing is."""
    if isinstance(name, str) and _NAME.fullmatch(name) and name not in _TAKEN:
        return None
    taken = ", ".join(map(repr, _TAKEN))
    return f"redis_deployment is {name!r}: use 1 to 32 of a-z, 0-9, '_' and '-', a letter or digit first, and not {taken}"


def host_problem(name: str) -> Optional[str]:
    """Return why the name of a host cannot be a part of the names of files; None if it can."""
    if re.fullmatch(r"[^/\x00-\x1f\x7f]*", name):
        return None
    return f"the host {name!r} cannot be a part of the names of profiles: give it a name without '/', and its address as ansible_host"


# The first line of each profile that can hold a comment. It begins as that of an earlier version, which named instance and user only.
_TITLE = re.compile(
    r"Ansible managed: how applications reach instance (?P<instance>[^ ]+)"
    r"(?: of deployment (?P<deployment>[^ ]+))?(?: as user (?P<user>[^ ]+))?(?: on host (?P<host>.+?))?(?P<former> \(former name\))?"
)


@dataclass(frozen=True)
class Owner:
    """
    What a profile is about.

    Attributes:
        instance: Name of the instance.
        deployment: Empty in a profile of an earlier version, whose deployments had no names.
        user: Empty for the user ``default``.
        host: Empty where no host is part of the name.
        former: Whether the file has the name that an earlier version gave it, without the host.
    """

    instance: str
    deployment: str = ""
    user: str = ""
    host: str = ""
    former: bool = False

    @property
    def title(self) -> str:
        """What the first line of the file says, which marks it as keyfleet's."""
        parts = (
            f"Ansible managed: how applications reach instance {self.instance} of deployment {self.deployment}",
            f" as user {self.user}" if self.user else "",
            f" on host {self.host}" if self.host else "",
            " (former name)" if self.former else "",
        )
        return "".join(parts)


def stem_of(base: str, owner: Owner) -> str:
    """
    Return the name of a profile without its ending; it depends on names alone, so what a file stands for never changes.

    Args:
        base: Name of the deployment, or what the user put in its place. Another instance than ``default``, user and host have their names
            put in: ``redis@node1``, ``redis-sessions@node1``, ``redis-sessions+reader@node1``. No name of an instance has a ``+`` or
            ``@``, and no name of a user that has a profile.
    """
    parts = (
        "" if owner.instance == "default" else f"-{owner.instance}",
        f"+{owner.user}" if owner.user else "",
        f"@{owner.host}" if owner.host and not owner.former else "",
    )
    return base + "".join(parts)


def env_path(path: str, owner: Owner) -> str:
    """Return where the env file of a profile is; *path* is folder, base and ending, such as ``/x/redis.env``."""
    place = PurePosixPath(path)
    return str(place.with_name(stem_of(place.stem, owner) + place.suffix))


def named_owner(stem: str, base: str) -> Optional[Owner]:
    """Return whose profile a file is by its name alone, as `stem_of` makes it; None if it is none of this *base*."""
    found = re.fullmatch(rf"{re.escape(base)}(?:-(?P<instance>[^+@]+))?(?:\+(?P<user>[^+@]+))?(?:@(?P<host>.+))?", stem)
    if found is None:
        return None
    return Owner(found["instance"] or "default", user=found["user"] or "", host=found["host"] or "")


def marked_owner(text: str, stem: str, base: str) -> Optional[Owner]:
    """
    Return whose profile a file is; None if keyfleet did not write it.

    Args:
        text: The whole file: its first line marks it, and JSON, which has no comments, is known by its shape.
        stem, base: As for `named_owner`, which says what the text does not.
    """
    named = named_owner(stem, base)
    first = text.partition("\n")[0]
    found = _TITLE.fullmatch(first[2:]) if first.startswith("# ") else None
    if found is None or named is None:
        return named if _is_container_definition(text) else None
    if found["deployment"] is None:
        return replace(named, instance=found["instance"], user=found["user"] or "")
    return Owner(found["instance"], found["deployment"], found["user"] or "", found["host"] or "", bool(found["former"]))


def _is_container_definition(text: str) -> bool:
    """Return whether a text is the part of a container definition that ``forms.ecs_text`` writes."""
    try:
        parts = json.loads(text)
        return set(parts) == {"environment", "secrets"} and all(pair["name"].startswith("REDIS_") for pair in parts["environment"])
    except (ValueError, TypeError, KeyError):
        return False
