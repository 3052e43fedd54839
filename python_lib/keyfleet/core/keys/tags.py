# SPDX-License-Identifier: MIT
"""
Tags of cached entries: each is a counter, and an entry holds the versions that its tags had when it was loaded.

Invalidating a tag is one INCR, whatever number of entries it has. No script is needed, so that modules can do it as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..connect.redis_py import RedisError, translated
from ..errors import RefusedError

if TYPE_CHECKING:
    from ..connect.redis_py import AnyClient
    from ..connect.settings import Settings

COUNTER = "cache_tag:"
FIRST_VERSION = 2**61
"""The client starts counters at random numbers from here on; a smaller one was made by INCR alone, and no entry has that version."""
LAST_START = 2**62
IDLE_MS = 60_000
"""How long a counter is kept that INCR has made: no entry needs it."""


def counter_name(prefix: str, tag: str) -> str:
    """
    Return the key of the counter of *tag*.

    Args:
        prefix: Put before every key by the client, ``REDIS_KEY_PREFIX``.
    Raises:
        RefusedError: if *tag* is not a text, or empty.
    """
    if not isinstance(tag, str) or not tag:
        raise RefusedError(f"a tag is {tag!r}; it must be a text that is not empty")
    return f"{prefix}{COUNTER}{tag}"


def has_entries(version: int) -> bool:
    """Whether entries may have been stored before the counter was raised to *version*."""
    return version > FIRST_VERSION


def invalidate_tags(
    client: AnyClient, settings: Settings, prefix: str, tags: Iterable[str], *, dry_run: bool = False
) -> Mapping[str, bool]:
    """
    Raise the counter of each of *tags*, so that no entry with one of them is served any more.

    Args:
        client: From `connect` with the same *settings*.
        prefix: As for `counter_name`.
        dry_run: Only say what would be done.
    Returns:
        For each tag whether entries may have had it. Without them nothing is left changed.
    Raises:
        RefusedError: if a tag is not a text, or empty.
        ServerError: if a counter could not be raised; others may have been.
    """
    names = {tag: counter_name(prefix, tag) for tag in tags}
    with translated(settings):
        if dry_run:
            return {tag: has_entries(int(found or 0) + 1) for tag, found in zip(names, _sent(client, "GET", names.values()))}
        try:
            versions = _sent(client, "INCR", names.values())
        except RedisError as error:
            if "command not allowed when used memory" not in str(error):
                raise
            # Without a counter no entry is valid, and deleting one needs no memory.
            return {tag: bool(count) for tag, count in zip(names, _sent(client, "UNLINK", names.values()))}
        found = {tag: has_entries(int(version)) for tag, version in zip(names, versions)}
        idle = [names[tag] for tag, is_used in found.items() if not is_used]
        _sent(client, "PEXPIRE", idle, IDLE_MS)
    return found


def _sent(client: AnyClient, command: str, names: Iterable[str], *arguments: Any) -> list[Any]:
    """Return the replies to *command* for each of *names*; one write for each node."""
    wanted = list(names)
    if not wanted:
        return []
    with client.pipeline(transaction=False) as pipe:
        for name in wanted:
            pipe.execute_command(command, name, *arguments)
        return list(pipe.execute())
