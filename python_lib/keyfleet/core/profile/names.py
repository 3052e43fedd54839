# SPDX-License-Identifier: MIT
"""The name of a deployment: what its secrets, lock and profiles are called after; pure."""

from __future__ import annotations

import re
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
