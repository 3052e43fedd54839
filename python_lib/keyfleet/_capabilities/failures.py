# SPDX-License-Identifier: MIT
"""What a failed call means to a capability."""

from __future__ import annotations

from ..core.errors import OutcomeUnknown, ServerError, UnreachableError


def is_outage(error: ServerError) -> bool:
    """
    Say whether *error* is of a server that cannot keep count at present: no answer, or no memory left.

    Wrong passwords, missing rights and keys of another type are mistakes, which no policy for outages hides.
    """
    return isinstance(error, (UnreachableError, OutcomeUnknown)) or is_full(error)


def is_full(error: ServerError) -> bool:
    """Say whether the server refused a write since its memory is used up (maxmemory with noeviction)."""
    return error.reason.startswith("OOM") or "-OOM" in error.reason
