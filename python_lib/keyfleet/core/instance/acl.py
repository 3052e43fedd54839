# SPDX-License-Identifier: MIT
"""The ACL file of an instance; pure."""

from __future__ import annotations

import hashlib

from ..directives.plan import acl_lines as user_lines
from .model import Instance


def acl_lines(instance: Instance) -> list[str]:
    """
    Return the lines of the ACL file: the user ``default`` with the SHA-256 of its password, then the inventory's users.

    Source:
        ACL file format: https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
    """
    secret = f"#{hashlib.sha256(instance.password.encode()).hexdigest()}" if instance.password else "nopass"
    return [f"user default on {secret} ~* &* +@all", *user_lines(instance.directives)]


def acl_text(instance: Instance) -> str:
    """Return the ACL file; its password must be known."""
    if instance.password is None:
        raise ValueError(f"the password of instance {instance.name!r} is not known yet")
    return "\n".join([*acl_lines(instance), ""])
