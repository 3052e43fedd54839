# SPDX-License-Identifier: MIT
"""Names of the keys of a capability: everything that belongs to one subject has its hash tag."""

from __future__ import annotations

from .._protocol.key_names import KeyGroup, Prefix

_ENCODED = str.maketrans({"%": "%25", "{": "%7B", "}": "%7D"})


def group_of(called: str, subject: str | int) -> KeyGroup:
    """
    Return the group of keys that belong to *subject*; different subjects have different groups.

    Braces are encoded and not refused: subjects come from outside, as names of users and paths of requests.

    Raises:
        TypeError: if *subject*, which errors call *called*, is neither a text nor a whole number.
        ValueError: if it is empty.
    """
    return KeyGroup(tag_of(called, subject))


def tag_of(called: str, subject: str | int) -> str:
    """Return the hash tag of *subject*; errors as for `group_of`."""
    if isinstance(subject, int) and not isinstance(subject, bool):
        return str(int(subject))
    if not isinstance(subject, str):
        raise TypeError(f"{called} is of type {type(subject).__name__}; it must be a text or a whole number")
    if not subject:
        raise ValueError(f"{called} is empty; it must have at least one character")
    return subject.translate(_ENCODED)


def name_in(prefix: Prefix, tag: str, suffix: str) -> str:
    """Return the name of the key *suffix* of a group; a fast path for parts that need no check."""
    return f"{prefix.value}{{{tag}}}:{suffix}"
